/** A payer's way through the page, in a real browser. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { getAddress } from "viem"
import type { Options } from "#adapters/checkout/Checkout.ts"
import { buildWeb } from "../../scripts/build-web.ts"
import { startBrowser } from "../support/browser.ts"
import { makeWorld, serve } from "../support/checkoutServer.ts"
import { invoiceId, stories } from "../support/payerStories.ts"
import { until } from "../support/until.ts"

const browser: Browser | null = await startBrowser("the checkout page in a browser (test/journeys/page.test.ts)")
beforeAll(() => buildWeb())
afterAll(() => browser?.close())

const told = (name: string) => Effect.map(DateTime.now, (now) => stories[name]!(now))

/** Somebody who looks at a story's page. */
const payer = Effect.fnUntraced(function*(name: string, options: BrowserContextOptions = {}, server: Options = {}) {
  const world = makeWorld(yield* told(name))
  const origin = yield* serve(world, server)
  const context = yield* Effect.acquireRelease(
    Effect.promise(() => browser!.newContext({ viewport: { width: 390, height: 844 }, ...options })),
    (context) => Effect.promise(() => context.close())
  )
  const page = yield* Effect.promise(() => context.newPage())
  page.setDefaultTimeout(10_000)
  const complaints: Array<string> = []
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  page.on("pageerror", (error) => complaints.push(error.message))
  const url = `${origin}/i/${invoiceId}`
  /** Opens the page and waits until it is alive, by the link it has. */
  const open = async (search = "", link = "socket") => {
    await page.goto(url + search)
    await page.waitForSelector(`.page[data-link=${link}]`)
  }
  return { world, origin, url, context, page, open, complaints }
})
const does = (steps: () => Promise<unknown>) => Effect.promise(steps)
const headline = (page: Page, text: string) => page.locator("h1", { hasText: text }).waitFor()
const width = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth)

describe.skipIf(browser === null)("the page in a browser", () => {
  it.live(
    "comes to life in every state without a complaint of the browser's, and fits 320 pixels, both ways",
    () =>
      Effect.gen(function*() {
        for (const name of Object.keys(stories)) {
          const { complaints, open, page } = yield* payer(name, { viewport: { width: 320, height: 640 } })
          yield* does(() => open())
          assert.deepStrictEqual(complaints, [], name)
          assert.isAtMost(yield* Effect.promise(() => width(page)), 320, name)
          yield* does(() => page.evaluate(() => void (document.documentElement.dir = "rtl")))
          assert.isAtMost(yield* Effect.promise(() => width(page)), 320, `${name}, mirrored`)
        }
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("draws in the browser exactly what the server drew", () =>
    Effect.gen(function*() {
      const { page, open, url } = yield* payer("choosing")
      const drawn = (html: string) => html.replaceAll(/ data-link="\w+"/g, "")
      yield* does(() => open("?method=base-usdc"))
      const alive = yield* Effect.promise(() => page.locator("#page").innerHTML())
      const still = yield* Effect.promise(async () => {
        const html = await (await fetch(`${url}?method=base-usdc`)).text()
        // Through the same parser, so that only what was drawn is compared.
        return page.evaluate(
          (text) => new DOMParser().parseFromString(text, "text/html").getElementById("page")!.innerHTML,
          html
        )
      })
      assert.strictEqual(drawn(alive), drawn(still))
    }))

  it.live("copies the plain address, and says so", () =>
    Effect.gen(function*() {
      const { context, open, origin, page, world } = yield* payer("waiting")
      yield* does(async () => {
        await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin })
        await open()
        await page.getByRole("button", { name: "Copy the address" }).click()
        await page.locator(".copy", { hasText: "Copied" }).waitFor()
      })
      const copied = yield* Effect.promise(() => page.evaluate(() => navigator.clipboard.readText()))
      assert.strictEqual(copied, getAddress(world.now().details.address!))
    }))

  it.live("refuses to copy, and warns, when something on the device has changed the address", () =>
    Effect.gen(function*() {
      const { open, page } = yield* payer("waiting")
      yield* does(async () => {
        await open()
        await page.evaluate(() => void (document.querySelector("#address b")!.textContent = "0xBad0"))
        await page.getByRole("button", { name: "Copy the address" }).click()
        await headline(page, "Do not pay from this page")
      })
      assert.strictEqual(yield* Effect.promise(() => page.locator("#address").count()), 0)
    }))

  it.live("switches the method without loading again, keeps it in the address bar, and remembers it", () =>
    Effect.gen(function*() {
      const { open, page } = yield* payer("choosing")
      yield* does(async () => {
        await open()
        await page.evaluate(() => void Object.assign(window, { same: true }))
        await page.getByRole("link", { name: /EURC on Base/ }).click()
        await headline(page, "Send exactly 25 EURC on Base")
        assert.strictEqual(await page.evaluate(() => document.activeElement?.tagName), "MAIN")
        await page.getByRole("link", { name: "Wallet link" }).click()
        await page.getByRole("img", { name: "payment link" }).waitFor()
      })
      assert.isTrue(yield* Effect.promise(() => page.evaluate(() => "same" in window)))
      yield* does(async () => {
        await page.reload()
        await headline(page, "Send exactly 25 EURC on Base")
        await page.getByRole("img", { name: "payment link" }).waitFor()
        await page.getByRole("link", { name: "Pay with another coin" }).click()
        await page.getByRole("link", { name: /EURC on Base Used last time/ }).waitFor()
      })
    }))

  it.live("counts down by the server's clock when the device's is an hour ahead", () =>
    Effect.gen(function*() {
      const { open, page } = yield* payer("waiting")
      yield* does(async () => {
        await page.addInitScript(() => {
          const Real = Date
          const ahead = () => Real.now() + 3_600_000
          globalThis.Date = class extends Real {
            constructor(...given: []) {
              super(...((given.length === 0 ? [ahead()] : given) as []))
            }
            static override now = ahead
          } as DateConstructor
        })
        await open()
        // Thirteen minutes are left, and it moves.
        await page.locator(".countdown", { hasText: /12:5\d/ }).waitFor()
      })
    }))

  it.live("is a receipt on paper", () =>
    Effect.gen(function*() {
      const { open, page } = yield* payer("paid")
      yield* does(async () => {
        await open()
        await page.getByRole("button", { name: "Print receipt" }).waitFor()
        await page.emulateMedia({ media: "print" })
      })
      const visible = (text: string) => Effect.promise(() => page.getByText(text).first().isVisible())
      assert.deepStrictEqual(
        [yield* visible("Print receipt"), yield* visible("€25.00"), yield* visible(invoiceId), yield* visible("Order")],
        [false, true, true, true]
      )
    }))

  it.live("pays from the demo's wallet at the press of a button", () =>
    Effect.gen(function*() {
      const paid: Array<string> = []
      const demo = { webhooks: null, pay: (_: string, method: string) => Effect.sync(() => void paid.push(method)) }
      const { open, page, world } = yield* payer("choosing in test mode", {}, { demo })
      const next = yield* told("seen")
      yield* does(async () => {
        await open("?method=dev-usdc")
        await Promise.all([
          page.waitForResponse((response) => response.url().includes("/demo/pay/")),
          page.getByRole("button", { name: "Pay with the demo wallet" }).click()
        ])
        world.becomes(next)
        await headline(page, "Payment seen")
      })
      assert.deepStrictEqual(paid, ["dev-usdc"])
    }))
})

describe.skipIf(browser === null)("the page moves by itself", () => {
  const moves = Effect.fnUntraced(function*(link: string, prepare: (page: Page) => Promise<unknown>) {
    const { open, page, world } = yield* payer("waiting")
    const [partial, paid] = [yield* told("partial"), yield* told("paid")]
    yield* does(async () => {
      await prepare(page)
      await open("", link)
      world.becomes(partial)
      await headline(page, "€11.15 received, €13.85 to go")
      await page.locator("[role=status][aria-live]", { hasText: "€13.85 to go" }).waitFor({ state: "attached" })
      world.becomes(paid)
      await headline(page, "Paid")
    })
    yield* until(
      "the tab says so too",
      () => Effect.map(Effect.promise(() => page.title()), (title) => title === "Paid – Blue Mug Coffee")
    )
  })
  const noSocket = (page: Page) => page.routeWebSocket(/\/v1\/live\//, (socket) => void socket.close())
  const noEvents = (page: Page) => page.route(/\/events/, (route) => route.abort())

  it.live("over its WebSocket", () => moves("socket", async () => {}))
  it.live("by server-sent events where there is no WebSocket", () => moves("events", noSocket))
  it.live("by asking where there is neither", () =>
    moves("polling", async (page) => {
      await noSocket(page)
      await noEvents(page)
    }))

  it.live("when the socket is cut, and comes back up to it", () =>
    Effect.gen(function*() {
      const { open, page, world } = yield* payer("waiting")
      const [seen, paid] = [yield* told("seen"), yield* told("paid")]
      const cut: Array<() => Promise<void>> = []
      yield* does(async () => {
        await page.routeWebSocket(/\/v1\/live\//, (socket) => {
          const server = socket.connectToServer()
          cut.push(async () => {
            await socket.close({ code: 1012 })
            await server.close()
          })
        })
        await open()
        world.silently(seen)
        await cut[0]!()
        await headline(page, "Payment seen")
        await page.waitForSelector(".page[data-link=socket]")
        world.becomes(paid)
        await headline(page, "Paid")
      })
      assert.isAtLeast(cut.length, 2)
    }))
})

describe.skipIf(browser === null)("the page without JavaScript", () => {
  it.live("is complete: choosing, paying, and loading itself again", () =>
    Effect.gen(function*() {
      const { page, url, world } = yield* payer("choosing", { javaScriptEnabled: false })
      const paid = yield* told("paid")
      yield* does(async () => {
        await page.goto(url)
        await page.getByRole("link", { name: /USDC on Base/ }).click()
        await headline(page, "Send exactly 27.106148 USDC on Base")
        await page.getByRole("link", { name: "Wallet link" }).click()
        await page.getByRole("img", { name: "payment link" }).waitFor()
        await headline(page, "Send exactly 27.106148 USDC on Base")
      })
      assert.isFalse(yield* Effect.promise(() => page.locator(".copy").first().isVisible()))
      world.silently(paid)
      // Nobody presses anything: the page's own refresh, after ten seconds, brings it.
      yield* does(() => page.locator("h1", { hasText: "Paid" }).waitFor({ timeout: 20_000 }))
    }))
})
