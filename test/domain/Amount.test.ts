/** Exact amounts: what may be written as one, and arithmetic that loses nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as fc from "fast-check"
import * as Amount from "#domain/Amount.ts"

const decimals = fc.integer({ min: 0, max: 60 })
const amount = fc.bigInt(0n, 10n ** 78n - 1n)
const refusal = (text: string, places: number) =>
  Result.match(Amount.parse(text, places), { onFailure: ({ code }) => code, onSuccess: String })

describe("a written amount", () => {
  it("is read back as what was written", () =>
    fc.assert(
      fc.property(amount, decimals, (units, places) =>
        assert.strictEqual(Result.getOrThrow(Amount.parse(Amount.format(units, places), places)), units))
    ))

  it("is written without the zeros that say nothing, and is still the same amount", () =>
    fc.assert(fc.property(amount, decimals, (units, places) => {
      const short = Amount.formatShort(units, places)
      assert.isFalse(/\.\d*0$|\.$/.test(short))
      assert.strictEqual(Result.getOrThrow(Amount.parse(short, places)), units)
    })))

  it("keeps its sign", () => {
    assert.strictEqual(Amount.format(-5n, 2), "-0.05")
    assert.strictEqual(Amount.format(-5n, 0), "-5")
    assert.strictEqual(Amount.formatShort(-500n, 2), "-5")
  })

  it.each(
    [
      "1e-7",
      "1e21",
      "NaN",
      "Infinity",
      "-0",
      "-1",
      "+1",
      "0x10",
      "5,00",
      " 5",
      "5 ",
      "",
      ".",
      ".5",
      "5.",
      "05",
      "1_000",
      "1 000",
      "٣",
      "5\n",
      "1.2.3"
    ]
  )("42: %j is none", (text) => assert.strictEqual(refusal(text, 6), "not_a_decimal"))

  it("42: has no more decimals than its asset", () => {
    assert.strictEqual(refusal("1.0000001", 6), "too_many_decimals")
    assert.strictEqual(refusal("1.5", 0), "too_many_decimals")
    assert.strictEqual(refusal("1.000000", 6), "1000000")
  })

  it("42: has no more digits than the largest number of a chain", () => {
    assert.strictEqual(refusal("9".repeat(78), 0), "9".repeat(78))
    assert.strictEqual(refusal("9".repeat(79), 0), "too_large")
    assert.strictEqual(refusal("9".repeat(40), 39), "too_large")
    assert.strictEqual(refusal("9".repeat(100_000), 6), "too_large")
  })

  it.each([0, 2, 6, 8, 18, 24])("16: is exact with %i decimals", (places) => {
    const smallest = places === 0 ? "1" : `0.${"1".padStart(places, "0")}`
    assert.strictEqual(refusal(smallest, places), "1")
    assert.strictEqual(refusal("123456789", places), `123456789${"0".repeat(places)}`)
  })

  it("16: may be nothing, with as many decimals as a contract can claim", () =>
    assert.strictEqual(refusal("0", 255), "0"))

  it("in JSON is a decimal string, never a number", () => {
    const decode = Schema.decodeUnknownResult(Amount.BaseUnits)
    assert.isTrue(Result.isSuccess(decode("27104500")))
    for (const wrong of [27104500, 1e21, "1e3", "0x10", "1.0", "", " 1", null]) {
      assert.isTrue(Result.isFailure(decode(wrong)), String(wrong))
    }
    assert.strictEqual(Schema.encodeSync(Amount.BaseUnits)(Amount.units(10n ** 30n)), `1${"0".repeat(30)}`)
  })
})

describe("arithmetic", () => {
  const factor = fc.bigInt(0n, 10n ** 60n)
  const divisor = fc.bigInt(1n, 10n ** 60n)

  it("rounds what is owed up and what arrived down, by less than one unit", () =>
    fc.assert(fc.property(factor, factor, divisor, (a, b, c) => {
      const up = Amount.mulDivUp(a, b, c)
      const down = Amount.mulDivDown(a, b, c)
      assert.isTrue(down * c <= a * b && a * b < (down + 1n) * c)
      assert.isTrue(up * c >= a * b && (up === 0n || a * b > (up - 1n) * c))
      assert.strictEqual(up - down, (a * b) % c === 0n ? 0n : 1n)
    })))

  it("adds up without losing a unit, in any order", () =>
    fc.assert(fc.property(fc.array(factor), (amounts) => {
      assert.strictEqual(Amount.sum(amounts), Amount.sum(amounts.toReversed()))
      assert.strictEqual(amounts.reduce((rest, amount) => rest - amount, Amount.sum(amounts) as bigint), 0n)
    })))
})
