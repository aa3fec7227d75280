import { assert, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryBus from "#adapters/memory/Bus.ts"
import * as MemoryChanges from "#adapters/memory/Changes.ts"
import { Changes } from "#ports/Changes.ts"
import type { Message } from "#ports/Bus.ts"
import * as Announcing from "#processes/Announcing.ts"

const world = Announcing.layer.pipe(Layer.provideMerge(Layer.merge(MemoryBus.layer, MemoryChanges.layer)))

let written = 0
const message = (over: Partial<Message>): Message => ({
  topic: "domain-events",
  key: "inv_1",
  id: String(written++),
  type: "InvoiceOpened",
  schemaVersion: 1,
  body: {},
  headers: { category: "invoice" },
  recordedAt: DateTime.makeUnsafe("2026-03-14T15:09:26.535Z"),
  ...over
})
const head = (chain: string) => message({ topic: "integrations", key: chain, type: "HeadAdvanced", headers: {} })

/** Lets every fiber come to rest. */
const settle = TestClock.adjust(0)

/** Counts the ticks of an invoice. */
const watching = Effect.fnUntraced(function*(invoiceId: string) {
  const { of } = yield* Changes
  const ticks = { count: 0 }
  yield* Effect.forkScoped(Stream.runForEach(of(invoiceId), () => Effect.sync(() => ticks.count++)))
  yield* settle
  return ticks
})

it.effect("an invoice's events are announced to those who look at it, and to nobody else", () =>
  Effect.gen(function*() {
    const publish = yield* MemoryBus.Publish
    const [one, two] = [yield* watching("inv_1"), yield* watching("inv_2")]
    yield* publish([message({ key: "inv_1" }), message({ key: "inv_1" }), message({ key: "inv_3" })])
    yield* settle
    assert.deepStrictEqual([one.count, two.count], [1, 0])
  }).pipe(Effect.provide(world)))

it.effect("events of other kinds of streams are not announced", () =>
  Effect.gen(function*() {
    const publish = yield* MemoryBus.Publish
    const one = yield* watching("inv_1")
    yield* publish([message({ headers: { category: "merchant" } })])
    yield* settle
    assert.strictEqual(one.count, 0)
  }).pipe(Effect.provide(world)))

it.effect("a chain's new head is announced to all who look, at most once a second", () =>
  Effect.gen(function*() {
    const publish = yield* MemoryBus.Publish
    const [one, two] = [yield* watching("inv_1"), yield* watching("inv_2")]
    const heads = Effect.andThen(publish([head("base")]), settle)
    yield* heads
    yield* heads
    assert.deepStrictEqual([one.count, two.count], [1, 1])
    yield* TestClock.adjust("1 second")
    yield* heads
    assert.deepStrictEqual([one.count, two.count], [2, 2])
  }).pipe(Effect.provide(world)))

it.effect("a head of one chain does not silence another's", () =>
  Effect.gen(function*() {
    const publish = yield* MemoryBus.Publish
    const one = yield* watching("inv_1")
    yield* publish([head("base")])
    yield* settle
    yield* publish([head("polygon")])
    yield* settle
    assert.strictEqual(one.count, 2)
  }).pipe(Effect.provide(world)))

it.effect("an invoice is watched as long as the last of its listeners stays", () =>
  Effect.gen(function*() {
    const { of, watched } = yield* Changes
    const first = yield* Effect.forkChild(Stream.runDrain(of("inv_1")))
    yield* settle
    yield* Effect.scoped(Effect.gen(function*() {
      yield* watching("inv_1")
      yield* watching("inv_2")
      assert.deepStrictEqual(yield* watched, ["inv_1", "inv_2"])
    }))
    assert.deepStrictEqual(yield* watched, ["inv_1"])
    first.interruptUnsafe()
    yield* settle
    assert.deepStrictEqual(yield* watched, [])
  }).pipe(Effect.provide(MemoryChanges.layer)))

it.effect("a slow listener finds one tick, however often the invoice changed", () =>
  Effect.gen(function*() {
    const { announce, of } = yield* Changes
    let looks = 0
    yield* of("inv_1").pipe(
      Stream.runForEach(() => Effect.andThen(Effect.sync(() => looks++), Effect.sleep("1 minute"))),
      Effect.forkScoped
    )
    yield* settle
    for (let i = 0; i < 10; i++) yield* Effect.andThen(announce(["inv_1"]), settle)
    yield* TestClock.adjust("10 minutes")
    assert.strictEqual(looks, 2)
  }).pipe(Effect.provide(MemoryChanges.layer)))
