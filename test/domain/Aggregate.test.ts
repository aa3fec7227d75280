/** Stored events of any past version become events of today, or are not read at all. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as History from "#commands/History.ts"
import { type Aggregate, upcast, versionOf } from "#domain/Aggregate.ts"

/** A lamp whose events have changed their shape twice since they were first stored. */
const Event = Schema.TaggedUnion({
  LampLit: { brightness: Schema.Int, colour: Schema.String },
  LampPutOut: {}
})
type Event = typeof Event.Type

const lamp: Aggregate<number, Event> = {
  category: "lamp",
  prefix: "req",
  evergreen: false,
  events: Event,
  versions: { LampLit: 3 },
  upcasts: {
    "LampLit@1": ({ level, ...data }) => ({ ...data, brightness: Number(level) }),
    "LampLit@2": (data) => ({ ...data, colour: "white" })
  },
  initial: 0,
  evolve: (lit, event) => Event.match(event, { LampLit: () => lit + 1, LampPutOut: () => 0 })
}
const { LampLit, LampPutOut } = Event.cases

describe("a stored event", () => {
  it("of the first version becomes one of today, step by step", () =>
    assert.deepStrictEqual(
      History.decode(lamp, { type: "LampLit", schemaVersion: 1, data: { _tag: "LampLit", level: "40" } }),
      LampLit.make({ brightness: 40, colour: "white" })
    ))

  it("of a version between takes only the steps that are left", () =>
    assert.deepStrictEqual(
      upcast(lamp, { type: "LampLit", schemaVersion: 2, data: { _tag: "LampLit", brightness: 40 } }),
      { _tag: "LampLit", brightness: 40, colour: "white" }
    ))

  it("of today is left as it is", () => {
    const data = { _tag: "LampLit", brightness: 40, colour: "red" }
    assert.strictEqual(upcast(lamp, { type: "LampLit", schemaVersion: 3, data }), data)
  })

  it("is written in today's version, which is 1 until it is said otherwise", () => {
    assert.deepStrictEqual(History.encode(lamp, LampLit.make({ brightness: 40, colour: "red" })), {
      type: "LampLit",
      schemaVersion: 3,
      data: { _tag: "LampLit", brightness: 40, colour: "red" }
    })
    assert.strictEqual(versionOf(lamp, LampPutOut.make({})._tag), 1)
  })

  it("with a step missing on the way is not guessed at", () => {
    const { "LampLit@2": _, ...upcasts } = lamp.upcasts ?? {}
    assert.throws(
      () => History.decode({ ...lamp, upcasts }, { type: "LampLit", schemaVersion: 1, data: { level: "40" } }),
      "no upcast from LampLit@2"
    )
  })

  it("of a version newer than this program is not guessed at", () =>
    assert.throws(
      () =>
        upcast(lamp, { type: "LampLit", schemaVersion: 4, data: { _tag: "LampLit", brightness: 40, colour: "red" } }),
      "LampLit@4 is from the future"
    ))

  it("of a type that nobody knows is not guessed at", () =>
    assert.throws(() => History.decode(lamp, { type: "LampSold", schemaVersion: 1, data: { _tag: "LampSold" } })))
})
