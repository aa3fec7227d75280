/** What only the store in Postgres promises: its tables, its months, and its batches. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer as describeWith } from "@effect/vitest"
import { Cause, DateTime, Effect, Exit, Fiber, Layer, Option } from "effect"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { newId } from "#commands/NewId.ts"
import { fromUuid, uuidV7 } from "#domain/Id.ts"
import { type Append, EventStore } from "#ports/EventStore.ts"
import { databaseLayer } from "../support/database.ts"

const appendOf = Effect.fnUntraced(function*(more: Partial<Append> = {}) {
  const stream = yield* newId({ prefix: "inv", evergreen: false })
  const tenant = yield* newId({ prefix: "mer", evergreen: true })
  const append: Append = {
    stream,
    category: "invoice",
    tenant,
    expected: 0,
    events: [{ type: "Opened", schemaVersion: 1, data: {} }],
    at: yield* DateTime.now,
    meta: { command: "Test", actor: "test" },
    rows: [],
    ...more
  }
  return append
})

const store = PostgresEventStore.layer.pipe(Layer.provideMerge(databaseLayer()))

describeWith(store, { excludeTestServices: true })("the event store in Postgres", (it) => {
  it.effect("never lets an event be changed, deleted or truncated", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const append = yield* appendOf()
      yield* (yield* EventStore).append(append)
      const [{ partition = "" } = {}] = yield* sql<{ partition: string }>`select tableoid::regclass::text as partition
        from es.events order by position desc limit 1`
      for (const table of ["es.events", partition]) {
        for (const attempt of [`update ${table} set data = '{}'`, `delete from ${table}`, `truncate ${table}`]) {
          const error = yield* Effect.flip(sql.unsafe(attempt))
          assert.include(String(error.reason.cause), "append-only", attempt)
        }
      }
      assert.strictEqual((yield* (yield* EventStore).read(append.stream, append.tenant)).length, 1)
    }))

  it.effect("burns no position on an append that does not fit", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const { append } = yield* EventStore
      const first = yield* appendOf()
      yield* append(first)
      const position = sql<{ last_value: bigint }>`select last_value from es.event_position`
      const before = yield* position
      for (let i = 0; i < 5; i++) yield* Effect.flip(append(first))
      assert.deepStrictEqual(yield* position, before)
    }))

  it.effect("keeps a stream in the month of its birth, to the millisecond at both edges", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const { append } = yield* EventStore
      yield* sql`select es.ensure_partitions(2, '2027-12-31T23:59:59.999Z'::timestamptz)`
      const bornAt = (at: string, byte: number) =>
        fromUuid("inv", uuidV7(Date.parse(at), new Uint8Array(16).fill(byte)))
      const expected = [
        ["2027-12-01T00:00:00.000Z", 0x00, "es.events_202712"],
        ["2027-12-31T23:59:59.999Z", 0xff, "es.events_202712"],
        ["2028-01-01T00:00:00.000Z", 0x00, "es.events_202801"],
        ["2028-02-29T23:59:59.999Z", 0xff, "es.events_202802"]
      ] as const
      for (const [at, byte, partition] of expected) {
        const stream = bornAt(at, byte)
        yield* append(yield* appendOf({ stream }))
        const rows =
          yield* sql`select tableoid::regclass::text as partition from es.events order by position desc limit 1`
        assert.deepStrictEqual(rows, [{ partition }], at)
      }
      const evergreen = yield* newId({ prefix: "mer", evergreen: true })
      yield* append(yield* appendOf({ stream: evergreen, tenant: evergreen, category: "merchant" }))
      const rows =
        yield* sql`select tableoid::regclass::text as partition from es.events order by position desc limit 1`
      assert.deepStrictEqual(rows, [{ partition: "es.events_evergreen" }])
    }))

  it.effect("makes the months ahead once, by several processes at once", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const ensure = sql<{ made: number }>`select es.ensure_partitions(3, '2031-01-31T12:00:00Z'::timestamptz) as made`
      const made = yield* Effect.all(Array.from({ length: 5 }, () => ensure), { concurrency: "unbounded" })
      assert.deepStrictEqual(made.flat().map((row) => row.made).toSorted(), [0, 0, 0, 0, 5])
      assert.deepStrictEqual(yield* ensure, [{ made: 0 }])
    }))

  const zeroByte = { type: "Opened", schemaVersion: 1, data: { text: "\u0000" } }
  const withoutMonth = fromUuid("inv", uuidV7(Date.parse("1999-06-01T00:00:00Z"), new Uint8Array(16)))
  const impossible = {
    "a stream without a month": { stream: withoutMonth },
    "text with a zero byte": { events: [zeroByte] }
  }
  for (const [what, more] of Object.entries(impossible)) {
    it.effect(`takes ${what} for a bug of ours, and the others of its batch go through`, () =>
      Effect.gen(function*() {
        const { append } = yield* EventStore
        const appends = yield* Effect.replicateEffect(appendOf(), 40)
        const exits = yield* Effect.all(
          [...appends, yield* appendOf(more)].map((each) => Effect.exit(append(each))),
          { concurrency: "unbounded" }
        )
        const last = exits.pop()!
        assert.isTrue(Exit.isFailure(last) && Cause.hasDies(last.cause))
        assert.isTrue(exits.every(Exit.isSuccess))
      }))
  }

  it.effect("leaves no caller without an answer when its connection is cut, and serves the next", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const { append, read } = yield* EventStore
      const appends = yield* Effect.replicateEffect(appendOf(), 20)
      const stuck = sql`select pid from pg_locks where not granted and relation = 'es.streams'::regclass`
      const callers = yield* Effect.gen(function*() {
        yield* sql`lock table es.streams in access exclusive mode`
        const callers = yield* Effect.forkScoped(
          Effect.all(appends.map((each) => Effect.exit(append(each))), { concurrency: "unbounded" })
        )
        yield* Effect.repeat(stuck, { until: (rows) => rows.length === 2 })
        yield* sql`select pg_terminate_backend(pid) from (${stuck}) stuck`
        return callers
      }).pipe(sql.withTransaction)
      for (const [i, exit] of (yield* Fiber.join(callers)).entries()) {
        const { stream, tenant } = appends[i]!
        const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : null
        assert.isTrue(failure === null || Option.isSome(failure) && failure.value._tag === "StoreUnavailable")
        if (failure === null) assert.strictEqual((yield* read(stream, tenant)).length, 1)
      }
      assert.strictEqual(yield* append(yield* appendOf()), 1)
    }))
})
