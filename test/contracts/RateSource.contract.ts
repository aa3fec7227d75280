/** What every rate source owes its callers. Run it once per implementation. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, type Scope } from "effect"
import type { RateSourceShape } from "#ports/RateSource.ts"

/** Each source under test says that ETH costs 2500 dollars and the euro 1.08, and knows nothing else. */
export const rateSourceContract = <E>(name: string, make: Effect.Effect<RateSourceShape, E, Scope.Scope>) =>
  describe(`RateSource: ${name}`, () => {
    it.live("says exact prices, and that they were taken in our time", () =>
      Effect.gen(function*() {
        const source = yield* make
        const prices = yield* source.prices(["eth", "EUR"])
        for (const [currency, cents] of [["eth", 250_000n], ["EUR", 108n]] as const) {
          const { takenAt, usd: { denominator, numerator } } = prices.get(currency) ?? assert.fail(currency)
          assert.strictEqual(numerator * 100n, cents * denominator)
          const age = (yield* DateTime.now).epochMilliseconds - takenAt.epochMilliseconds
          assert.isTrue(age > -60_000 && age < 60_000, `${age} ms old`)
        }
      }))

    it.live("leaves out what it does not know, and what was not asked for", () =>
      Effect.gen(function*() {
        const source = yield* make
        assert.deepStrictEqual([...(yield* source.prices(["JPY", "eth"])).keys()], ["eth"])
        assert.strictEqual((yield* source.prices(["JPY"])).size, 0)
        assert.strictEqual((yield* source.prices([])).size, 0)
      }))

    it.live("has a name to be quoted by", () =>
      Effect.gen(function*() {
        assert.match((yield* make).name, /^[a-z][a-z0-9:.-]*$/)
      }))
  })
