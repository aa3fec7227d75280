/** Notices owed to merchants' endpoints, and what became of each. All its times are the database's: workers' clocks differ. */
import { Context, type DateTime, type Duration, type Effect, Schema, type Stream } from "effect"
import type { Mode } from "#domain/Chain.ts"
import type { Outcome, Streak, Verdict } from "#domain/RetrySchedule.ts"
import type { StoreUnavailable } from "./EventStore.ts"

/** A notice as it will be sent: the body is stored as bytes, and signed as those bytes. */
export interface Notification {
  /** `evt_…`, one per notice: the webhook-id for every endpoint, retry and replay. */
  readonly id: string
  readonly merchantId: string
  readonly mode: Mode
  readonly type: string
  readonly invoiceId: string | null
  readonly body: string
  readonly occurredAt: DateTime.Utc
}

/** An endpoint that wants a notice. */
export interface Recipient {
  readonly endpointId: string
  /** It is disabled: the delivery is kept, and can be recovered, but not sent. */
  readonly skip: boolean
  /** An invoice's next notice waits until the one before is through. */
  readonly ordered: boolean
}

export type DeliveryStatus = "pending" | "sending" | "delivered" | "exhausted" | "skipped"

export interface Delivery {
  /** `dlv_…` */
  readonly id: string
  readonly endpointId: string
  readonly notification: Notification
  readonly status: DeliveryStatus
  /** All that were begun, whatever became of them. */
  readonly attempts: number
  /** Null for one that is through, or waits for another of the same invoice. */
  readonly nextAttemptAt: DateTime.Utc | null
  readonly createdAt: DateTime.Utc
}

/** A delivery that is ours to send for the time of the lease. */
export interface Claimed extends Delivery {
  /** Attempts of the present schedule, this one included: a delivery that is recovered begins a new one. */
  readonly step: number
  /** The invoice's next notice waits for this one. */
  readonly ordered: boolean
  readonly claimedAt: DateTime.Utc
}

/** One try, as the merchant sees it in the log. */
export interface Attempt {
  readonly deliveryId: string
  readonly number: number
  readonly at: DateTime.Utc
  readonly durationMs: number
  readonly outcome: Outcome
  readonly status: number | null
  /** The beginning of the answer, or of what went wrong. */
  readonly detail: string
}

export interface ClaimLimits {
  readonly total: number
  /** In flight, over all workers. */
  readonly perEndpoint: number
  /** Lower limits for some endpoints; none at all for those that are to be left alone. */
  readonly lower: ReadonlyMap<string, number>
  readonly leaseSeconds: number
}

export interface DeliveryQuery {
  readonly merchantId: string
  readonly mode: Mode
  readonly endpointId: string
  /** Only this one. */
  readonly deliveryId?: string
  readonly status?: DeliveryStatus
  /** Only that of this notice. */
  readonly notificationId?: string
  /** Only those older than this delivery. */
  readonly before?: string
  readonly limit: number
}

/** The cursor is none that the feed gave out. */
export class CursorInvalid extends Schema.TaggedError<CursorInvalid>()("CursorInvalid", {}) {}

/** What every implementation owes is in `test/contracts/Deliveries.contract.ts`. */
export class Deliveries extends Context.Service<Deliveries, {
  /**
   * Writes notices down, with one delivery for every endpoint that wants it; repeated, it changes nothing.
   * Joins the transaction that a bus handler runs in.
   */
  readonly owe: (
    notices: ReadonlyArray<{ readonly notification: Notification; readonly to: ReadonlyArray<Recipient> }>
  ) => Effect.Effect<void, StoreUnavailable>
  /**
   * Leases deliveries that are due. No endpoint gets a second one before every other got its first, and the oldest
   * come first: what one endpoint has piled up costs the others nothing.
   */
  readonly claim: (limits: ClaimLimits) => Effect.Effect<ReadonlyArray<Claimed>, StoreUnavailable>
  /**
   * Writes down an attempt, and what follows from it unless the lease has passed to another meanwhile. Answers with
   * the endpoint's unbroken run of failures; null if this was none.
   */
  readonly record: (
    claimed: Claimed,
    attempt: Attempt,
    verdict: Verdict
  ) => Effect.Effect<Streak | null, StoreUnavailable>
  /** All that an endpoint has not had yet is skipped, and its failures are forgotten. It was disabled or deleted. */
  readonly shelve: (endpointId: string) => Effect.Effect<void, StoreUnavailable>
  /**
   * Due at once: the automatic retry that was pending is this one. A delivery that was through begins a new schedule.
   * Null if the merchant has no such delivery; one that is being sent stays as it is.
   */
  readonly resend: (merchantId: string, deliveryId: string) => Effect.Effect<Delivery | null, StoreUnavailable>
  /**
   * What an endpoint missed of the last thirty days becomes due again, with a new schedule: the oldest ten thousand,
   * so ask again until none is left. Answers with how many.
   */
  readonly recover: (
    merchantId: string,
    endpointId: string,
    since: DateTime.Utc,
    until?: DateTime.Utc
  ) => Effect.Effect<number, StoreUnavailable>
  /** Null if the merchant has no such delivery. */
  readonly get: (merchantId: string, deliveryId: string) => Effect.Effect<Delivery | null, StoreUnavailable>
  /** Newest first. */
  readonly list: (query: DeliveryQuery) => Effect.Effect<ReadonlyArray<Delivery>, StoreUnavailable>
  /** Newest first, at most a thousand. */
  readonly attempts: (deliveryIds: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Attempt>, StoreUnavailable>
  /** A merchant's notices in the order in which they became visible, after a cursor: the replayable feed. */
  readonly notifications: (query: {
    readonly merchantId: string
    readonly mode: Mode
    readonly after: string | null
    readonly types?: ReadonlyArray<string>
    readonly limit: number
  }) => Effect.Effect<
    { readonly data: ReadonlyArray<Notification>; readonly cursor: string | null; readonly hasMore: boolean },
    StoreUnavailable | CursorInvalid
  >
  /** Ticks when something became due by somebody's doing, here or in another process. A tick may be lost. */
  readonly wakes: Stream.Stream<void>
  /** Until the next one becomes due by itself; null if none will. */
  readonly nextDueIn: Effect.Effect<Duration.Duration | null, StoreUnavailable>
}>()("checkout/ports/Deliveries") {}
