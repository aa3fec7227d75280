/** A payer's way through the page, in a real browser. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { getAddress } from "viem"
import type { Options } from "#adapters/checkout/Checkout.ts"
import { buildWeb } from "../../scripts/build-web.ts"
import { barriersOn, complaintsOf, overflowOn } from "../support/audit.ts"
import { startBrowser } from "../support/browser.ts"
import { makeWorld, serve } from "../support/checkoutServer.ts"
import { invoiceId, merchant, stories, type Story } from "../support/payerStories.ts"
import { until } from "../support/until.ts"

const browser: Browser | null = await startBrowser("the checkout page in a browser (test/journeys/page.test.ts)")
beforeAll(() => buildWeb())
afterAll(() => browser?.close())

const told = (name: string) => Effect.map(DateTime.now, (now) => stories[name]!(now))

/** Somebody who looks at a story's page. */
const payer = Effect.fnUntraced(function*(
  looksAt: string | Story,
  options: BrowserContextOptions = {},
  server: Options = {}
) {
  const world = makeWorld(typeof looksAt === "string" ? yield* told(looksAt) : looksAt)
  const origin = yield* serve(world, server)
  const context = yield* Effect.acquireRelease(
    Effect.promise(() => browser!.newContext({ viewport: { width: 390, height: 844 }, ...options })),
    (context) => Effect.promise(() => context.close())
  )
  const page = yield* Effect.promise(() => context.newPage())
  page.setDefaultTimeout(10_000)
  const complaints = yield* Effect.promise(() => complaintsOf(page))
  const url = `${origin}/i/${invoiceId}`
  /** Opens the page and waits until it is alive, by the link it has. */
  const open = async (search = "", link = "socket") => {
    await page.goto(url + search)
    await page.waitForSelector(`.page[data-link=${link}]`)
  }
  return { world, origin, url, context, page, open, complaints }
})
const does = (steps: () => Promise<unknown>) => Effect.promise(steps)
const noSocket = (page: Page) => page.routeWebSocket(/\/v1\/live\//, (socket) => void socket.close())
const noEvents = (page: Page) => page.route(/\/events/, (route) => route.abort())
const headline = (page: Page, text: string) => page.locator("h1", { hasText: text }).waitFor()

const phone: BrowserContextOptions = { isMobile: true, hasTouch: true }
const desk: BrowserContextOptions = { viewport: { width: 1280, height: 860 } }
/** Each state meets one of them here; test/slow/page-matrix.test.ts has every state meet all. */
const appearances: ReadonlyArray<BrowserContextOptions> = [
  { ...phone, colorScheme: "light" },
  { ...phone, colorScheme: "dark" },
  { ...desk, colorScheme: "light" },
  { ...desk, colorScheme: "dark" }
]

describe.skipIf(browser === null)("the page in a browser", () => {
  it.live(
    "comes to life in every state without a barrier or a complaint of the browser's, and fits 320 pixels, both ways",
    () =>
      Effect.gen(function*() {
        for (const [i, name] of Object.keys(stories).entries()) {
          const appearance = { reducedMotion: "reduce" as const, ...appearances[i % appearances.length] }
          const { complaints, open, page } = yield* payer(name, appearance)
          yield* does(async () => {
            await open()
            assert.deepStrictEqual([...await barriersOn(page), ...await overflowOn(page)], [], name)
            await page.setViewportSize({ width: 320, height: 640 })
            assert.deepStrictEqual(await overflowOn(page), [], name)
            await page.evaluate(() => void (document.documentElement.dir = "rtl"))
            assert.deepStrictEqual(await overflowOn(page), [], `${name}, mirrored`)
            assert.deepStrictEqual(complaints, [], name)
          })
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

  for (const hours of [1, -1]) {
    it.live(`129: counts down by the server's clock when the device's is wrong by ${hours} h and half the world away`, () =>
      Effect.gen(function*() {
        const { open, page } = yield* payer("waiting", { timezoneId: "Pacific/Auckland" })
        yield* does(async () => {
          await page.addInitScript((wrongBy) => {
            const Real = Date
            const wrong = () => Real.now() + wrongBy
            globalThis.Date = class extends Real {
              constructor(...given: []) {
                super(...((given.length === 0 ? [wrong()] : given) as []))
              }
              static override now = wrong
            } as DateConstructor
          }, hours * 3_600_000)
          await open()
          // Thirteen minutes are left, and it moves.
          await page.locator(".countdown", { hasText: /12:5\d/ }).waitFor()
        })
      }))
  }

  it.live("129: puts its countdown right after a sleep that stopped its stopwatch, though nothing is new", () =>
    Effect.gen(function*() {
      const { open, page } = yield* payer("waiting")
      yield* does(async () => {
        await noSocket(page)
        await noEvents(page)
        await page.addInitScript(() => {
          const real = performance.now.bind(performance)
          performance.now = () => real() + ((globalThis as { astray?: number }).astray ?? 0)
        })
        await open("", "polling")
        await page.evaluate(() => void Object.assign(globalThis, { astray: 300_000 }))
        // Long enough for a tick by the wrong watch; and then the answer that nothing is new.
        await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1100)))
        await page.waitForResponse((response) => response.status() === 304)
        await page.locator(".countdown", { hasText: /12:\d\d/ }).waitFor()
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
  const another = (page: Page) => Effect.promise(() => page.context().newPage())
  /** What was on the screen, one entry per change. */
  const watch = async (page: Page) => {
    const seen: Array<string> = []
    await page.exposeFunction("__saw", (text: string) => text === seen.at(-1) || seen.push(text))
    await page.addInitScript(() => {
      const { __saw } = globalThis as unknown as { __saw: (text: string) => void }
      const look = () => {
        const shown = document.querySelector<HTMLElement>(".page[data-link]")
        if (shown !== null) __saw(`${shown.dataset["state"]}: ${shown.querySelector("h1")?.textContent}`)
      }
      new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true })
    })
    return seen
  }

  it.live(
    "123: over its WebSocket, by server-sent events where there is none, and by asking where there is neither: all the same",
    () =>
      Effect.gen(function*() {
        const { page: bySocket, url, world } = yield* payer("waiting")
        const [byEvents, byAsking] = [yield* another(bySocket), yield* another(bySocket)]
        const pages = [bySocket, byEvents, byAsking] as const
        const seen = yield* Effect.promise(() => Promise.all(pages.map(watch)))
        yield* does(async () => {
          await noSocket(byEvents)
          await noSocket(byAsking)
          await noEvents(byAsking)
          await Promise.all(pages.map((page) => page.goto(url)))
          await bySocket.waitForSelector(".page[data-link=socket]")
          await byEvents.waitForSelector(".page[data-link=events]")
          await byAsking.waitForSelector(".page[data-link=polling]")
        })
        const course = [
          ["partial", "€11.15 received, €13.85 to go"],
          ["seen", "Payment seen"],
          ["overpaid", "Paid, with €4.97 too much"],
          ["reversed", "The network took the payment back"]
        ] as const
        for (const [i, [name, text]] of course.entries()) {
          const next = yield* told(name)
          // Told from unrelated lives of the invoice: each is the next version of the same one.
          world.becomes({ ...next, details: { ...next.details, version: 100 + i } })
          yield* does(() => Promise.all(pages.map((page) => headline(page, text))))
        }
        yield* until("all have told", () => seen.every((states) => states.length === course.length + 1))
        assert.deepStrictEqual(seen[0], [
          "waiting: Send exactly 27.106148\u00a0USDC on Base",
          ...course.map(([name, text]) => `${name}: ${text}`)
        ])
        assert.deepStrictEqual(seen[1], seen[0])
        assert.deepStrictEqual(seen[2], seen[0])
        yield* until(
          "the tab says so too",
          () =>
            Effect.map(
              Effect.promise(() => bySocket.title()),
              (title) => title === "The network took the payment back – Blue Mug Coffee"
            )
        )
      }),
    60_000
  )

  it.live("123: when its socket is cut at any state it comes back up, and has missed nothing", () =>
    Effect.gen(function*() {
      const { open, page, world } = yield* payer("waiting")
      const cuts: Array<() => Promise<void>> = []
      const since: Array<string | null> = []
      yield* does(async () => {
        await page.routeWebSocket(/\/v1\/live\//, (socket) => {
          since.push(new URL(socket.url()).searchParams.get("since"))
          const server = socket.connectToServer()
          cuts.push(async () => {
            await socket.close({ code: 1006 })
            await server.close()
          })
        })
        await open()
      })
      for (
        const [i, [name, text]] of [["seen", "Payment seen"], ["paid", "Paid"], ["reversed", "The network"]].entries()
      ) {
        const next = yield* told(name!)
        world.silently({ ...next, details: { ...next.details, version: 100 + i } })
        yield* does(async () => {
          await cuts[i]!()
          await headline(page, text!)
        })
        yield* until("a new socket", () => cuts.length === i + 2)
      }
      // Each asks for what is newer than what it shows.
      assert.deepStrictEqual(since.map((revision) => revision?.split(".")[1]), ["waiting", "waiting", "seen", "paid"])
    }))

  it.live("where the browser forbids every way but asking by throwing", () =>
    Effect.gen(function*() {
      const { open, page, world } = yield* payer("waiting")
      const paid = yield* told("paid")
      yield* does(async () => {
        await page.addInitScript(() => {
          const forbidden = class {
            constructor() {
              throw new DOMException("forbidden", "SecurityError")
            }
          }
          Object.assign(globalThis, { WebSocket: forbidden, EventSource: undefined })
        })
        await open("", "polling")
        world.becomes(paid)
        await headline(page, "Paid")
      })
    }))

  it.live("without a connection says so at once, and catches up as soon as there is one", () =>
    Effect.gen(function*() {
      const { context, open, page, world } = yield* payer("waiting")
      const paid = yield* told("paid")
      yield* does(async () => {
        await open()
        await context.setOffline(true)
        await page.locator(".offline").waitFor({ timeout: 3000 })
        world.silently(paid)
        await context.setOffline(false)
        await page.locator("h1", { hasText: "Paid" }).waitFor({ timeout: 3000 })
        await page.locator(".offline").waitFor({ state: "detached" })
      })
    }))

  it.live("goes back up to a socket when that works again", () =>
    Effect.gen(function*() {
      const { open, page, world } = yield* payer("waiting")
      const paid = yield* told("paid")
      let works = false
      yield* does(async () => {
        await noEvents(page)
        await page.routeWebSocket(/\/v1\/live\//, (socket) => works ? socket.connectToServer() : socket.close())
        await open("", "polling")
        works = true
        await page.waitForSelector(".page[data-link=socket]")
        world.becomes(paid)
        await headline(page, "Paid")
      })
    }))

  it.live("126: is right within seconds when the word of a change is lost, however it listens", () =>
    Effect.gen(function*() {
      const { page: bySocket, url, world } = yield* payer("waiting")
      const byEvents = yield* another(bySocket)
      const paid = yield* told("paid")
      yield* does(async () => {
        await noSocket(byEvents)
        await Promise.all([bySocket.goto(url), byEvents.goto(url)])
        await bySocket.waitForSelector(".page[data-link=socket]")
        await byEvents.waitForSelector(".page[data-link=events]")
        world.silently(paid)
        await Promise.all([headline(bySocket, "Paid"), headline(byEvents, "Paid")])
      })
    }))

  it.live("stops ticking in the background, and catches up the moment it is looked at, though its socket sleeps", () =>
    Effect.gen(function*() {
      const { open, page, world } = yield* payer("waiting")
      const paid = yield* told("paid")
      const isHidden = (hidden: boolean) =>
        page.evaluate((hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden })
          document.dispatchEvent(new Event("visibilitychange"))
        }, hidden)
      const countdown = () => page.locator(".countdown time").textContent()
      yield* does(async () => {
        // Open, and silent after the first frame.
        await page.routeWebSocket(/\/v1\/live\//, (socket) => {
          let frames = 0
          const server = socket.connectToServer()
          server.onMessage((text) => void (frames++ === 0 && socket.send(text)))
        })
        await open()
        await isHidden(true)
        const stopped = await countdown()
        // Long enough for a tick, by the page's own clock.
        await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1500)))
        assert.strictEqual(await countdown(), stopped)
        world.silently(paid)
        await isHidden(false)
        await page.locator("h1", { hasText: "Paid" }).waitFor({ timeout: 2000 })
      })
    }))

  it.live("in two tabs alike, and what is picked in one is nobody's business in the other", () =>
    Effect.gen(function*() {
      const { open, page: one, url, world } = yield* payer("choosing")
      const two = yield* another(one)
      const paid = yield* told("paid in two")
      yield* does(async () => {
        await open()
        await two.goto(url)
        await two.waitForSelector(".page[data-link=socket]")
        await one.getByRole("link", { name: /EURC on Base/ }).click()
        await headline(one, "Send exactly 25 EURC on Base")
        await headline(two, "How would you like to pay?")
        await two.getByRole("link", { name: /ETH on Ethereum/ }).click()
        await headline(two, "Send exactly 0.0082989 ETH on Ethereum")
        await headline(one, "Send exactly 25 EURC on Base")
        world.becomes({ ...paid, details: { ...paid.details, version: 100 } })
        await Promise.all([headline(one, "Paid"), headline(two, "Paid")])
      })
    }))

  it.live("and says each change once to who cannot see it, and nothing as the seconds pass", () =>
    Effect.gen(function*() {
      const { open, page, world } = yield* payer("waiting")
      const said: Array<string> = []
      const [seen, paid] = [yield* told("seen"), yield* told("paid")]
      yield* does(async () => {
        await page.exposeFunction("__said", (text: string) => void said.push(text))
        await open()
        await page.evaluate(() => {
          const { __said } = globalThis as unknown as { __said: (text: string) => void }
          const polite = "[aria-live=polite], [aria-live=assertive], [role=status], [role=alert]"
          new MutationObserver((changes) => {
            const regions = new Set(changes.map(({ target }) => target.parentElement?.closest(polite)))
            for (const region of regions) if (region?.textContent) __said(region.textContent)
          }).observe(document, { subtree: true, childList: true, characterData: true })
        })
        for (let tick = 0; tick < 2; tick++) {
          const before = await page.locator(".countdown time").textContent()
          await page.locator(".countdown time", { hasNotText: before! }).waitFor()
        }
        assert.deepStrictEqual(said, [])
      })
      yield* does(async () => {
        world.becomes(seen)
        await page.locator(".ring", { hasText: "3/10" }).waitFor()
        for (const confirmations of [4, 5, 6]) {
          world.becomes({ ...seen, heights: seen.heights.map((height) => ({ ...height, number: 99 + confirmations })) })
          await page.locator(".ring", { hasText: `${confirmations}/10` }).waitFor()
        }
        world.becomes(paid)
        await headline(page, "Paid")
      })
      yield* until("both are said", () => said.length >= 2)
      assert.deepStrictEqual(said, ["Payment seen", "Paid"])
    }))
})

describe.skipIf(browser === null)("a hostile page", () => {
  const evil =
    `</script></style><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"'>{{7*7}}`

  for (const name of ["choosing", "waiting", "partial", "paid", "underpaid", "expired"]) {
    it.live(`120: of texts that would be code is only text, and the policy has nothing to report: ${name}`, () =>
      Effect.gen(function*() {
        const { details, heights } = yield* told(name)
        const { complaints, open, page } = yield* payer({
          details: { ...details, description: evil, orderId: evil, redirectUrl: "javascript:document.title='owned'" },
          heights,
          merchant: {
            ...merchant,
            name: evil,
            branding: { accent: "#fff}</style>", supportEmail: evil, website: "javascript:document.title='owned'" }
          }
        })
        yield* does(async () => {
          await open()
          await page.locator("header", { hasText: evil }).waitFor()
          assert.strictEqual(await page.locator("img, script:not([type]):not([nonce])").count(), 0)
          assert.strictEqual(await page.locator("a[href^='javascript:']").count(), 0)
          assert.notStrictEqual(await page.title(), "owned")
          assert.deepStrictEqual(complaints, [])
        })
      }))
  }

  /** A page on an origin of its own that frames ours. */
  const framedBy = Effect.fnUntraced(function*(lists: (parent: string) => string) {
    let inner = ""
    const server = createServer((_, response) =>
      response.setHeader("content-type", "text/html").end(`<iframe src="${inner}" width=400 height=800></iframe>`)
    )
    const parent = yield* Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<string>((resolve) =>
          server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
        )
      ),
      () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
    )
    const story = yield* told("waiting")
    const website = lists(parent)
    const shop = { ...merchant, branding: { ...merchant.branding, website } }
    const it = yield* payer({ ...story, merchant: shop })
    inner = it.url
    yield* does(() => it.page.goto(parent))
    return it
  })

  it.live("121: may show ours in a frame if it is the shop's, and it works there", () =>
    Effect.gen(function*() {
      const { complaints, page, world } = yield* framedBy((parent) => `${parent}/about`)
      const paid = yield* told("paid")
      yield* does(async () => {
        const frame = page.frameLocator("iframe")
        await frame.locator(".page[data-link=socket]").waitFor()
        world.becomes(paid)
        await frame.locator("h1", { hasText: "Paid" }).waitFor()
        assert.deepStrictEqual(complaints, [])
      })
    }))

  it.live("121: may not if it is anybody else's", () =>
    Effect.gen(function*() {
      const { complaints, page } = yield* framedBy((parent) => parent.replace("127.0.0.1", "localhost"))
      yield* until("the browser's refusal", () => complaints.some((text) => text.includes("frame-ancestors")))
      assert.strictEqual(yield* Effect.promise(() => page.frameLocator("iframe").locator("h1").count()), 0)
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
