/** Messages between processes: every domain event, the chains' observations, notices. Kept in order per key. */
import { Context, type DateTime, type Effect, Schema, type Scope } from "effect"
import type { StoreUnavailable } from "./EventStore.ts"

export const Topic = Schema.Literals(["domain-events", "integrations", "notifications", "analytics"])
export type Topic = typeof Topic.Type

export interface Message {
  readonly topic: Topic
  /** Messages with the same key are handled one after the other, in the order in which they were written. */
  readonly key: string
  /** Stable: a message that comes again comes under the same id. */
  readonly id: string
  readonly type: string
  readonly schemaVersion: number
  /** JSON. A domain event's data; an observation. */
  readonly body: unknown
  readonly headers: {
    readonly stream?: string
    readonly category?: string
    readonly version?: number
    readonly tenant?: string
    readonly traceparent?: string
  }
  readonly recordedAt: DateTime.Utc
}

/** A named group of consumers, which together handle every message of a topic at least once. */
export interface Group {
  readonly name: string
  readonly topic: Topic
  /** Partitions worked on side by side in this process. */
  readonly consumers: number
  /** Messages handed over at once; at most this many are done again after a crash. */
  readonly batch: number
  /** After so many failed tries a message is parked with the reason, and its key goes on. */
  readonly tries: number
}

/** A message that was given up. An operator looks at it, and redrives or discards it. */
export interface Parked {
  readonly group: string
  readonly message: Message
  readonly reason: string
  readonly attempts: number
  readonly parkedAt: DateTime.Utc
}

/** The handler could not do it. `retry: false` parks the message at once. */
export class HandlerFailed extends Schema.TaggedError<HandlerFailed>()("HandlerFailed", {
  reason: Schema.String,
  retry: Schema.Boolean
}) {}

/** What every implementation owes is in `test/contracts/Bus.contract.ts`. */
export class Bus extends Context.Service<Bus, {
  /**
   * Starts a group's consumers, which run until the scope closes; a group nobody knew begins with the oldest message.
   * The handler gets messages of one partition in order; what it writes to the same database is committed together
   * with the checkpoint. It must bear hearing a message twice. When a batch fails it is tried again message by
   * message, so that only the poisonous one is parked. `StoreUnavailable` is waited out, however long it takes.
   */
  readonly consume: (
    group: Group,
    handle: (messages: ReadonlyArray<Message>) => Effect.Effect<void, HandlerFailed | StoreUnavailable>
  ) => Effect.Effect<void, StoreUnavailable, Scope.Scope>
  /**
   * Everything from the moment this answers until the scope closes, to every caller, without a checkpoint: for what is
   * live or not at all.
   */
  readonly tail: (
    topic: Topic,
    hear: (messages: ReadonlyArray<Message>) => Effect.Effect<void>
  ) => Effect.Effect<void, StoreUnavailable, Scope.Scope>
  /** Newest first, at most a thousand. */
  readonly parked: (group: string) => Effect.Effect<ReadonlyArray<Parked>, StoreUnavailable>
}>()("checkout/ports/Bus") {}
