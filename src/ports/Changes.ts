/** Word that an invoice changed, for whoever is looking at it right now. May be lost: every listener also polls. */
import { Context, type Effect, type Stream } from "effect"

export class Changes extends Context.Service<Changes, {
  /** Ticks when the invoice, or the height of a chain it waits on, has changed. Holds at most one tick for a slow listener. */
  readonly of: (invoiceId: string) => Stream.Stream<void>
  readonly announce: (invoiceIds: ReadonlyArray<string>) => Effect.Effect<void>
  /** Invoices that somebody here is looking at. */
  readonly watched: Effect.Effect<ReadonlyArray<string>>
}>()("checkout/ports/Changes") {}
