/** Every state of the checkout page, light and dark, on a phone and on a desk, into dist/screenshots. To be looked at. */
import { DateTime, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { startBrowser } from "../test/support/browser.ts"
import { makeWorld, serve } from "../test/support/checkoutServer.ts"
import { invoiceId, stories } from "../test/support/payerStories.ts"
import { buildWeb } from "./build-web.ts"

const screens = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 860 } } as const
const target = fileURLToPath(new URL("../dist/screenshots", import.meta.url))
/** Only the states whose name contains this. */
const wanted = process.argv[2] ?? ""

await buildWeb()
fs.mkdirSync(target, { recursive: true })

const takeAll = Effect.gen(function*() {
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() => startBrowser("the screenshots")),
    (browser) => Effect.promise(async () => browser?.close())
  )
  if (browser === null) return
  for (const [name, story] of Object.entries(stories).filter(([name]) => name.includes(wanted))) {
    const world = makeWorld(story(yield* DateTime.now))
    const demo = { pay: () => Effect.void, webhooks: "/demo/webhooks" }
    const origin = yield* serve(world, name.includes("test mode") ? { demo } : {})
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
          await page.goto(`${origin}/i/${invoiceId}${name.includes("test mode") ? "?method=dev-usdc" : ""}`)
          await page.waitForSelector(".page[data-link]")
          const file = `${name.replaceAll(" ", "-")}.${screen}.${colorScheme}.png`
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

await Effect.runPromise(takeAll)
console.log(`In ${path.relative(process.cwd(), target)}`)
