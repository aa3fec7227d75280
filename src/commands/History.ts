/** Stored JSON ↔ events of today. A stored event that does not decode is a bug, and dies as one. */
import { DateTime, Schema } from "effect"
import { type Aggregate, upcast, versionOf } from "#domain/Aggregate.ts"
import type { Fresh } from "#ports/EventStore.ts"

type Kind<Event> = Pick<Aggregate<never, Event>, "events" | "versions" | "upcasts">

/** Throws on an event of an unknown type or version: nothing may be decided on half a history. */
export const decode = <Event>(kind: Kind<Event>, stored: Fresh): Event =>
  compiled(kind.events).decode(upcast(kind, stored))

export const encode = <Event extends { readonly _tag: string }>(kind: Kind<Event>, event: Event): Fresh => ({
  type: event._tag,
  schemaVersion: versionOf(kind, event._tag),
  data: plain(event)
})

export interface Compiled<A> {
  readonly decode: (json: unknown) => A
  readonly encode: (value: A) => unknown
}

/** Compiling a codec costs far more than using it. */
export const compiled = <A>(codec: Schema.Codec<A, unknown>): Compiled<A> => {
  const known = codecs.get(codec) as Compiled<A> | undefined
  if (known !== undefined) return known
  const made = { decode: Schema.decodeUnknownSync(codec), encode: Schema.encodeSync(codec) }
  codecs.set(codec, made)
  return made
}

const codecs = new WeakMap<object, unknown>()

/**
 * What a codec's encoding gives, in a fifth of its time: in all that we store, only big integers and moments are not
 * JSON already, and what was made by a schema need not be checked by it again. `test/commands/History.test.ts` holds
 * it to the codec of every event and row there is.
 */
export const plain = (value: unknown): unknown => {
  if (typeof value === "bigint") return value.toString()
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if (DateTime.isDateTime(value)) return DateTime.formatIso(value)
  // Not by assignment: a merchant's metadata may have a key called `__proto__`.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}
