/** Prices, rates and quotes: what something costs, what an asset is worth, and what is therefore due on a chain. */
import { Schema } from "effect"
import { type BaseUnits, BaseUnits as BaseUnitsSchema, mulDivDown, mulDivUp, pow10, units } from "./Amount.ts"
import { AssetId, assets, ChainId } from "./Chain.ts"

export const Instant = Schema.DateTimeUtcFromString

/** ISO 4217 codes we take prices in, with their minor digits. */
export const fiat = {
  AUD: 2,
  BRL: 2,
  CAD: 2,
  CHF: 2,
  CNY: 2,
  CZK: 2,
  DKK: 2,
  EUR: 2,
  GBP: 2,
  HKD: 2,
  HUF: 2,
  IDR: 2,
  ILS: 2,
  INR: 2,
  JPY: 0,
  KRW: 0,
  KWD: 3,
  MXN: 2,
  MYR: 2,
  NOK: 2,
  NZD: 2,
  PHP: 2,
  PLN: 2,
  RON: 2,
  SEK: 2,
  SGD: 2,
  THB: 2,
  TRY: 2,
  UAH: 2,
  USD: 2,
  VND: 0,
  ZAR: 2
} as const
export type Fiat = keyof typeof fiat
export const isFiat = (code: string): code is Fiat => Object.hasOwn(fiat, code)

/** What a price is written in: a currency ("EUR") or an asset ("usdc"). */
export const Currency = Schema.Union([Schema.Literals(Object.keys(fiat) as ReadonlyArray<Fiat>), AssetId])
export type Currency = typeof Currency.Type
export const digitsOf = (currency: Currency): number => isFiat(currency) ? fiat[currency] : assets[currency].decimals

/** A price in minor units. A null amount is a top-up: whatever arrives is welcome. */
export const Price = Schema.Struct({ amount: Schema.NullOr(BaseUnitsSchema), currency: Currency })
export type Price = typeof Price.Type

const Positive = Schema.BigIntFromString.pipe(Schema.check(Schema.isGreaterThanBigInt(0n)))
/** An exact positive ratio: whole units of the currency for one whole unit of the asset. */
export const Ratio = Schema.Struct({ numerator: Positive, denominator: Positive })
export type Ratio = typeof Ratio.Type

/** An asset's locked price for one invoice. */
export const Quote = Schema.Struct({
  chain: ChainId,
  asset: AssetId,
  /** The token's decimals on that chain, kept so that old events stay exact whatever the registry says later. */
  decimals: Schema.Int,
  /** Null for a top-up. */
  due: Schema.NullOr(BaseUnitsSchema),
  rate: Ratio,
  sources: Schema.Array(Schema.String),
  quotedAt: Instant,
  lockedUntil: Instant,
  /** Added to the market price, in hundredths of a percent. */
  spreadBasisPoints: Schema.Int
})
export type Quote = typeof Quote.Type

/**
 * Values inside an invoice are millionths of the price's minor unit, so that several payments in several assets
 * add up without losing anything that matters (invoice.md, 7).
 */
export const valueScale = 6
const scale = pow10(valueScale)
export const valueOfPrice = (minor: bigint): BaseUnits => units(minor * scale)
/** Minor units that a value surely covers. */
export const minorOfValue = (value: bigint): BaseUnits => mulDivDown(value, 1n, scale)
/** Minor units that surely cover a value: what is still owed is shown rounded up. */
export const minorCovering = (value: bigint): BaseUnits => mulDivUp(value, 1n, scale)

/** Base units that cover a price: rounded up. */
export const dueFor = (minor: bigint, currency: Currency, decimals: number, rate: Ratio): BaseUnits =>
  mulDivUp(minor * pow10(decimals), rate.denominator, rate.numerator * pow10(digitsOf(currency)))

/** Base units that cover a value that is left: rounded up. */
export const dueForValue = (value: bigint, currency: Currency, decimals: number, rate: Ratio): BaseUnits =>
  mulDivUp(value * pow10(decimals), rate.denominator, rate.numerator * pow10(digitsOf(currency) + valueScale))

/** Decimals of an amount that a person can compare and type. */
const legibleDecimals = 8

/**
 * What is due in an asset whose price moves has no exact amount, so it is asked for in eight decimals, rounded up: far
 * less than a cent of anything. A price written in the asset itself stays as it was written.
 */
export const legible = (due: BaseUnits, decimals: number, asset: AssetId, currency: Currency): BaseUnits => {
  if (decimals <= legibleDecimals || asset === currency) return due
  const step = pow10(decimals - legibleDecimals)
  return units(mulDivUp(due, 1n, step) * step)
}

/** What base units are worth, as a value: rounded down. */
export const valueOf = (amount: bigint, currency: Currency, decimals: number, rate: Ratio): BaseUnits =>
  mulDivDown(amount * pow10(digitsOf(currency) + valueScale), rate.numerator, rate.denominator * pow10(decimals))
