/** Appends while connections are cut, callers give up and the store is closed and opened again: all of each, or nothing. */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, DateTime, Effect, Exit, Fiber, Layer, type Redacted, Scope } from "effect"
import * as fc from "fast-check"
import * as Database from "#adapters/postgres/Database.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { newId } from "#commands/NewId.ts"
import { toUuid } from "#domain/Id.ts"
import { type Append, EventStore } from "#ports/EventStore.ts"
import { freshDatabase } from "../support/database.ts"
import { receiptsAgree } from "../support/rebuild.ts"
import { until } from "../support/until.ts"

const at = DateTime.makeUnsafe("2026-03-14T15:09:26.535Z")

interface Asked {
  readonly stream: number
  readonly expected: number
  readonly size: number
  /** Asked so many milliseconds after the start. */
  readonly after: number
  /** The caller gives up so much later; null if it is patient. */
  readonly patience: number | null
}
interface Story {
  readonly asked: ReadonlyArray<Asked>
  readonly strikes: ReadonlyArray<{ readonly after: number; readonly what: "cut" | "restart" }>
}

const story: fc.Arbitrary<Story> = fc.record({
  asked: fc.array(
    fc.record({
      stream: fc.nat(5),
      expected: fc.nat(3),
      size: fc.integer({ min: 1, max: 2 }),
      after: fc.nat(500),
      patience: fc.option(fc.nat(10), { freq: 3 })
    }),
    { minLength: 10, maxLength: 40 }
  ),
  strikes: fc.array(fc.record({ after: fc.nat(500), what: fc.constantFrom("cut", "restart") }), {
    minLength: 1,
    maxLength: 6
  })
})

type Open = (url: Redacted.Redacted<string>) => Layer.Layer<EventStore, unknown>

const honest: Open = (url) =>
  PostgresEventStore.layer.pipe(Layer.provide(Database.layer({ url, maxConnections: 6 })), Layer.fresh)

/** A planted fault: the receipt and the row follow in a statement of their own. */
const careless: Open = (url) =>
  Layer.effect(
    EventStore,
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const store = yield* EventStore
      const append = ({ receipt, rows, ...rest }: Append) =>
        Effect.tap(store.append({ ...rest, rows }), (version) =>
          receipt === undefined ? Effect.void : Database.unavailable(sql`
            insert into es.commands (tenant_id, key, hash, stream_id, prefix, version)
            values (${toUuid(rest.tenant)}, ${receipt.key}, ${receipt.hash}, ${
            toUuid(rest.stream)
          }, 'inv', ${version})`))
      return { ...store, append } as typeof store
    })
  ).pipe(
    Layer.provide(PostgresEventStore.layer),
    Layer.provide(Database.layer({ url, maxConnections: 6 })),
    Layer.fresh
  )

/** Plays a story, and compares what callers were told with what is there. Answers with how many could not be told. */
const play = Effect.fnUntraced(function*(url: Redacted.Redacted<string>, open: Open, { asked, strikes }: Story) {
  const sql = yield* PgClient.PgClient
  const tenant = yield* newId({ prefix: "mer", evergreen: true })
  const streams = yield* Effect.replicateEffect(newId({ prefix: "inv", evergreen: false }), 6)
  const appendOf = ({ expected, size, stream: n }: Asked, i: number): Append => ({
    stream: streams[n]!,
    category: "invoice",
    tenant,
    expected,
    events: Array.from({ length: size }, () => ({ type: "Done", schemaVersion: 1, data: { by: i } })),
    at,
    meta: { command: "Test", actor: "test" },
    receipt: { key: `${i}`, hash: "h" },
    rows: [{ view: "invoice_details", key: streams[n]!, data: { by: i } }]
  })

  const begin = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(open(url), scope)
    return { scope, store: Context.get(context, EventStore) }
  })
  let life = yield* begin
  const strike = {
    cut: sql`select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and application_name = 'checkout'`,
    restart: Effect.suspend(() => Scope.close(life.scope, Exit.void)).pipe(
      // A database whose connections are being cut may also refuse the next life's first look.
      Effect.andThen(Effect.retry(begin, { times: 20 })),
      Effect.map((next) => (life = next))
    )
  }
  const sorted = strikes.toSorted((a, b) => a.after - b.after)
  const striking = Effect.forEach(
    sorted,
    ({ after, what }, i) => Effect.delay(strike[what] as Effect.Effect<unknown>, after - (sorted[i - 1]?.after ?? 0))
  )
  const fiber = yield* Effect.forkChild(striking)
  const exits = yield* Effect.forEach(asked, (one, i) =>
    Effect.suspend(() => life.store.append(appendOf(one, i))).pipe(
      (append) => one.patience === null ? append : Effect.timeout(append, one.patience),
      Effect.delay(one.after),
      Effect.exit
    ), { concurrency: "unbounded" })
  yield* Fiber.join(fiber)
  // What a caller gave up on may still be under way; closing waits for it.
  yield* Scope.close(life.scope, Exit.void)
  yield* until(
    "nothing is under way",
    () =>
      Effect.map(
        sql`select from pg_stat_activity where datname = current_database() and application_name = 'checkout'`,
        (
          { length }
        ) => length === 0
      )
  )

  const events = yield* sql<{ by: number; stream: string; version: number }>`
    select (data->>'by')::int as by, stream_id::text as stream, version from es.events
     where tenant_id = ${toUuid(tenant)} order by stream_id, version`
  const receipts = new Set((yield* sql<{ key: string }>`
    select key from es.commands where tenant_id = ${toUuid(tenant)}`).map(({ key }) => key))
  const rows = yield* sql<{ by: number; stream: string; version: number }>`
    select (data->>'by')::int as by, stream::text as stream, version from read.invoice_details
     where tenant = ${toUuid(tenant)}`

  let untold = 0
  for (const [i, { size }] of asked.entries()) {
    const written = events.filter(({ by }) => by === i).length
    assert.include([0, size], written, "all of its events or none")
    assert.strictEqual(receipts.has(`${i}`), written > 0, "a receipt with its effect, and only then")
    const exit = exits[i]!
    if (Exit.isSuccess(exit)) assert.strictEqual(written, size, "what was confirmed is there")
    else {
      const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
      assert.isDefined(error, "every failure is a typed one")
      if (error?._tag === "StreamMoved") assert.strictEqual(written, 0, "what was refused is not there")
      else untold++
    }
  }
  const last = new Map(events.map((event) => [event.stream, event]))
  for (const { by, stream, version } of rows) assert.deepStrictEqual({ by, stream, version }, last.get(stream))
  assert.strictEqual(rows.length, last.size, "a row for every stream, of its last event")
  return untold
})

const told = (open: Open, numRuns: number) =>
  Effect.gen(function*() {
    const url = yield* freshDatabase
    const surgeon = yield* Layer.build(Database.layer({ url, maxConnections: 2, applicationName: "surgeon" }))
    const sql = yield* Effect.provide(PgClient.PgClient, surgeon)
    // An append that takes its time can be struck in its midst.
    yield* sql`create function dawdle() returns trigger language plpgsql
      as $$ begin perform pg_sleep(0.003); return null; end $$`
    yield* sql`create trigger dawdling after insert on es.events for each statement execute function dawdle()`
    const counts = { told: 0, untold: 0 }
    yield* Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(story, async (one) => {
          const untold = await Effect.runPromiseWith(surgeon)(play(url, open, one))
          counts.untold += untold
          counts.told += one.asked.length - untold
        }),
        { numRuns, endOnFailure: true }
      )
    )
    yield* receiptsAgree(sql)
    return counts
  })

it.live(
  "events, receipts and rows agree whatever is cut, given up or begun again, and nobody is told a falsehood",
  () =>
    Effect.gen(function*() {
      const counts = yield* told(honest, 20)
      assert.isAbove(counts.told, 30)
      // Else nothing was struck that mattered.
      assert.isAbove(counts.untold, 5)
    }),
  60_000
)

it.live("a store that writes the receipt after the events is found out", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(told(careless, 40))
    assert.isTrue(Exit.isFailure(exit))
    assert.include(String(Exit.isFailure(exit) && exit.cause), "a receipt with its effect")
  }), 60_000)
