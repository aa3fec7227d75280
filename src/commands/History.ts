/** Stored JSON ↔ events of today. A stored event that does not decode is a bug, and dies as one. */
import { Schema } from "effect"
import { type Aggregate, upcast, versionOf } from "#domain/Aggregate.ts"
import type { Fresh } from "#ports/EventStore.ts"

type Kind<Event> = Pick<Aggregate<never, Event>, "events" | "versions" | "upcasts">

/** Throws on an event of an unknown type or version: nothing may be decided on half a history. */
export const decode = <Event>(kind: Kind<Event>, stored: Fresh): Event =>
  compiled(kind.events).decode(upcast(kind, stored))

export const encode = <Event extends { readonly _tag: string }>(kind: Kind<Event>, event: Event): Fresh => ({
  type: event._tag,
  schemaVersion: versionOf(kind, event._tag),
  data: compiled(kind.events).encode(event)
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
