/** The checkout page in every state, light and dark, on a phone and on a desk: no barrier, no breach, nothing sticks out. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core"
import { buildWeb } from "../../scripts/build-web.ts"
import { barriersOn, complaintsOf, overflowOn } from "../support/audit.ts"
import { startBrowser } from "../support/browser.ts"
import { makeWorld, serve } from "../support/checkoutServer.ts"
import { atLength, fortunes, invoiceId, stories, type Story } from "../support/payerStories.ts"

const browser: Browser | null = await startBrowser("the matrix of the page (test/slow/page-matrix.test.ts)")
beforeAll(() => buildWeb())
afterAll(() => browser?.close())

const screens: Readonly<Record<string, BrowserContextOptions>> = {
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  desk: { viewport: { width: 1280, height: 860 } }
}
/** 1280 × 1024 at 400 %, and the smallest phone. */
const narrow: BrowserContextOptions = { viewport: { width: 320, height: 256 } }

const everyStory = { ...stories, ...fortunes }
const lengthened = Object.fromEntries(
  Object.entries(everyStory).map(([name, story]) => [name, (now: DateTime.Utc) => atLength(story(now))])
)

/** Everything wrong with each story's page, by name; nothing where all is well. */
const faultsIn = (
  told: Readonly<Record<string, (now: DateTime.Utc) => Story>>,
  options: BrowserContextOptions,
  audit: (page: Page) => Promise<ReadonlyArray<string>>,
  query = ""
) =>
  Effect.gen(function*() {
    const faults: Array<string> = []
    const context: BrowserContext = yield* Effect.acquireRelease(
      Effect.promise(() => browser!.newContext({ reducedMotion: "reduce", ...options })),
      (context) => Effect.promise(() => context.close())
    )
    for (const [name, story] of Object.entries(told)) {
      const demo = { pay: () => Effect.void, webhooks: "/demo/webhooks" }
      yield* Effect.scoped(Effect.gen(function*() {
        const origin = yield* serve(makeWorld(story(yield* DateTime.now)), { demo })
        const found = yield* Effect.promise(async () => {
          const page = await context.newPage()
          const complaints = await complaintsOf(page)
          await page.goto(`${origin}/i/${invoiceId}${query}`)
          await page.waitForSelector(".page[data-link=socket]")
          const found = [...await audit(page), ...complaints]
          await page.close()
          return found
        })
        faults.push(...found.map((fault) => `${name}: ${fault}`))
      }))
    }
    return faults
  }).pipe(Effect.scoped)

const everything = async (page: Page) => [...await overflowOn(page), ...await barriersOn(page)]
const mirrored = async (page: Page) => {
  await page.evaluate(() => void (document.documentElement.dir = "rtl"))
  return overflowOn(page)
}

describe.skipIf(browser === null)("the page", () => {
  for (const [screen, options] of Object.entries(screens)) {
    for (const colorScheme of ["light", "dark"] as const) {
      it.live(`has no barrier and no breach in any state, ${colorScheme}, on a ${screen}`, () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* faultsIn(stories, { ...options, colorScheme }, everything), [])
          const choosers = { choosing: stories["choosing"]!, "in test mode": stories["choosing in test mode"]! }
          const picked = yield* faultsIn(
            choosers,
            { ...options, colorScheme },
            everything,
            "?method=dev-usdc&code=link"
          )
          assert.deepStrictEqual(picked, [])
        }))
    }
    it.live(`holds the longest texts and the largest sums in any state, both ways, on a ${screen}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* faultsIn(lengthened, options, everything), [])
        assert.deepStrictEqual(yield* faultsIn(lengthened, options, mirrored), [])
      }))
  }

  it.live("holds all of it at 400 %, both ways", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* faultsIn(everyStory, narrow, everything), [])
      assert.deepStrictEqual(yield* faultsIn(lengthened, narrow, overflowOn), [])
      assert.deepStrictEqual(yield* faultsIn(lengthened, narrow, mirrored), [])
    }))
})
