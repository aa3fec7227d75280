import type { Schema } from "effect"
import type { DateTime } from "effect"
import type { Aggregate } from "./Aggregate.ts"

/** Where an event stands, for what a row wants to say of it. */
export interface Origin {
  readonly stream: string
  readonly version: number
  readonly recordedAt: DateTime.Utc
}

/** A read model: which row an event touches, and what the row becomes. Pure; `null` means no row. */
export interface Projection<Row, Event> {
  /** Also the name of its table. */
  readonly name: string
  readonly aggregate: Pick<Aggregate<never, Event>, "category" | "events" | "versions" | "upcasts">
  readonly row: Schema.Codec<Row, unknown>
  /** The row's key; a stream has one row in a read model. */
  readonly key: (stream: string, row: Row) => string
  readonly apply: (row: Row | null, event: Event, origin: Origin) => Row | null
}
