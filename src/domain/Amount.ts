/** Exact money. Amounts are integers in the smallest unit; nothing here is ever a float. */
import { Result, Schema } from "effect"

/** An exact quantity of something's smallest unit (wei, cents). In JSON it is a decimal string. */
export const BaseUnits = Schema.BigIntFromString.pipe(Schema.brand("BaseUnits"))
export type BaseUnits = typeof BaseUnits.Type

export const units = (n: bigint): BaseUnits => n as BaseUnits
export const zero = units(0n)
export const sum = (amounts: Iterable<bigint>): BaseUnits => {
  let total = 0n
  for (const amount of amounts) total += amount
  return units(total)
}
export const max = (a: bigint, b: bigint): BaseUnits => units(a > b ? a : b)

/** a × b ÷ c. What a customer owes is rounded up … */
export const mulDivUp = (a: bigint, b: bigint, c: bigint): BaseUnits => units((a * b + c - 1n) / c)
/** … and what arrived is rounded down (`design: money`), so that rounding never costs the merchant. */
export const mulDivDown = (a: bigint, b: bigint, c: bigint): BaseUnits => units((a * b) / c)

export const pow10 = (n: number): bigint => 10n ** BigInt(n)

/** Why a written amount is not an amount. `code` is stable and travels to the API. */
export class AmountInvalid extends Schema.TaggedError<AmountInvalid>()("AmountInvalid", {
  code: Schema.Literals(["not_a_decimal", "too_many_decimals", "too_large"]),
  decimals: Schema.Int
}) {}

/** uint256 has 78 digits; nothing on a chain or in a shop is larger. */
const maxDigits = 78
const decimal = /^(0|[1-9]\d*)(?:\.(\d+))?$/

/** "27.1045" with 6 decimals → 27104500. No sign, no exponent, no grouping, no leading zeros. */
export const parse = (text: string, decimals: number): Result.Result<BaseUnits, AmountInvalid> => {
  const match = text.length > maxDigits + 1 ? null : decimal.exec(text)
  if (match === null) {
    const code = /^[\d.]+$/.test(text) && text.length > maxDigits + 1 ? "too_large" : "not_a_decimal"
    return Result.fail(new AmountInvalid({ code, decimals }))
  }
  const [, whole = "0", fraction = ""] = match
  if (fraction.length > decimals) return Result.fail(new AmountInvalid({ code: "too_many_decimals", decimals }))
  const amount = units(BigInt(whole + fraction.padEnd(decimals, "0")))
  return amount >= pow10(maxDigits)
    ? Result.fail(new AmountInvalid({ code: "too_large", decimals }))
    : Result.succeed(amount)
}

/** 27104500 with 6 decimals → "27.104500". The inverse of `parse`. */
export const format = (amount: bigint, decimals: number): string => {
  const sign = amount < 0n ? "-" : ""
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, "0")
  return decimals === 0
    ? sign + digits
    : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
}

/** As `format`, without the zeros that say nothing: "27.1045", "25". For people, not for parsing back. */
export const formatShort = (amount: bigint, decimals: number): string => {
  const text = format(amount, decimals)
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text
}
