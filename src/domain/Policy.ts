/** What a merchant accepts without being asked: how short, how late, how much the price may have moved. */
import { Schema } from "effect"
import { BaseUnits, zero } from "./Amount.ts"

const BasisPoints = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })))
const Seconds = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 30 * 86_400 })))

const Natural = BaseUnits.pipe(Schema.check(Schema.isGreaterThanOrEqualToBigInt(0n)))

/** One hundredth of a percent is one basis point. The numbers' source is the table in `docs/invoice.md`. */
export const Policy = Schema.Struct({
  /** Shortfall that still settles: the larger of a share of the price and an absolute amount (minor units). */
  toleranceBasisPoints: BasisPoints,
  toleranceMinor: Natural,
  /** Excess up to this share of the price is recorded and not mentioned. */
  excessBasisPoints: BasisPoints,
  /** A transfer whose block is younger than the expiry by no more than this was in time: clocks differ. */
  graceSeconds: Seconds,
  /** A full payment later than that settles all the same within this time … */
  lateWithinSeconds: Seconds,
  /** … unless the asset's price has moved by more than this. Does not concern stablecoins priced in their peg. */
  maxRateMoveBasisPoints: BasisPoints,
  /** Given once, on the first partial payment. */
  extendSeconds: Seconds,
  /** A payment that has not confirmed for this long is brought to the merchant's attention. */
  stuckSeconds: Seconds
})
export type Policy = typeof Policy.Type

export const defaultPolicy: Policy = {
  toleranceBasisPoints: 50,
  toleranceMinor: zero,
  excessBasisPoints: 50,
  graceSeconds: 60,
  lateWithinSeconds: 86_400,
  maxRateMoveBasisPoints: 200,
  extendSeconds: 900,
  stuckSeconds: 86_400
}
