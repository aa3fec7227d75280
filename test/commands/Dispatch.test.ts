/** The one way to change anything, on a toy: a counter that is raised and never passes its limit. */
import { assert, describe, layer as describeWith } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Ref, Result, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import * as Command from "#commands/Command.ts"
import { type Behalf, Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { newId } from "#commands/NewId.ts"
import type { Aggregate, Decision } from "#domain/Aggregate.ts"
import type { Projection } from "#domain/Projection.ts"
import { type Append, EventStore } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"

const Event = Schema.TaggedUnion({
  CounterOpened: { limit: Schema.Int },
  CounterRaised: { by: Schema.Int, reason: Schema.String }
})
type Event = typeof Event.Type
const { CounterOpened, CounterRaised } = Event.cases

const State = Schema.Struct({ limit: Schema.Int, total: Schema.Int })
type State = typeof State.Type

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { total: Schema.Int }) {}

const counter: Aggregate<State, Event> = {
  category: "invoice",
  prefix: "inv",
  evergreen: false,
  events: Event,
  versions: { CounterRaised: 2 },
  upcasts: { "CounterRaised@1": ({ amount, ...rest }) => ({ ...rest, by: amount, reason: "unknown" }) },
  initial: { limit: 0, total: 0 },
  evolve: (state, event) =>
    Event.match(event, {
      CounterOpened: ({ limit }): State => ({ limit, total: 0 }),
      CounterRaised: ({ by }) => ({ ...state, total: state.total + by })
    })
}
const snapshotted: typeof counter = { ...counter, snapshot: { every: 4, state: State, revision: 1 } }

const openCounter = (aggregate: typeof counter) =>
  Command.make("OpenCounter", {
    aggregate,
    opens: true,
    asks: { limit: Schema.Int },
    decide: ({ limit }) => (): Decision<Event, TooMuch> =>
      limit > 1000 ? Result.fail(new TooMuch({ total: limit })) : Result.succeed([CounterOpened.make({ limit })])
  })

const raiseCounter = (aggregate: typeof counter) =>
  Command.make("RaiseCounter", {
    aggregate,
    asks: { by: Schema.Int },
    decide: ({ by }, { actor }) => ({ limit, total }: State): Decision<Event, TooMuch> => {
      if (by === 0) return Result.succeed([])
      if (total + by > limit) return Result.fail(new TooMuch({ total }))
      return Result.succeed([CounterRaised.make({ by, reason: actor })])
    }
  })

const commandsOf = (aggregate: typeof counter) => ({ open: openCounter(aggregate), raise: raiseCounter(aggregate) })
const plain = commandsOf(counter)

const CounterRow = Schema.Struct({
  id: Schema.String,
  total: Schema.Int,
  reasons: Schema.Array(Schema.String),
  createdAt: Schema.DateTimeUtcFromString,
  updatedAt: Schema.DateTimeUtcFromString,
  version: Schema.Int
})
type CounterRow = typeof CounterRow.Type

const counters: Projection<CounterRow, Event> = {
  name: "invoice_details",
  aggregate: counter,
  row: CounterRow,
  key: (stream) => stream,
  apply: (row, event, { recordedAt: updatedAt, stream, version }) => {
    if (event._tag === "CounterOpened") {
      return { id: stream, total: 0, reasons: [], createdAt: updatedAt, updatedAt, version }
    }
    if (row === null) return null
    return { ...row, total: row.total + event.by, reasons: [...row.reasons, event.reason], updatedAt, version }
  }
}

/** Shown only as long as nothing was counted. */
const untouched: Projection<{ readonly id: string }, Event> = {
  name: "merchants",
  aggregate: counter,
  row: Schema.Struct({ id: Schema.String }),
  key: (stream) => stream,
  apply: (_, event, { stream }) => event._tag === "CounterOpened" ? { id: stream } : null
}

/** What was appended, and someone who steps in before an append. */
class Watch extends Context.Service<Watch, {
  readonly appends: Ref.Ref<ReadonlyArray<Append>>
  readonly before: Ref.Ref<Effect.Effect<void>>
}>()("test/Watch") {}

const watch = Layer.effect(
  Watch,
  Effect.all({
    appends: Ref.make<ReadonlyArray<Append>>([]),
    before: Ref.make<Effect.Effect<void>>(Effect.void)
  })
)

const watchedStore = Layer.effect(
  EventStore,
  Effect.gen(function*() {
    const store = yield* EventStore
    const { appends, before } = yield* Watch
    return EventStore.of({
      ...store,
      append: (append) =>
        Effect.gen(function*() {
          yield* Effect.flatten(Ref.getAndSet(before, Effect.void))
          yield* Ref.update(appends, (all) => [...all, append])
          return yield* store.append(append)
        })
    })
  })
).pipe(Layer.provide(MemoryEventStore.layer))

const world = Dispatch.layer.pipe(
  Layer.provideMerge(watchedStore),
  Layer.provideMerge(Layer.merge(MemoryViews.layer, watch)),
  Layer.provide(Layer.succeed(StrongProjections, [counters, untouched]))
)

/** A counter of a fresh tenant, opened with this limit. */
const aCounter = Effect.fnUntraced(function*(limit: number, commands: typeof plain = plain) {
  const { dispatch } = yield* Dispatch
  const { appends, before } = yield* Watch
  const store = yield* EventStore
  const id = yield* newId(counter)
  const tenant = yield* newId({ prefix: "mer", evergreen: true })
  const behalf: Behalf = { tenant, actor: "tester" }
  const raise = (by: number, more: Partial<Behalf> = {}) => dispatch(commands.raise, id, { by }, { ...behalf, ...more })
  const opened = yield* dispatch(commands.open, id, { limit }, behalf)
  yield* Ref.set(appends, [])
  return {
    id,
    tenant,
    store,
    opened,
    behalf,
    before,
    appends: Ref.get(appends),
    events: store.read(id, tenant),
    raise
  }
})

describeWith(world)("dispatching a command", (it) => {
  it.effect("appends what was decided, with who asked and why", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("90 seconds")
      const { events, id, opened, raise, tenant } = yield* aCounter(10)
      assert.deepStrictEqual([opened.id, opened.version, opened.state], [id, 1, { limit: 10, total: 0 }])
      const { replayed, state, version } = yield* raise(3, { cause: "evt_1", requestId: "req_1", traceparent: "00-a" })
      assert.deepStrictEqual([state, version, replayed], [{ limit: 10, total: 3 }, 2, false])
      const [, { eventId: _, ...raised } = {}] = yield* events
      assert.deepStrictEqual(raised, {
        type: "CounterRaised",
        schemaVersion: 2,
        data: { _tag: "CounterRaised", by: 3, reason: "tester" },
        stream: id,
        category: "invoice",
        tenant,
        version: 2,
        recordedAt: DateTime.makeUnsafe(90_000),
        meta: { command: "RaiseCounter", actor: "tester", cause: "evt_1", requestId: "req_1", traceparent: "00-a" }
      })
    }))

  it.effect("writes the strong read models with it, and those only that changed", () =>
    Effect.gen(function*() {
      const { appends, id, opened, raise } = yield* aCounter(10)
      const views = yield* Views
      assert.deepStrictEqual(opened.row(untouched), { id })
      const { row } = yield* raise(3)
      assert.strictEqual(row(counters)?.total, 3)
      assert.deepStrictEqual(yield* views.get(counters, id), row(counters))
      assert.isNull(row(untouched))
      assert.isNull(yield* views.get(untouched, id))
      yield* raise(4)
      assert.deepStrictEqual((yield* appends).map(({ rows }) => rows.map(({ view }) => view)), [
        ["invoice_details", "merchants"],
        ["invoice_details"]
      ])
    }))

  it.effect("decides again when the stream has moved", () =>
    Effect.gen(function*() {
      const { before, events, raise } = yield* aCounter(10)
      yield* Ref.set(before, Effect.orDie(Effect.asVoid(raise(6))))
      const { state, version } = yield* raise(3)
      assert.deepStrictEqual([state.total, version], [9, 3])
      yield* Ref.set(before, Effect.orDie(Effect.asVoid(raise(1))))
      assert.deepStrictEqual(yield* Effect.flip(raise(1)), new TooMuch({ total: 10 }))
      assert.strictEqual((yield* events).length, 4)
    }))

  it.effect("gives up on a stream that never stands still", () =>
    Effect.gen(function*() {
      const { before, raise } = yield* aCounter(1000)
      const meddle: Effect.Effect<void> = Effect.suspend(() =>
        Effect.orDie(Effect.asVoid(raise(1))).pipe(Effect.andThen(Ref.set(before, meddle)))
      )
      yield* Ref.set(before, meddle)
      const error = yield* Effect.flip(raise(1))
      assert.strictEqual(error._tag, "VersionConflict")
      yield* Ref.set(before, Effect.void)
    }))

  it.effect("writes nothing when the answer is no", () =>
    Effect.gen(function*() {
      const { appends, raise, store, tenant } = yield* aCounter(10)
      const refused = yield* Effect.flip(raise(11, { receipt: { key: "k", hash: "h" } }))
      assert.deepStrictEqual(refused, new TooMuch({ total: 0 }))
      assert.deepStrictEqual(yield* appends, [])
      assert.isNull(yield* store.receipt(tenant, "k"))
    }))

  it.effect("writes nothing when nothing follows, but for the receipt", () =>
    Effect.gen(function*() {
      const { appends, events, raise } = yield* aCounter(10)
      assert.strictEqual((yield* raise(0)).version, 1)
      assert.deepStrictEqual(yield* appends, [])
      const receipt = { key: "k", hash: "h" }
      assert.deepInclude(yield* raise(0, { receipt }), { version: 1, replayed: false })
      assert.deepInclude(yield* raise(0, { receipt }), { version: 1, replayed: true })
      assert.strictEqual((yield* events).length, 1)
    }))

  it.effect("gives the very same answer to a receipt it knows, whatever happened since", () =>
    Effect.gen(function*() {
      const { events, raise } = yield* aCounter(10)
      const receipt = { key: "k", hash: "h" }
      const first = yield* raise(3, { receipt })
      yield* TestClock.adjust("1 hour")
      yield* raise(7)
      const again = yield* raise(3, { receipt })
      assert.isTrue(again.replayed)
      assert.deepStrictEqual([again.id, again.version, again.state], [first.id, first.version, first.state])
      assert.deepStrictEqual(again.row(counters), first.row(counters))
      assert.strictEqual((yield* events).length, 3)
    }))

  it.effect("opens one stream for a receipt, though each asking brings a fresh id", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* Dispatch
      const tenant = yield* newId({ prefix: "mer", evergreen: true })
      const receipt = { key: "open", hash: "h" }
      const ask = (limit: number, hash = "h") =>
        Effect.flatMap(newId(counter), (id) =>
          dispatch(plain.open, id, { limit }, { tenant, actor: "tester", receipt: { ...receipt, hash } }))
      const outcomes = yield* Effect.all(
        Array.from({ length: 50 }, () =>
          ask(10)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(outcomes.filter(({ replayed }) => !replayed).length, 1)
      assert.strictEqual(new Set(outcomes.map(({ id }) => id)).size, 1)
      assert.isTrue((yield* ask(5000)).replayed, "granted then, though it would be refused now")
      assert.strictEqual((yield* Effect.flip(ask(10, "other")))._tag, "ReceiptMismatch")
    }))

  it.effect("refuses a receipt that came with another question", () =>
    Effect.gen(function*() {
      const { events, raise } = yield* aCounter(10)
      yield* raise(3, { receipt: { key: "k", hash: "three" } })
      const error = yield* Effect.flip(raise(4, { receipt: { key: "k", hash: "four" } }))
      assert.strictEqual(error._tag, "ReceiptMismatch")
      assert.strictEqual((yield* events).length, 2)
    }))

  it.effect("acts only on the version the caller knows, if he names one", () =>
    Effect.gen(function*() {
      const { raise } = yield* aCounter(10)
      assert.strictEqual((yield* raise(1, { ifVersion: 1 })).version, 2)
      const error = yield* Effect.flip(raise(1, { ifVersion: 1 }))
      assert.deepStrictEqual([error._tag, error._tag === "VersionConflict" && error.version], ["VersionConflict", 2])
    }))

  it.effect("does not see another tenant's stream", () =>
    Effect.gen(function*() {
      const { events, raise } = yield* aCounter(10)
      const stranger = yield* newId({ prefix: "mer", evergreen: true })
      assert.deepStrictEqual(yield* Effect.flip(raise(1, { tenant: stranger })), new TooMuch({ total: 0 }))
      assert.strictEqual((yield* events).length, 1)
    }))

  it.effect("reads events of every version that was ever written", () =>
    Effect.gen(function*() {
      const { id, raise, store, tenant } = yield* aCounter(10)
      const old = { type: "CounterRaised", schemaVersion: 1, data: { _tag: "CounterRaised", amount: 4 } }
      yield* store.append({
        stream: id,
        category: "invoice",
        tenant,
        expected: 1,
        events: [old],
        at: yield* DateTime.now,
        meta: { command: "RaiseCounter", actor: "an older release" },
        rows: []
      })
      const { row, state } = yield* raise(2)
      assert.deepStrictEqual([state.total, row(counters)?.reasons], [6, ["unknown", "tester"]])
      yield* store.append({
        stream: id,
        category: "invoice",
        tenant,
        expected: 3,
        events: [{ ...old, schemaVersion: 0 }],
        at: yield* DateTime.now,
        meta: { command: "RaiseCounter", actor: "nobody" },
        rows: []
      })
      const exit = yield* Effect.exit(raise(1))
      assert.include(String(exit), "no upcast from CounterRaised@0")
    }))
})

describe("snapshots", () => {
  describeWith(world)("of a stream", (it) => {
    it.effect("change nothing in what is answered or written", () =>
      Effect.gen(function*() {
        const unkept = yield* aCounter(1000)
        const kept = yield* aCounter(1000, commandsOf(snapshotted))
        for (let by = 1; by <= 11; by++) {
          const without = yield* unkept.raise(by)
          const shortened = yield* kept.raise(by, { receipt: { key: `r${by}`, hash: "h" } })
          assert.deepStrictEqual([shortened.state, shortened.version], [without.state, without.version])
          assert.deepStrictEqual({ ...shortened.row(counters), id: "" }, { ...without.row(counters), id: "" })
          if (shortened.version % 4 === 0) yield* until(snapshotAt(kept, shortened.version))
        }
        const early = yield* kept.raise(2, { receipt: { key: "r2", hash: "h" } })
        assert.deepStrictEqual([early.version, early.state.total, early.row(counters)?.total], [3, 3, 3])
        assert.isNull(yield* unkept.store.snapshot(unkept.id, unkept.tenant))
      }))

    it.effect("save reading what they stand for", () =>
      Effect.gen(function*() {
        const { id, raise, store, tenant } = yield* aCounter(1000, commandsOf(snapshotted))
        for (let by = 1; by <= 4; by++) yield* raise(by)
        const kept = yield* until(store.snapshot(id, tenant))
        assert.strictEqual(kept.version, 4)
        const forged = { state: { limit: 1000, total: 500 }, rows: { invoice_details: null, merchants: null } }
        yield* store.keepSnapshot(id, { ...kept, version: 5, state: forged })
        assert.strictEqual((yield* raise(1)).state.total, 501)
      }))

    it.effect("of another fold, or that do not decode, are passed over", () =>
      Effect.gen(function*() {
        const { behalf, id, raise, store, tenant } = yield* aCounter(1000, commandsOf(snapshotted))
        for (let by = 1; by <= 4; by++) yield* raise(by)
        const kept = yield* until(store.snapshot(id, tenant))
        yield* store.keepSnapshot(id, { ...kept, version: 5, state: { state: "?", rows: {} } })
        assert.strictEqual((yield* raise(1)).state.total, 11)
        const { dispatch } = yield* Dispatch
        const doubled: typeof counter = {
          ...snapshotted,
          evolve: (state, event) =>
            event._tag === "CounterRaised" ? { ...state, total: -1 } : counter.evolve(state, event)
        }
        assert.strictEqual((yield* dispatch(raiseCounter(doubled), id, { by: 1 }, behalf)).state.total, -1)
      }))
  })
})

interface Kept {
  readonly id: string
  readonly tenant: string
  readonly store: EventStore["Service"]
}
const snapshotAt = ({ id, store, tenant }: Kept, version: number) =>
  Effect.map(store.snapshot(id, tenant), (kept) => kept?.version === version ? kept : null)

/** What becomes true off the path. */
const until = <A, E>(effect: Effect.Effect<A | null, E>) =>
  effect.pipe(
    Effect.tap(() => Effect.yieldNow),
    Effect.repeat({ until: (found) => found !== null, times: 1000 }),
    Effect.flatMap((found) => found === null ? Effect.die("it never became true") : Effect.succeed(found))
  )
