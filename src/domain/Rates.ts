/** What an asset is worth, worked out from what several sources say, none of whom is trusted alone. */
import { DateTime, Result, Schema } from "effect"
import { formatShort, mulDivDown, mulDivUp, pow10 } from "./Amount.ts"
import { AssetId, assets, type Level } from "./Chain.ts"
import { Currency, digitsOf, type Fiat, isFiat, type Ratio } from "./Money.ts"

/** One source's word on what one whole unit costs in whole US dollars. */
export interface Answer {
  readonly source: string
  readonly usd: Ratio
  readonly takenAt: DateTime.Utc
  /** Seconds for which this source's silence means «unchanged», where they differ from the rules' own. */
  readonly validSeconds?: number
}

export interface Rules {
  /** An answer older than this is stale, in seconds. */
  readonly maxAgeSeconds: number
  /** Answers further from the median than this are not believed. Hundredths of a percent, as all below. */
  readonly maxDeviationBasisPoints: number
  /** A stablecoin further from its peg than this is not taken at the peg, and so not at all. */
  readonly maxDepegBasisPoints: number
  /** Sources that must agree. */
  readonly quorum: number
}

/** Why a currency has no price now. Travels to the API as it is. */
export const Reason = Schema.Literals([
  "no_source",
  "stale",
  "absurd",
  "sources_disagree",
  "too_few_sources",
  "depegged"
])
export type Reason = typeof Reason.Type

export class NotPriced extends Schema.TaggedError<NotPriced>()("NotPriced", { currency: Currency, reason: Reason }) {}

/** What one whole unit is worth, who says so, and when the oldest of them said it. */
export interface Worth {
  readonly rate: Ratio
  readonly sources: ReadonlyArray<string>
  readonly takenAt: DateTime.Utc
}

/** A source's clock may be ahead of ours by this much. */
const skewSeconds = 120

/** Answers by currency; a currency that nobody answers for is missing. */
export type Answers = ReadonlyMap<Currency, ReadonlyArray<Answer>>

/**
 * What one whole `asset` is worth in whole units of `currency`. A stablecoin is worth its peg, as long as the market
 * agrees; where the price is written in the asset itself, nothing needs to be known.
 */
export const marketRate = (
  asset: AssetId,
  currency: Currency,
  answers: Answers,
  now: DateTime.Utc,
  rules: Rules
): Result.Result<Worth, NotPriced> => {
  if (asset === currency) return Result.succeed(itself(now))
  const worth = dollarsFor(asset, answers, now, rules)
  if (Result.isFailure(worth)) return worth
  const unit = dollarsFor(currency, answers, now, rules)
  if (Result.isFailure(unit)) return unit
  return Result.succeed(join(worth.success, unit.success, divide(worth.success.rate, unit.success.rate)))
}

/** Whole dollars for one whole unit; for a stablecoin those of its peg, which it must be close to. */
export const dollarsFor = (
  currency: Currency,
  answers: Answers,
  now: DateTime.Utc,
  rules: Rules
): Result.Result<Worth, NotPriced> => {
  const market = agreed(currency, answers.get(currency) ?? [], now, rules)
  const peg = isFiat(currency) ? null : assets[currency].peg
  if (peg === null || Result.isFailure(market)) return market
  const pegged = agreed(peg, answers.get(peg) ?? [], now, rules)
  if (Result.isFailure(pegged)) return pegged
  return within(market.success.rate, pegged.success.rate, rules.maxDepegBasisPoints)
    ? Result.succeed(join(market.success, pegged.success, pegged.success.rate))
    : Result.fail(new NotPriced({ currency, reason: "depegged" }))
}

/** The median of those answers that are sane, fresh and close to each other. All the ifs about them are here. */
const agreed = (
  currency: Currency,
  answers: ReadonlyArray<Answer>,
  now: DateTime.Utc,
  rules: Rules
): Result.Result<Worth, NotPriced> => {
  const not = (reason: Reason) => Result.fail(new NotPriced({ currency, reason }))
  if (currency === "USD") return Result.succeed(itself(now))
  if (answers.length === 0) return not("no_source")

  const sane = answers.filter((answer) => isSane(currency, answer, now))
  if (sane.length === 0) return not("absurd")
  const fresh = sane.filter((answer) => isFresh(answer, now, rules))
  if (fresh.length === 0) return not("stale")

  const middle = median(fresh)
  const close = fresh.filter(({ usd }) => within(usd, middle, rules.maxDeviationBasisPoints))
  // Two that contradict each other leave none close to their middle; of three, one may be wrong.
  if (close.length * 2 <= fresh.length) return not("sources_disagree")
  if (close.length < rules.quorum) return not("too_few_sources")
  return Result.succeed({
    rate: median(close),
    sources: close.map(({ source }) => source),
    takenAt: close.map(({ takenAt }) => takenAt).reduce((a, b) => DateTime.min(a, b))
  })
}

const isFresh = ({ takenAt, validSeconds }: Answer, now: DateTime.Utc, { maxAgeSeconds }: Rules): boolean =>
  now.epochMilliseconds - takenAt.epochMilliseconds <= (validSeconds ?? maxAgeSeconds) * 1000

/** Zero, negative, no number at all, from the future, upside down, or with the point in the wrong place. */
const isSane = (currency: Currency, { takenAt, usd }: Answer, now: DateTime.Utc): boolean => {
  if (usd.numerator <= 0n || usd.denominator <= 0n) return false
  if (takenAt.epochMilliseconds - now.epochMilliseconds > skewSeconds * 1000) return false
  const usual = { numerator: BigInt(usualMicroDollars[currency]), denominator: 1_000_000n }
  const times = divide(usd, usual)
  return times.numerator <= times.denominator * strayingFactor && times.denominator <= times.numerator * strayingFactor
}

/**
 * What a unit cost in 2025, in millionths of a dollar. Used for one thing only: a price that is 50 times as much or a
 * 50th of it is taken for an error. An inverted or misplaced price of most currencies is further off than that, while
 * none of them has moved that far within the life of a release.
 */
const usualMicroDollars: Readonly<Record<Fiat | AssetId, number>> = {
  eth: 3_000_000_000,
  bnb: 700_000_000,
  avax: 25_000_000,
  pol: 300_000,
  usdc: 1_000_000,
  usdt: 1_000_000,
  dai: 1_000_000,
  eurc: 1_150_000,
  AUD: 650_000,
  BRL: 180_000,
  CAD: 720_000,
  CHF: 1_250_000,
  CNY: 140_000,
  CZK: 47_000,
  DKK: 155_000,
  EUR: 1_150_000,
  GBP: 1_340_000,
  HKD: 128_000,
  HUF: 2_900,
  IDR: 61,
  ILS: 290_000,
  INR: 11_600,
  JPY: 6_800,
  KRW: 720,
  KWD: 3_260_000,
  MXN: 53_000,
  MYR: 236_000,
  NOK: 99_000,
  NZD: 590_000,
  PHP: 17_500,
  PLN: 270_000,
  RON: 227_000,
  SEK: 104_000,
  SGD: 775_000,
  THB: 30_600,
  TRY: 25_000,
  UAH: 24_000,
  USD: 1_000_000,
  VND: 38,
  ZAR: 56_000
}
const strayingFactor = 50n

/** What the merchant adds to the market: one unit of the asset then buys a little less. */
export const withSpread = ({ denominator, numerator }: Ratio, basisPoints: number): Ratio =>
  reduced(numerator * 10_000n, denominator * BigInt(10_000 + basisPoints))

/** Whether the two can move against each other at all. A stablecoin stands still against its peg and its like. */
export const moves = (asset: AssetId, currency: Currency): boolean => anchor(asset) !== anchor(currency)
const anchor = (currency: Currency): Currency => isFiat(currency) ? currency : assets[currency].peg ?? currency

/** What a price is worth in US cents, rounded up. */
export const centsOf = (minor: bigint, currency: Currency, { denominator, numerator }: Ratio): bigint =>
  mulDivUp(minor * 100n, numerator, denominator * pow10(digitsOf(currency)))

/** From this worth on, in US cents, payments must be this sure (invoice.md, 23). */
const defaultFrom = 50_00n
const finalFrom = 10_000_00n
export const levelFor = (cents: bigint): Level =>
  cents < defaultFrom ? "small" : cents < finalFrom ? "default" : "final"

/** For people and listings: "2314.814814814814", cut after twelve places. */
export const decimalOf = ({ denominator, numerator }: Ratio): string =>
  formatShort(mulDivDown(numerator, pow10(12), denominator), 12)

const itself = (now: DateTime.Utc): Worth => ({ rate: { numerator: 1n, denominator: 1n }, sources: [], takenAt: now })

const join = (a: Worth, b: Worth, rate: Ratio): Worth => ({
  rate,
  sources: [...new Set([...a.sources, ...b.sources])],
  takenAt: DateTime.min(a.takenAt, b.takenAt)
})

const within = (a: Ratio, b: Ratio, basisPoints: number): boolean => {
  const [left, right] = [a.numerator * b.denominator, b.numerator * a.denominator]
  const apart = left > right ? left - right : right - left
  return apart * 10_000n <= right * BigInt(basisPoints)
}

const median = (answers: ReadonlyArray<Answer>): Ratio => {
  const sorted = answers.map(({ usd }) => usd).sort(ascending)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  if (low === undefined || high === undefined) throw new Error("the median of nothing")
  const sum = low.numerator * high.denominator + high.numerator * low.denominator
  return reduced(sum, 2n * low.denominator * high.denominator)
}

const ascending = (a: Ratio, b: Ratio): number => {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

const divide = (a: Ratio, b: Ratio): Ratio => reduced(a.numerator * b.denominator, a.denominator * b.numerator)

const reduced = (numerator: bigint, denominator: bigint): Ratio => {
  let [a, b] = [numerator, denominator]
  while (b !== 0n) [a, b] = [b, a % b]
  return { numerator: numerator / a, denominator: denominator / a }
}
