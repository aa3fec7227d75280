/** Somebody who says what things cost in dollars. Several are asked, and none is believed alone where there are more. */
import { Context, type DateTime, type Effect, Schema } from "effect"
import type { Currency, Ratio } from "#domain/Money.ts"

export interface DollarPrice {
  /** Whole US dollars for one whole unit, as the source says it: whether it makes sense is not the source's to judge. */
  readonly usd: Ratio
  readonly takenAt: DateTime.Utc
  /** Seconds for which the source's silence means «unchanged», where it only speaks when something moves. */
  readonly validSeconds?: number
}

export class RateSourceFailed extends Schema.TaggedError<RateSourceFailed>()("RateSourceFailed", {
  source: Schema.String,
  reason: Schema.String
}) {}

export interface RateSourceShape {
  readonly name: string
  /** The prices it knows, of those asked for. What it does not know is missing, and no error. */
  readonly prices: (
    currencies: ReadonlyArray<Currency>
  ) => Effect.Effect<ReadonlyMap<Currency, DollarPrice>, RateSourceFailed>
}

/** All configured sources. What each owes is in `test/contracts/RateSource.contract.ts`. */
export class RateSources extends Context.Service<RateSources, ReadonlyArray<RateSourceShape>>()(
  "checkout/ports/RateSources"
) {}
