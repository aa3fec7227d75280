/** Stored JSON ↔ events of today. A stored event that does not decode is a bug, and dies as one. */
import { Schema } from "effect"
import { type Aggregate, upcast, versionOf } from "#domain/Aggregate.ts"
import type { Fresh } from "#ports/EventStore.ts"

type Kind<Event> = Pick<Aggregate<never, Event>, "events" | "versions" | "upcasts">

// Compiling a codec costs far more than using it.
const codecs = new WeakMap<object, { decode: (json: unknown) => unknown; encode: (event: unknown) => unknown }>()
const codecOf = <Event>({ events }: Kind<Event>) => {
  const known = codecs.get(events)
  if (known !== undefined) return known
  const made = {
    decode: Schema.decodeUnknownSync(events) as (json: unknown) => unknown,
    encode: Schema.encodeUnknownSync(events) as (event: unknown) => unknown
  }
  codecs.set(events, made)
  return made
}

/** Throws on an event of an unknown type or version: nothing may be decided on half a history. */
export const decode = <Event>(kind: Kind<Event>, stored: Fresh): Event =>
  codecOf(kind).decode(upcast(kind, stored)) as Event

export const encode = <Event extends { readonly _tag: string }>(kind: Kind<Event>, event: Event): Fresh => ({
  type: event._tag,
  schemaVersion: versionOf(kind, event._tag),
  data: codecOf(kind).encode(event)
})
