/** Reminders that survive a restart, and go by the database's clock. */
import { Context, type DateTime, type Effect, type Scope } from "effect"
import type { StoreUnavailable } from "./EventStore.ts"

export interface Timer {
  /** Setting the same id again moves it. */
  readonly id: string
  readonly dueAt: DateTime.Utc
  /** What it is about: small JSON. */
  readonly about: unknown
}

/** What every implementation owes is in `test/contracts/Timers.contract.ts`. */
export class Timers extends Context.Service<Timers, {
  /** Joins the transaction that a bus handler runs in. */
  readonly set: (timers: ReadonlyArray<Timer>) => Effect.Effect<void, StoreUnavailable>
  readonly cancel: (ids: ReadonlyArray<string>) => Effect.Effect<void, StoreUnavailable>
  /**
   * Begins to ring every timer that is due, at least once, until the scope closes. One whose handler fails, or takes
   * longer than half a minute, rings again after a pause; one whose handler answers with a later time is moved there,
   * unless it was set anew meanwhile.
   */
  readonly run: (
    ring: (timer: Timer) => Effect.Effect<DateTime.Utc | null, StoreUnavailable>
  ) => Effect.Effect<void, StoreUnavailable, Scope.Scope>
}>()("checkout/ports/Timers") {}
