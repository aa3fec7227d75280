import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result } from "effect"
import fc from "fast-check"
import type { AssetId } from "#domain/Chain.ts"
import { type Currency, dueFor, type Ratio, valueOf } from "#domain/Money.ts"
import * as Rates from "#domain/Rates.ts"
import { after, at, usd } from "../support/examples.ts"

const now = at("10:00")
const rules: Rates.Rules = { maxAgeSeconds: 600, maxDeviationBasisPoints: 200, maxDepegBasisPoints: 100, quorum: 2 }

/** «2500.25» dollars, as an exact ratio. */
const dollars = (text: string): Ratio => {
  const [whole = "", fraction = ""] = text.split(".")
  return { numerator: BigInt(whole + fraction), denominator: 10n ** BigInt(fraction.length) }
}
const says = (source: string, usd: string | Ratio, overrides: Partial<Rates.Answer> = {}): Rates.Answer => ({
  source,
  usd: typeof usd === "string" ? dollars(usd) : usd,
  takenAt: now,
  ...overrides
})
type Told = Partial<Record<Currency, ReadonlyArray<Rates.Answer>>>
const told = (of: Told): Rates.Answers => new Map(Object.entries(of) as Array<[Currency, ReadonlyArray<Rates.Answer>]>)
const rate = (of: Told, asset: AssetId = "eth", currency: Currency = "USD", changed: Partial<Rates.Rules> = {}) =>
  Rates.marketRate(asset, currency, told(of), now, { ...rules, ...changed })
const refused = (reason: Rates.Reason, currency: Currency = "eth") =>
  Result.fail(new Rates.NotPriced({ currency, reason }))
const ratio = (result: ReturnType<typeof rate>) => Result.getOrThrow(result).rate

describe("the rate of an asset", () => {
  it("is the median of what the sources say", () =>
    assert.deepStrictEqual(
      rate({ eth: [says("a", "2500"), says("b", "2510"), says("c", "2490")] }),
      Result.succeed({ rate: { numerator: 2500n, denominator: 1n }, sources: ["a", "b", "c"], takenAt: now })
    ))

  it("lies exactly between two sources", () =>
    assert.deepStrictEqual(ratio(rate({ eth: [says("a", "2500"), says("b", "2501.5")] })), {
      numerator: 10_003n,
      denominator: 4n
    }))

  it("leaves out a source that is far from the others", () =>
    assert.deepStrictEqual(
      Result.getOrThrow(rate({ eth: [says("a", "2500"), says("liar", "2600"), says("c", "2500")] })).sources,
      ["a", "c"]
    ))

  it("47: is unknown when two sources contradict each other", () =>
    assert.deepStrictEqual(rate({ eth: [says("a", "2500"), says("b", "2700")] }), refused("sources_disagree")))

  it("is unknown when as many sources say one thing as another", () =>
    assert.deepStrictEqual(
      rate({ eth: [says("a", "2500"), says("b", "2500"), says("c", "2700"), says("d", "2700")] }),
      refused("sources_disagree")
    ))

  it("is as old as the oldest answer in it", () => {
    const old = after(now, -500)
    const worth = Result.getOrThrow(rate({ eth: [says("a", "2500"), says("b", "2500", { takenAt: old })] }))
    assert.deepStrictEqual(worth.takenAt, old)
  })

  it("crosses exactly into another currency", () =>
    assert.deepStrictEqual(
      ratio(rate(
        { eth: [says("a", "2500"), says("b", "2500")], EUR: [says("a", "1.25"), says("b", "1.25")] },
        "eth",
        "EUR"
      )),
      { numerator: 2000n, denominator: 1n }
    ))

  it("needs the currency's own price too", () =>
    assert.deepStrictEqual(
      rate({ eth: [says("a", "2500"), says("b", "2500")] }, "eth", "EUR"),
      refused("no_source", "EUR")
    ))

  it("is one in the asset itself, whatever the sources say", () =>
    assert.deepStrictEqual(ratio(rate({}, "eth", "eth")), { numerator: 1n, denominator: 1n }))

  it("is believed from one source only where one is enough", () => {
    assert.deepStrictEqual(rate({ eth: [says("a", "2500")] }), refused("too_few_sources"))
    assert.isTrue(Result.isSuccess(rate({ eth: [says("a", "2500")] }, "eth", "USD", { quorum: 1 })))
  })
})

describe("an answer that makes no sense", () => {
  const alone = (answer: Rates.Answer, asset: AssetId = "eth", currency: Currency = "USD") =>
    rate({ [asset]: [answer], [currency]: [answer] }, asset, currency, { quorum: 1 })

  it.each<[string, Ratio]>([
    ["zero", { numerator: 0n, denominator: 1n }],
    ["negative", { numerator: -2500n, denominator: 1n }],
    ["over nothing", { numerator: 2500n, denominator: 0n }],
    ["upside down", { numerator: 1n, denominator: 2500n }],
    ["a hundred times too large", { numerator: 250_000n, denominator: 1n }],
    ["in the wrong decimals", { numerator: 250_000_000_000n, denominator: 1n }]
  ])("is refused: %s", (_, usd) => assert.deepStrictEqual(alone(says("a", usd)), refused("absurd")))

  it("is refused when it comes from the future", () =>
    assert.deepStrictEqual(alone(says("a", "2500", { takenAt: after(now, 3600) })), refused("absurd")))

  it("does not stand in the way of those that do", () =>
    assert.deepStrictEqual(
      Result.getOrThrow(rate({ eth: [says("a", "2500"), says("b", "0"), says("c", "2501")] })).sources,
      ["a", "c"]
    ))

  it("is told from one that is merely old", () => {
    const old = says("a", "2500", { takenAt: after(now, -601) })
    assert.deepStrictEqual(alone(old), refused("stale"))
    assert.isTrue(Result.isSuccess(alone({ ...old, takenAt: after(now, -600) })))
  })

  it("is not one whose source only speaks once a day", () => {
    const daily = says("a", "2500", { takenAt: after(now, -80_000), validSeconds: 86_400 })
    assert.isTrue(Result.isSuccess(alone(daily)))
    assert.deepStrictEqual(alone({ ...daily, takenAt: after(now, -86_401) }), refused("stale"))
  })
})

describe("a stablecoin", () => {
  const usdcAt = (price: string) => ({ usdc: [says("a", price), says("b", price)] })

  it("is worth its peg exactly while the market is close to it", () =>
    assert.deepStrictEqual(ratio(rate(usdcAt("0.9991"), "usdc")), { numerator: 1n, denominator: 1n }))

  it("is not taken once it has left its peg, in either direction", () => {
    assert.deepStrictEqual(rate(usdcAt("0.98"), "usdc"), refused("depegged", "usdc"))
    assert.deepStrictEqual(rate(usdcAt("1.02"), "usdc"), refused("depegged", "usdc"))
  })

  it("is not taken at its peg when nobody can say whether it holds", () =>
    assert.deepStrictEqual(rate({}, "usdc"), refused("no_source", "usdc")))

  it("follows the euro where that is its peg", () => {
    const euro = { EUR: [says("a", "1.1"), says("b", "1.1")], eurc: [says("a", "1.102"), says("b", "1.102")] }
    assert.deepStrictEqual(ratio(rate(euro, "eurc", "EUR")), { numerator: 1n, denominator: 1n })
    assert.deepStrictEqual(ratio(rate(euro, "eurc")), { numerator: 11n, denominator: 10n })
    const left = { ...euro, eurc: [says("a", "1"), says("b", "1")] }
    assert.deepStrictEqual(rate(left, "eurc", "EUR"), refused("depegged", "eurc"))
  })

  it("cannot move against its peg or another coin on it, and can against all else", () => {
    assert.isFalse(Rates.moves("usdc", "USD"))
    assert.isFalse(Rates.moves("usdc", "usdt"))
    assert.isFalse(Rates.moves("eth", "eth"))
    assert.isTrue(Rates.moves("usdc", "EUR"))
    assert.isTrue(Rates.moves("eth", "USD"))
  })
})

describe("the spread", () => {
  it("raises what is due by as much, and values what arrives by the same rate", () => {
    const spread = Rates.withSpread({ numerator: 2500n, denominator: 1n }, 100)
    assert.strictEqual(dueFor(usd(2500), "USD", 18, spread), 1_010_000_000_000_000_000n)
    assert.strictEqual(valueOf(1_010_000_000_000_000_000n, "USD", 18, spread), usd(2500) * 1_000_000n)
  })
})

describe("the worth of a price", () => {
  it.each<[string, bigint, ReturnType<typeof Rates.levelFor>]>([
    ["under 50 dollars", 49_99n, "small"],
    ["50 dollars", 50_00n, "default"],
    ["under 10,000 dollars", 9_999_99n, "default"],
    ["10,000 dollars", 10_000_00n, "final"]
  ])("of %s asks for the level", (_, cents, level) => assert.strictEqual(Rates.levelFor(cents), level))

  it("is rounded up to the cent, whatever digits its currency has", () => {
    assert.strictEqual(Rates.centsOf(7_500n, "JPY", dollars("0.0067")), 50_25n)
    assert.strictEqual(Rates.centsOf(1n, "JPY", dollars("0.0067")), 1n)
    assert.strictEqual(Rates.centsOf(1_500n, "KWD", dollars("3.25")), 4_88n)
  })
})

it("a rate is shown as a decimal without idle zeros", () => {
  assert.strictEqual(Rates.decimalOf({ numerator: 2500n, denominator: 1n }), "2500")
  assert.strictEqual(Rates.decimalOf({ numerator: 1n, denominator: 3n }), "0.333333333333")
})

it("whatever sources say, a rate that comes out is positive and lies between two of them", () =>
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.bigInt(-10n, 10_000_000n), fc.bigInt(-1n, 2_000n), fc.integer({ min: -1200, max: 300 })), {
      maxLength: 6
    }),
    (answers) => {
      const given = answers.map(([numerator, denominator, seconds], i) =>
        says(String(i), { numerator, denominator }, { takenAt: after(now, seconds) })
      )
      const result = rate({ eth: given }, "eth", "USD", { quorum: 1 })
      if (Result.isFailure(result)) return true
      const { rate: { denominator, numerator }, sources, takenAt } = result.success
      const believed = given.filter(({ source }) => sources.includes(source))
      return numerator > 0n && denominator > 0n
        && believed.some(({ usd }) => usd.numerator * denominator <= numerator * usd.denominator)
        && believed.some(({ usd }) => usd.numerator * denominator >= numerator * usd.denominator)
        && believed.every((answer) => DateTime.isGreaterThanOrEqualTo(answer.takenAt, takenAt))
    }
  )))
