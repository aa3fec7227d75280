/** Dollar prices that an operator wrote down: for the demo, for tests, and for what no feed knows. */
import { DateTime, Effect, Result, Schema } from "effect"
import { parse as parseAmount, pow10 } from "#domain/Amount.ts"
import { Currency, type Ratio } from "#domain/Money.ts"
import type { RateSourceShape } from "#ports/RateSource.ts"

export class FixedRatesInvalid extends Schema.TaggedError<FixedRatesInvalid>()("FixedRatesInvalid", {
  entry: Schema.String,
  reason: Schema.Literals(["not_a_pair", "unknown_currency", "not_a_price", "twice"])
}) {}

/** Decimals that a written price may have. */
const places = 18
const isCurrency = Schema.is(Currency)

/** `eth=2500,usdc=1,EUR=1.08`: whole dollars for one whole unit, as exact decimals. */
export const parse = (text: string): Result.Result<ReadonlyMap<Currency, Ratio>, FixedRatesInvalid> => {
  const prices = new Map<Currency, Ratio>()
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const invalid = (reason: FixedRatesInvalid["reason"]) => Result.fail(new FixedRatesInvalid({ entry, reason }))
    const [currency, price, ...rest] = entry.split("=")
    if (currency === undefined || price === undefined || rest.length > 0) return invalid("not_a_pair")
    if (!isCurrency(currency)) return invalid("unknown_currency")
    if (prices.has(currency)) return invalid("twice")
    const numerator = parseAmount(price, places)
    if (Result.isFailure(numerator) || numerator.success === 0n) return invalid("not_a_price")
    prices.set(currency, { numerator: numerator.success, denominator: pow10(places) })
  }
  return Result.succeed(prices)
}

/** What was written down holds at every moment. */
export const source = (table: ReadonlyMap<Currency, Ratio>): RateSourceShape => ({
  name: "fixed",
  prices: (currencies) =>
    Effect.map(DateTime.now, (takenAt) =>
      new Map(currencies.flatMap((currency) => {
        const usd = table.get(currency)
        return usd === undefined ? [] : [[currency, { usd, takenAt }] as const]
      })))
})
