/** Prices, rates and quotes: what is due covers the price, and what arrived is never worth more than it is. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as fc from "fast-check"
import { parse } from "#domain/Amount.ts"
import * as Money from "#domain/Money.ts"
import { at, quote, usd, usdc, value } from "../support/examples.ts"

const currency = fc.constantFrom<Money.Currency>(
  ...Object.keys(Money.fiat).filter(Money.isFiat),
  "eth",
  "usdc",
  "dai"
)
const minor = fc.bigInt(0n, 10n ** 30n)
const decimals = fc.integer({ min: 0, max: 30 })
const positive = fc.bigInt(1n, 10n ** 40n)
const rate = fc.record({ numerator: positive, denominator: positive })

describe("what is due", () => {
  it("covers the price, and with one unit less would not", () =>
    fc.assert(fc.property(minor, currency, decimals, rate, (price, currency, decimals, rate) => {
      const due = Money.dueFor(price, currency, decimals, rate)
      const worth = (units: bigint) => Money.valueOf(units, currency, decimals, rate)
      assert.isTrue(worth(due) >= Money.valueOfPrice(price))
      assert.isTrue(due === 0n || worth(due - 1n) < Money.valueOfPrice(price))
    })))

  it("of what is left covers what is left, and with one unit less would not", () =>
    fc.assert(fc.property(minor, currency, decimals, rate, (left, currency, decimals, rate) => {
      const due = Money.dueForValue(left, currency, decimals, rate)
      const worth = (units: bigint) => Money.valueOf(units, currency, decimals, rate)
      assert.isTrue(worth(due) >= left)
      assert.isTrue(due === 0n || worth(due - 1n) < left)
    })))

  it("of the whole price is the same either way", () =>
    fc.assert(fc.property(minor, currency, decimals, rate, (price, currency, decimals, rate) =>
      assert.strictEqual(
        Money.dueForValue(Money.valueOfPrice(price), currency, decimals, rate),
        Money.dueFor(price, currency, decimals, rate)
      ))))

  it("is what everybody would work out by hand", () => {
    assert.strictEqual(Money.dueFor(usd(25), "USD", 6, { numerator: 1n, denominator: 1n }), usdc(25))
    assert.strictEqual(Money.dueFor(2500n, "EUR", 6, { numerator: 92n, denominator: 100n }), usdc("27.173914"))
    assert.strictEqual(Money.dueFor(500n, "JPY", 6, { numerator: 150n, denominator: 1n }), usdc("3.333334"))
    assert.strictEqual(Money.dueFor(1500n, "KWD", 6, { numerator: 300n, denominator: 1000n }), usdc(5))
    assert.strictEqual(Money.dueFor(usdc(10), "usdc", 18, { numerator: 1n, denominator: 1n }), 10n ** 19n)
  })
})

describe("what arrived", () => {
  it("in parts is worth at most what it is worth at once, and less by under one for each part", () =>
    fc.assert(
      fc.property(
        fc.array(minor, { minLength: 1, maxLength: 10 }),
        currency,
        decimals,
        rate,
        (parts, currency, decimals, rate) => {
          const worth = (units: bigint) => Money.valueOf(units, currency, decimals, rate)
          const together = worth(parts.reduce((a, b) => a + b))
          const apart = parts.map(worth).reduce((a, b) => a + b, 0n)
          assert.isTrue(apart <= together && together - apart < BigInt(parts.length))
        }
      )
    ))

  it("is never said to cover a minor unit that it does not", () => {
    assert.strictEqual(Money.minorOfValue(value("24.999999")), usd("24.99"))
    assert.strictEqual(Money.minorCovering(value("24.990001")), usd(25))
    assert.strictEqual(Money.minorCovering(value("24.99")), usd("24.99"))
  })
})

describe("a currency", () => {
  it("49: has ISO's minor digits, an asset its own", () =>
    assert.deepStrictEqual(
      (["USD", "JPY", "KRW", "VND", "KWD", "usdc", "eth"] as const).map(Money.digitsOf),
      [2, 0, 0, 0, 3, 6, 18]
    ))

  it("49: that we do not know is refused", () => {
    const decode = Schema.decodeUnknownResult(Money.Currency)
    for (const unknown of ["XXX", "usd", "toString", "__proto__", "", null]) {
      assert.isTrue(Result.isFailure(decode(unknown)), String(unknown))
    }
    assert.isFalse(Money.isFiat("constructor"))
  })
})

describe("a rate", () => {
  const decode = Schema.decodeUnknownResult(Money.Ratio)

  it.each([["0", "1"], ["1", "0"], ["-1", "1"], ["1", "-1"], ["NaN", "1"], ["1.5", "1"]])(
    "46: of %s to %s is refused",
    (numerator, denominator) => assert.isTrue(Result.isFailure(decode({ numerator, denominator })))
  )

  it("is an exact ratio of positive numbers", () =>
    assert.deepStrictEqual(
      decode({ numerator: "2500", denominator: "1" }),
      Result.succeed({ numerator: 2500n, denominator: 1n })
    ))

  it("decision 9: a quote says where it came from, when, and until when it holds", () => {
    const { lockedUntil, quotedAt, sources, spreadBasisPoints } = Schema.decodeSync(Money.Quote)(
      Schema.encodeSync(Money.Quote)(quote())
    )
    assert.deepStrictEqual(
      { lockedUntil, quotedAt, sources, spreadBasisPoints },
      { lockedUntil: at("10:15"), quotedAt: at("10:00"), sources: ["table"], spreadBasisPoints: 0 }
    )
  })
})

describe("an amount to be typed", () => {
  const ether = (text: string) => Result.getOrThrow(parse(text, 18))

  it("is rounded up to eight decimals where the price moves", () =>
    assert.strictEqual(Money.legible(ether("0.008298892927683448"), 18, "eth", "EUR"), ether("0.0082989")))

  it("stays exact where the price is written in the asset, or has few decimals", () => {
    assert.strictEqual(Money.legible(ether("0.008298892927683448"), 18, "eth", "eth"), ether("0.008298892927683448"))
    const cents = Result.getOrThrow(parse("27.106148", 6))
    assert.strictEqual(Money.legible(cents, 6, "usdc", "EUR"), cents)
  })
})
