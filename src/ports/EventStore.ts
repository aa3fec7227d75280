/** Streams of events, with the command's receipt and the strong read models written in the same breath. */
import { Context, type DateTime, type Effect, Schema } from "effect"

/** An event to be written: its name, the version it is written in, and its JSON body. */
export interface Fresh {
  readonly type: string
  readonly schemaVersion: number
  readonly data: unknown
}

/** Who asked, because of what, in which trace. Stored with every event; never shown to merchants. */
export interface Meta {
  readonly command: string
  readonly actor: string
  readonly cause?: string
  readonly requestId?: string
  readonly traceparent?: string
}

/** An event at rest. */
export interface Recorded extends Fresh {
  readonly eventId: string
  readonly stream: string
  readonly category: string
  readonly tenant: string
  readonly version: number
  readonly recordedAt: DateTime.Utc
  readonly meta: Meta
}

/** Proof that a command was carried out, so that asking again gets the same answer. */
export interface Receipt {
  /** Unique for ever within its tenant; the caller builds mode and route into it. */
  readonly key: string
  /** Of what was asked: the same key with another hash is a mistake of the caller's. */
  readonly hash: string
}

/** What a receipt says once it is stored: which stream answered, and at which version. */
export interface Stored {
  readonly hash: string
  readonly stream: string
  readonly version: number
}

export interface Row {
  readonly view: string
  readonly key: string
  /** JSON; null deletes the row. */
  readonly data: unknown
}

export interface Append {
  /** A prefixed id; its UUID is the stream's. */
  readonly stream: string
  readonly category: string
  /** The merchant's id. A stream belongs to one tenant for ever, and to nobody else it exists. */
  readonly tenant: string
  /** The version decided upon; 0 for a stream that does not exist yet. */
  readonly expected: number
  /** May be empty when there is a receipt: then only that is kept. */
  readonly events: ReadonlyArray<Fresh>
  /** The moment of the decision: the events' `recordedAt`. */
  readonly at: DateTime.Utc
  readonly meta: Meta
  readonly receipt?: Receipt
  readonly rows: ReadonlyArray<Row>
}

/** A stream as it stood at a version, to save folding it from its beginning. Never a source of truth. */
export interface Snapshot {
  readonly version: number
  /** Names the fold that made it: another fold passes it over. */
  readonly reducer: string
  /** JSON. */
  readonly state: unknown
}

/** Someone else wrote to the stream since it was read. The caller decides again. */
export class StreamMoved extends Schema.TaggedError<StreamMoved>()("StreamMoved", { stream: Schema.String }) {}

/** The receipt's key was used before. The caller answers with what was stored then. */
export class AlreadyReceived extends Schema.TaggedError<AlreadyReceived>()("AlreadyReceived", { key: Schema.String }) {}

/** A row would break a uniqueness that a read model promises: an address given out twice, for one. */
export class NotUnique extends Schema.TaggedError<NotUnique>()("NotUnique", { constraint: Schema.String }) {}

/** The database is away, full or overloaded. Nothing was written, or it cannot be known; a receipt tells. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  reason: Schema.String,
  retryAfterSeconds: Schema.Int
}) {}

/**
 * Append-only streams with optimistic concurrency.
 *
 * What every implementation owes its callers is written as tests in `test/contracts/EventStore.contract.ts`.
 */
export class EventStore extends Context.Service<EventStore, {
  /**
   * The events of a stream in order, all of them or those after a version; empty for one nobody has written, or that
   * belongs to another tenant.
   */
  readonly read: (
    stream: string,
    tenant: string,
    after?: number
  ) => Effect.Effect<ReadonlyArray<Recorded>, StoreUnavailable>
  /** All of it or nothing, and only if the stream is still at `expected`. Answers with the version after. */
  readonly append: (
    append: Append
  ) => Effect.Effect<number, StreamMoved | AlreadyReceived | NotUnique | StoreUnavailable>
  /** What an earlier command left under this key. */
  readonly receipt: (tenant: string, key: string) => Effect.Effect<Stored | null, StoreUnavailable>
  /** The snapshot last kept of a stream. */
  readonly snapshot: (stream: string, tenant: string) => Effect.Effect<Snapshot | null, StoreUnavailable>
  /** Keeps a snapshot, unless a newer one of the same fold is there. */
  readonly keepSnapshot: (stream: string, snapshot: Snapshot) => Effect.Effect<void, StoreUnavailable>
}>()("checkout/ports/EventStore") {}
