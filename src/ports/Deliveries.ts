/** Notices owed to merchants' endpoints, and what became of each. */
import { Context, type DateTime, type Effect } from "effect"
import type { Mode } from "#domain/Chain.ts"
import type { StoreUnavailable } from "./EventStore.ts"

/** A notice as it will be sent: the body is stored as bytes, and signed as those bytes. */
export interface Notification {
  /** `evt_…`, one per domain event and merchant: the webhook-id for every endpoint, retry and replay. */
  readonly id: string
  readonly merchantId: string
  readonly mode: Mode
  readonly type: string
  readonly invoiceId: string | null
  readonly body: string
  readonly occurredAt: DateTime.Utc
}

export type DeliveryStatus = "pending" | "sending" | "delivered" | "exhausted" | "skipped"

export interface Delivery {
  /** `dlv_…` */
  readonly id: string
  readonly endpointId: string
  readonly notification: Notification
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly nextAttemptAt: DateTime.Utc | null
  readonly createdAt: DateTime.Utc
}

/** One try, as the merchant sees it in the log. */
export interface Attempt {
  readonly deliveryId: string
  readonly number: number
  readonly at: DateTime.Utc
  readonly durationMs: number
  readonly outcome: "success" | "http_error" | "timeout" | "dns" | "tls" | "connection" | "blocked" | "too_large"
  readonly status: number | null
  /** The beginning of the answer, or of what went wrong. */
  readonly detail: string
}

/** What follows from an attempt. */
export type Verdict =
  | { readonly _tag: "Delivered" }
  | { readonly _tag: "Retry"; readonly afterSeconds: number }
  | { readonly _tag: "Exhausted" }

export interface DeliveryQuery {
  readonly merchantId: string
  readonly mode: Mode
  readonly endpointId: string
  readonly status?: DeliveryStatus
  readonly before?: string
  readonly limit: number
}

/** What every implementation owes is in `test/contracts/Deliveries.contract.ts`. */
export class Deliveries extends Context.Service<Deliveries, {
  /**
   * Writes a notice down, with one delivery for every endpoint that wants it; repeated, it changes nothing.
   * Joins the transaction that a bus handler runs in. A disabled endpoint gets a row too: `skipped`, recoverable.
   */
  readonly owe: (
    notifications: ReadonlyArray<{
      readonly notification: Notification
      readonly to: ReadonlyArray<{ readonly endpointId: string; readonly skip: boolean; readonly ordered: boolean }>
    }>
  ) => Effect.Effect<void, StoreUnavailable>
  /** Leases deliveries that are due, at most `perEndpoint` of any one endpoint in flight, oldest first. */
  readonly claim: (
    limits: { readonly total: number; readonly perEndpoint: number; readonly leaseSeconds: number }
  ) => Effect.Effect<ReadonlyArray<Delivery>, StoreUnavailable>
  /** Writes down an attempt and what follows; nothing if the lease has passed to another meanwhile. */
  readonly record: (delivery: Delivery, attempt: Attempt, verdict: Verdict) => Effect.Effect<void, StoreUnavailable>
  /** Due at once, whatever the schedule says. Null if there is none. */
  readonly resend: (merchantId: string, deliveryId: string) => Effect.Effect<Delivery | null, StoreUnavailable>
  /** What an endpoint missed becomes due again. Answers with how many. */
  readonly recover: (
    merchantId: string,
    endpointId: string,
    since: DateTime.Utc
  ) => Effect.Effect<number, StoreUnavailable>
  readonly list: (query: DeliveryQuery) => Effect.Effect<ReadonlyArray<Delivery>, StoreUnavailable>
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
    StoreUnavailable
  >
}>()("checkout/ports/Deliveries") {}
