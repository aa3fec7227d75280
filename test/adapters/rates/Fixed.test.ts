import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as Fixed from "#adapters/rates/Fixed.ts"

describe("a table of fixed prices", () => {
  it.effect("says what was written, exactly", () =>
    Effect.gen(function*() {
      const table = Result.getOrThrow(Fixed.parse("eth=2500.10, usdc=1\nJPY=0.0067"))
      const prices = yield* Fixed.source(table).prices(["eth", "JPY", "EUR"])
      assert.deepStrictEqual([...prices.keys()], ["eth", "JPY"])
      const { denominator = 0n, numerator = 0n } = prices.get("eth")?.usd ?? {}
      assert.strictEqual(numerator * 100n, 250_010n * denominator)
    }))

  it("may be empty", () => assert.strictEqual(Result.getOrThrow(Fixed.parse("")).size, 0))

  it.each<[string, Fixed.FixedRatesInvalid["reason"]]>([
    ["eth", "not_a_pair"],
    ["eth=1=2", "not_a_pair"],
    ["doge=1", "unknown_currency"],
    ["ETH=1", "unknown_currency"],
    ["eth=0", "not_a_price"],
    ["eth=-1", "not_a_price"],
    ["eth=1e3", "not_a_price"],
    ["eth=NaN", "not_a_price"],
    ["eth=1,5", "not_a_pair"],
    ["eth=1.0000000000000000001", "not_a_price"],
    ["eth=1,eth=2", "twice"]
  ])("refuses «%s»", (text, reason) => {
    const refused = Result.getFailure(Fixed.parse(text))
    assert.strictEqual(refused._tag === "Some" ? refused.value.reason : "nothing", reason)
  })
})
