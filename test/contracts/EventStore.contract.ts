/** What every EventStore owes its callers. Run it once per implementation. */
import { assert, layer as describeWith } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, type Layer, Schema } from "effect"
import * as fc from "fast-check"
import { newId } from "#commands/NewId.ts"
import { type Append, EventStore, type Receipt, type Row } from "#ports/EventStore.ts"
import { type View, Views } from "#ports/Views.ts"

const at = DateTime.makeUnsafe("2026-03-14T15:09:26.535Z")
const freshStream = newId({ prefix: "inv", evergreen: false })
const freshTenant = newId({ prefix: "mer", evergreen: true })

const details: View<unknown> = { name: "invoice_details", row: Schema.Unknown }
const addresses: View<unknown> = { name: "address_book", row: Schema.Unknown }

const receipt = (key: string, hash = "h"): Receipt => ({ key, hash })
const row = (key: string, data: unknown = { createdAt: DateTime.formatIso(at), key }): Row => ({
  view: details.name,
  key,
  data
})
const deposit = (address: string, wallet: string, index: number): Row => ({
  view: addresses.name,
  key: address,
  data: { address, wallet, index }
})

/** A fresh stream of a fresh tenant, and how to append to it. */
const aStream = Effect.gen(function*() {
  const store = yield* EventStore
  const stream = yield* freshStream
  const tenant = yield* freshTenant
  const append = (expected: number, types: ReadonlyArray<string>, more: Partial<Append> = {}) =>
    store.append({
      stream,
      category: "invoice",
      tenant,
      expected,
      events: types.map((type, i) => ({ type, schemaVersion: 1, data: { i } })),
      at,
      meta: { command: "Test", actor: "test" },
      rows: [],
      ...more
    })
  const types = store.read(stream, tenant).pipe(Effect.map((events) => events.map(({ type }) => type)))
  return { append, store, stream, tenant, types }
})

const tagsOf = <A, E extends { readonly _tag: string }>(exits: ReadonlyArray<Exit.Exit<A, E>>) =>
  exits.map((exit) => Exit.isSuccess(exit) ? "written" : Exit.findErrorOption(exit)).map((outcome) =>
    typeof outcome === "string" ? outcome : outcome._tag === "Some" ? outcome.value._tag : "defect"
  )
const count = (tags: ReadonlyArray<string>, tag: string) => tags.filter((each) => each === tag).length

const together = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.forEach(effects, Effect.exit, { concurrency: "unbounded" })

export const eventStoreContract = <E>(name: string, layer: Layer.Layer<EventStore | Views, E>) =>
  describeWith(layer, { excludeTestServices: true })(`EventStore: ${name}`, (it) => {
    it.effect("reads an unwritten stream as empty", () =>
      Effect.gen(function*() {
        const { types } = yield* aStream
        assert.deepStrictEqual(yield* types, [])
      }))

    it.effect("reads back all that was appended, in order", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant } = yield* aStream
        assert.strictEqual(yield* append(0, ["One", "Two"]), 2)
        const meta = { command: "Third", actor: "key_1", cause: "c", requestId: "r", traceparent: "t" }
        const third = { type: "Three", schemaVersion: 7, data: { nested: [{ "'quoted'": '\\"§é💶' }], none: null } }
        assert.strictEqual(yield* append(2, [], { events: [third], meta }), 3)
        const events = yield* store.read(stream, tenant)
        assert.deepStrictEqual(events.map(({ type, version }) => [version, type]), [[1, "One"], [2, "Two"], [
          3,
          "Three"
        ]])
        const { eventId, ...last } = events[2]!
        assert.match(eventId, /^evt_[0-9a-z]{26}$/)
        assert.deepStrictEqual(last, {
          ...third,
          stream,
          tenant,
          category: "invoice",
          version: 3,
          recordedAt: at,
          meta
        })
        assert.strictEqual(new Set(events.map((event) => event.eventId)).size, 3)
      }))

    it.effect("reads only what came after a version", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant } = yield* aStream
        yield* append(0, ["One", "Two", "Three"])
        const tail = yield* store.read(stream, tenant, 2)
        assert.deepStrictEqual(tail.map(({ type, version }) => [version, type]), [[3, "Three"]])
      }))

    it.effect("refuses to append to a stream that has moved, and writes nothing then", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant, types } = yield* aStream
        yield* append(0, ["One", "Two"])
        for (const expected of [0, 1, 3]) {
          const refused = append(expected, ["Other"], { receipt: receipt(`r${expected}`), rows: [row(stream)] })
          assert.strictEqual((yield* Effect.flip(refused))._tag, "StreamMoved")
          assert.isNull(yield* store.receipt(tenant, `r${expected}`))
        }
        assert.deepStrictEqual(yield* types, ["One", "Two"])
        assert.isNull(yield* (yield* Views).get(details, stream))
      }))

    it.effect("lets one of twenty writers at the same version win", () =>
      Effect.gen(function*() {
        const { append, types } = yield* aStream
        yield* append(0, ["Begun"])
        const tags = tagsOf(yield* together(Array.from({ length: 20 }, (_, i) => append(1, [`By${i}`]))))
        assert.strictEqual(count(tags, "written"), 1)
        assert.strictEqual(count(tags, "StreamMoved"), 19)
        assert.deepStrictEqual(yield* types, ["Begun", `By${tags.indexOf("written")}`])
      }))

    it.effect("lets one of twenty who begin the same stream win", () =>
      Effect.gen(function*() {
        const { append, types } = yield* aStream
        const tags = tagsOf(yield* together(Array.from({ length: 20 }, (_, i) => append(0, [`By${i}`]))))
        assert.strictEqual(count(tags, "written"), 1)
        assert.strictEqual(count(tags, "StreamMoved"), 19)
        assert.deepStrictEqual(yield* types, [`By${tags.indexOf("written")}`])
      }))

    it.effect("keeps a receipt with what it stands for", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant } = yield* aStream
        yield* append(0, ["One", "Two"], { receipt: receipt("order-1", "abc") })
        assert.deepStrictEqual(yield* store.receipt(tenant, "order-1"), { hash: "abc", stream, version: 2 })
        assert.isNull(yield* store.receipt(tenant, "order-2"))
        assert.isNull(yield* store.receipt(yield* freshTenant, "order-1"))
      }))

    it.effect("keeps a receipt alone when nothing follows, and only at the expected version", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant, types } = yield* aStream
        yield* append(0, ["One"])
        assert.strictEqual(yield* append(1, [], { receipt: receipt("again") }), 1)
        assert.deepStrictEqual(yield* store.receipt(tenant, "again"), { hash: "h", stream, version: 1 })
        const late = yield* Effect.flip(append(0, [], { receipt: receipt("late") }))
        assert.strictEqual(late._tag, "StreamMoved")
        assert.isNull(yield* store.receipt(tenant, "late"))
        assert.deepStrictEqual(yield* types, ["One"])
      }))

    it.effect("does nothing under a receipt that was used before, whatever the stream", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant, types } = yield* aStream
        yield* append(0, ["One"], { receipt: receipt("once") })
        const again = yield* Effect.flip(append(1, ["Two"], { receipt: receipt("once"), rows: [row(stream)] }))
        assert.strictEqual(again._tag, "AlreadyReceived")
        const stale = yield* Effect.flip(append(0, ["One"], { receipt: receipt("once") }))
        assert.strictEqual(stale._tag, "AlreadyReceived")
        const other = yield* freshStream
        const elsewhere = yield* Effect.flip(append(0, ["One"], { stream: other, receipt: receipt("once") }))
        assert.strictEqual(elsewhere._tag, "AlreadyReceived")
        assert.deepStrictEqual(yield* types, ["One"])
        assert.deepStrictEqual(yield* store.read(other, tenant), [])
        assert.isNull(yield* (yield* Views).get(details, stream))
      }))

    it.effect("has one effect when two hundred ask at once under one receipt", () =>
      Effect.gen(function*() {
        const { append, store, tenant } = yield* aStream
        const streams = yield* Effect.replicateEffect(freshStream, 200)
        const exits = yield* together(
          streams.map((stream) => append(0, ["Opened"], { stream, receipt: receipt("all"), rows: [row(stream)] }))
        )
        const tags = tagsOf(exits)
        assert.strictEqual(count(tags, "written"), 1)
        assert.strictEqual(count(tags, "AlreadyReceived"), 199)
        const winner = streams[tags.indexOf("written")]!
        const written = yield* Effect.filter(streams, (stream) =>
          Effect.map(store.read(stream, tenant), (events) => events.length > 0))
        assert.deepStrictEqual(written, [winner])
        assert.strictEqual((yield* store.receipt(tenant, "all"))?.stream, winner)
        const rows = yield* (yield* Views).list(details, { tenant, limit: 10 })
        assert.strictEqual(rows.length, 1)
      }))

    it.effect("does not show a stream to another tenant, nor let him write to it", () =>
      Effect.gen(function*() {
        const { append, store, stream, types } = yield* aStream
        yield* append(0, ["One"])
        const stranger = yield* freshTenant
        assert.deepStrictEqual(yield* store.read(stream, stranger), [])
        for (const expected of [0, 1]) {
          const refused = append(expected, ["Stolen"], { tenant: stranger, rows: [row(stream)] })
          assert.strictEqual((yield* Effect.flip(refused))._tag, "StreamMoved")
        }
        assert.deepStrictEqual(yield* types, ["One"])
      }))

    it.effect("writes rows with the events, replaces them, and takes them away", () =>
      Effect.gen(function*() {
        const { append, stream } = yield* aStream
        const views = yield* Views
        yield* append(0, ["One"], { rows: [row(stream, { createdAt: DateTime.formatIso(at), n: 1 })] })
        assert.deepStrictEqual(yield* views.get(details, stream), { createdAt: DateTime.formatIso(at), n: 1 })
        yield* append(1, ["Two"], { rows: [row(stream, { createdAt: DateTime.formatIso(at), n: 2 })] })
        assert.deepStrictEqual(yield* views.get(details, stream), { createdAt: DateTime.formatIso(at), n: 2 })
        yield* append(2, ["Three"], { rows: [row(stream, null)] })
        assert.isNull(yield* views.get(details, stream))
      }))

    it.effect("never lets a row pass from one stream to another", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant, types } = yield* aStream
        const views = yield* Views
        yield* append(0, ["One"], { rows: [row(stream, { mine: true })] })
        const other = yield* freshStream
        const refused = yield* Effect.flip(
          append(0, ["One"], { stream: other, rows: [row(stream, { mine: false })], receipt: receipt("taken") })
        )
        assert.deepStrictEqual(refused._tag === "NotUnique" && refused.constraint, "invoice_details_pkey")
        yield* append(0, ["One"], { stream: other, rows: [row(stream, null)] })
        assert.deepStrictEqual(yield* views.get(details, stream), { mine: true })
        assert.isNull(yield* store.receipt(tenant, "taken"))
        assert.deepStrictEqual(yield* types, ["One"])
      }))

    it.effect("gives no address out twice, and the others written meanwhile go through", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant } = yield* aStream
        const wallet = yield* newId({ prefix: "wal", evergreen: true })
        yield* append(0, ["Opened"], { rows: [deposit(`0x${stream}`, wallet, 7)] })
        const streams = yield* Effect.replicateEffect(freshStream, 20)
        const exits = yield* together(streams.map((each, i) =>
          append(0, ["Opened"], {
            stream: each,
            receipt: receipt(each),
            rows: [deposit(`0x${each}`, wallet, i === 13 ? 7 : 100 + i)]
          })
        ))
        const tags = tagsOf(exits)
        assert.strictEqual(tags[13], "NotUnique")
        assert.strictEqual(count(tags, "written"), 19)
        assert.deepStrictEqual(yield* store.read(streams[13]!, tenant), [])
        assert.isNull(yield* store.receipt(tenant, streams[13]!))
        assert.isNull(yield* (yield* Views).get(addresses, `0x${streams[13]!}`))
      }))

    it.effect("does not break the others when a caller gives up", () =>
      Effect.gen(function*() {
        const { append, store, tenant } = yield* aStream
        const streams = yield* Effect.replicateEffect(freshStream, 60)
        const fibers = yield* Effect.forEach(streams, (stream) => Effect.forkChild(append(0, ["One"], { stream })))
        yield* Effect.yieldNow
        yield* Effect.forEach(fibers.filter((_, i) => i % 3 === 0), Fiber.interrupt)
        const kept = fibers.filter((_, i) => i % 3 !== 0)
        assert.deepStrictEqual(yield* Effect.forEach(kept, Fiber.join), kept.map(() => 1))
        const lengths = yield* Effect.forEach(streams, (stream) => store.read(stream, tenant))
        for (const [i, events] of lengths.entries()) assert.isTrue(events.length === 1 || i % 3 === 0)
      }))

    it.effect("keeps the newest snapshot of a fold, and shows it to its tenant only", () =>
      Effect.gen(function*() {
        const { append, store, stream, tenant } = yield* aStream
        yield* append(0, ["One", "Two", "Three"])
        assert.isNull(yield* store.snapshot(stream, tenant))
        const newer = { version: 2, reducer: "a", state: { n: [2] } }
        yield* store.keepSnapshot(stream, newer)
        yield* store.keepSnapshot(stream, { version: 1, reducer: "a", state: { n: [1] } })
        assert.deepStrictEqual(yield* store.snapshot(stream, tenant), newer)
        assert.isNull(yield* store.snapshot(stream, yield* freshTenant))
        const refolded = { version: 1, reducer: "b", state: null }
        yield* store.keepSnapshot(stream, refolded)
        assert.deepStrictEqual(yield* store.snapshot(stream, tenant), refolded)
      }))

    it.effect("leaves receipts, events and rows agreeing, whatever the interleaving", () =>
      Effect.gen(function*() {
        const context = yield* Effect.context<EventStore | Views>()
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(
              fc.array(someCommand, { minLength: 1, maxLength: 40 }),
              (commands) => Effect.runPromiseWith(context)(agreement(commands))
            ),
            { numRuns: 40 }
          )
        )
      }))
  })

interface SomeCommand {
  readonly stream: number
  readonly expected: number
  readonly size: number
  readonly key: number | null
  readonly row: number | null
}
const someCommand: fc.Arbitrary<SomeCommand> = fc.record({
  stream: fc.nat(3),
  expected: fc.nat(3),
  size: fc.nat(2),
  key: fc.option(fc.nat(5)),
  row: fc.option(fc.nat(4))
})

/** Runs all commands at once; whatever won, the three must tell one story. */
const agreement = Effect.fnUntraced(function*(commands: ReadonlyArray<SomeCommand>) {
  const store = yield* EventStore
  const views = yield* Views
  const tenant = yield* freshTenant
  const streams = yield* Effect.replicateEffect(freshStream, 4)
  const nameOf = (n: number) => `${tenant}-${n}`
  const exits = yield* together(commands.map(({ expected, key, row: place, size, stream }, i) =>
    store.append({
      stream: streams[stream]!,
      category: "invoice",
      tenant,
      expected,
      events: Array.from({ length: size }, () => ({ type: "Done", schemaVersion: 1, data: { by: i } })),
      at,
      meta: { command: "Test", actor: "test" },
      ...(key !== null && { receipt: { key: nameOf(key), hash: String(i) } }),
      rows: place === null || size === 0 ? [] : [row(nameOf(place), { by: i })]
    })
  ))
  const written = new Set(commands.flatMap((_, i) => Exit.isSuccess(exits[i]!) ? [i] : []))
  const authors = yield* Effect.forEach(streams, (stream) =>
    Effect.map(store.read(stream, tenant), (events) => {
      assert.deepStrictEqual(events.map(({ version }) => version), events.map((_, i) => i + 1))
      return events.map(({ data }) => (data as { readonly by: number }).by)
    }))
  const counted = (i: number) => authors.flat().filter((by) => by === i).length
  for (const [i, { key, row: place, size }] of commands.entries()) {
    assert.strictEqual(counted(i), written.has(i) ? size : 0)
    const receipt = key === null ? null : yield* store.receipt(tenant, nameOf(key))
    assert.strictEqual(receipt?.hash === String(i), key !== null && written.has(i))
    if (key !== null && written.has(i)) assert.strictEqual(receipt?.stream, streams[commands[i]!.stream])
    const shown = place === null
      ? null
      : yield* views.get(details, nameOf(place)) as Effect.Effect<{ by: number } | null>
    if (place === null || size === 0 || !written.has(i)) assert.isFalse(place !== null && shown?.by === i)
    else {
      // The row's last word is that of a stream's last writer who wrote it, and it stays with one stream.
      assert.isNotNull(shown)
      assert.strictEqual(commands[shown.by]?.stream, commands[i]!.stream)
    }
  }
})
