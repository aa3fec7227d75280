import type { Result, Schema } from "effect"
import type { Prefix } from "./Id.ts"

/** What a decision answers: the events that follow, or why not. */
export type Decision<Event, Refusal = never> = Result.Result<ReadonlyArray<Event>, Refusal>

/** Everything the command side needs to know about one kind of stream. No IO, no store. */
export interface Aggregate<State, Event> {
  readonly category: string
  /** The prefix of its ids. */
  readonly prefix: Prefix
  /** Streams that live for years are kept apart, so that they do not hold back the archiving of old months. */
  readonly evergreen: boolean
  readonly events: Schema.Codec<Event, unknown>
  /** The version each event type is written in now, where it is not 1. */
  readonly versions?: Readonly<Record<string, number>>
  /** Turns the JSON of an older version of an event into the next one. Keyed `Type@version`. */
  readonly upcasts?: Readonly<Record<string, (data: Record<string, unknown>) => Record<string, unknown>>>
  readonly initial: State
  readonly evolve: (state: State, event: Event) => State
  /** For streams that grow long. Without it every load folds the stream from its beginning. */
  readonly snapshot?: Snapshots<State>
}

/**
 * A snapshot is passed over when `evolve`, or a strong read model's `apply`, reads differently from the one that made
 * it. Functions that they call are not looked into: whoever changes one of those raises the revision.
 */
export interface Snapshots<State> {
  /** Events from one snapshot to the next. */
  readonly every: number
  readonly state: Schema.Codec<State, unknown>
  readonly revision: number
}

/** The version in which an event of this type is written today. */
export const versionOf = (aggregate: Pick<Aggregate<never, never>, "versions">, type: string): number =>
  aggregate.versions?.[type] ?? 1

/** Brings stored JSON of any past version to today's shape. */
export const upcast = (
  { upcasts = {}, versions }: Pick<Aggregate<never, never>, "versions" | "upcasts">,
  stored: { readonly type: string; readonly schemaVersion: number; readonly data: unknown }
): unknown => {
  const current = versionOf({ ...versions && { versions } }, stored.type)
  if (stored.schemaVersion > current) throw new Error(`${stored.type}@${stored.schemaVersion} is from the future`)
  let data = stored.data
  for (let version = stored.schemaVersion; version < current; version++) {
    const step = upcasts[`${stored.type}@${version}`]
    if (step === undefined) throw new Error(`no upcast from ${stored.type}@${version}`)
    data = step(data as Record<string, unknown>)
  }
  return data
}
