/** Every face of the checkout page, light and dark, on a phone and on a desk, into dist/screenshots. To be looked at: index.html. */
import { DateTime, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Page } from "playwright-core"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { startBrowser } from "../test/support/browser.ts"
import { makeWorld, serve } from "../test/support/checkoutServer.ts"
import { atLength, fortunes, invoiceId, stories, type Story } from "../test/support/payerStories.ts"
import { buildWeb } from "./build-web.ts"

interface Shot {
  readonly story: (now: DateTime.Utc) => Story
  readonly search?: string
  /** Another invoice than the story's: one that does not exist. */
  readonly id?: string
  readonly away?: boolean
  /** Brings the page to where it is to be seen. */
  readonly after?: (page: Page) => Promise<unknown>
}

const story = (name: string) => stories[name]!
const told = Object.fromEntries(
  Object.entries({ ...stories, ...fortunes }).map(([name, story]): [string, Shot] => [name, { story }])
)
const shots: Readonly<Record<string, Shot>> = {
  ...told,
  "choosing in test mode, picked": { story: story("choosing in test mode"), search: "?method=dev-usdc" },
  "waiting, by wallet link": { story: story("waiting"), search: "?code=link" },
  "waiting, with the exchange's lines open": {
    story: story("waiting"),
    after: (page) => page.locator("summary").click()
  },
  "waiting, copied": {
    story: story("waiting"),
    after: (page) => page.getByRole("button", { name: "Copy the address" }).click()
  },
  "waiting, mirrored": {
    story: story("waiting"),
    after: (page) => page.evaluate(() => void (document.documentElement.dir = "rtl"))
  },
  "waiting, by keyboard": {
    story: story("waiting"),
    after: (page) => page.getByRole("button", { name: "Copy the amount" }).press("Shift")
  },
  "waiting at length": { story: (now) => atLength(story("waiting")(now)) },
  "paid at length": { story: (now) => atLength(story("paid")(now)) },
  "tampered with": {
    story: story("waiting"),
    after: async (page) => {
      await page.evaluate(() => void (document.querySelector("#address b")!.textContent = "0xBad0"))
      await page.getByRole("button", { name: "Copy the address" }).click()
    }
  },
  "without a connection": {
    story: story("waiting"),
    after: async (page) => {
      await page.context().setOffline(true)
      await page.locator(".offline").waitFor()
    }
  },
  "paid, on paper": { story: story("paid in two"), after: (page) => page.emulateMedia({ media: "print" }) },
  "not found": { story: story("paid"), id: "inv_01m8x4p7h2f3g9k6q5r0s1t8v0" },
  unavailable: { story: story("paid"), away: true }
}

const screens = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 860 } } as const
const target = fileURLToPath(new URL("../dist/screenshots", import.meta.url))
/** Only the faces whose name contains this. */
const wanted = process.argv[2] ?? ""

const away = Layer.succeed(Views, {
  get: () => Effect.fail(new StoreUnavailable({ reason: "away", retryAfterSeconds: 5 })),
  list: () => Effect.succeed([])
})

await buildWeb()
fs.mkdirSync(target, { recursive: true })

const takeAll = Effect.gen(function*() {
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() => startBrowser("the screenshots")),
    (browser) => Effect.promise(async () => browser?.close())
  )
  if (browser === null) return
  for (const [name, shot] of Object.entries(shots).filter(([name]) => name.includes(wanted))) {
    const world = makeWorld(shot.story(yield* DateTime.now))
    const ports = shot.away === true ? Layer.merge(world.ports, away) : world.ports
    const demo = { pay: () => Effect.void, webhooks: "/demo/webhooks" }
    const origin = yield* serve({ ...world, ports }, { demo })
    for (const [screen, viewport] of Object.entries(screens)) {
      for (const colorScheme of ["light", "dark"] as const) {
        yield* Effect.promise(async () => {
          const isMobile = screen === "phone"
          const context = await browser.newContext({
            viewport,
            colorScheme,
            isMobile,
            hasTouch: isMobile,
            deviceScaleFactor: isMobile ? 2 : 1,
            reducedMotion: "reduce"
          })
          const page = await context.newPage()
          await page.goto(`${origin}/i/${shot.id ?? invoiceId}${shot.search ?? ""}`)
          await page.waitForSelector(".page[data-link], .page.alone")
          await shot.after?.(page)
          const file = `${name.replaceAll(/\W+/g, "-")}.${screen}.${colorScheme}.png`
          // Not Playwright's own full page: that forgets that a phone has no mouse.
          const height = await page.evaluate(() => document.documentElement.scrollHeight)
          await page.setViewportSize({ ...viewport, height: Math.max(height, viewport.height) })
          await page.screenshot({ path: path.join(target, file) })
          await context.close()
        })
      }
    }
  }
}).pipe(Effect.scoped)

/** All of them on one page, as wide as they were taken. */
const index = () => {
  const files = fs.readdirSync(target).filter((name) => name.endsWith(".png"))
  const figures = files.map((file) =>
    `<figure><figcaption>${file}</figcaption><img src="${file}" loading="lazy" alt=""></figure>`
  )
  return `<!doctype html><meta charset="utf-8"><title>The checkout page</title><style>
body{display:flex;flex-wrap:wrap;gap:24px;background:#888;font:14px sans-serif}
figure{margin:0}img{display:block;height:800px}</style>${figures.join("\n")}\n`
}

await Effect.runPromise(takeAll)
fs.writeFileSync(path.join(target, "index.html"), index())
console.log(`In ${path.relative(process.cwd(), target)}`)
