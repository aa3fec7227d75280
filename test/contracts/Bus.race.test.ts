/** Writers, rollbacks and long transactions against the readers of the log: nothing lost, doubled or out of order. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer as describeWith } from "@effect/vitest"
import { Effect, Fiber, Layer, Random } from "effect"
import { randomUUID } from "node:crypto"
import * as PostgresBus from "#adapters/postgres/Bus.ts"
import { newId } from "#commands/NewId.ts"
import { fromUuid, toUuid } from "#domain/Id.ts"
import { Bus, type Message } from "#ports/Bus.ts"
import { databaseLayer } from "../support/database.ts"
import { until } from "../support/until.ts"

const writers = 16
const streams = 40
const millis = 4000

/** What a reader made of the log, and when. */
interface Reading {
  readonly heard: Array<string>
  readonly moments: Array<number>
  readonly newest: Map<string, number>
  inverted: number
}
const aReading = (): Reading => ({ heard: [], moments: [], newest: new Map(), inverted: 0 })

const note = (reading: Reading, stream: string, version: number) => {
  if (version < (reading.newest.get(stream) ?? 0)) reading.inverted++
  reading.newest.set(stream, version)
  reading.heard.push(`${stream}:${version}`)
  reading.moments.push(performance.now())
}

/** The longest time between two of these moments, in milliseconds, within a span. */
const silence = (moments: ReadonlyArray<number>, from: number, to: number) => {
  const within = [from, ...moments.filter((at) => at > from && at < to), to]
  return Math.round(Math.max(...within.slice(1).map((at, i) => at - (within[i] ?? at))))
}

/** Against what was committed. */
const faults = ({ heard, inverted }: Reading, committed: ReadonlySet<string>) => {
  const distinct = new Set(heard)
  return {
    lost: [...committed].filter((event) => !distinct.has(event)).length,
    invented: [...distinct].filter((event) => !committed.has(event)).length,
    doubled: heard.length - distinct.size,
    inverted
  }
}

const none = { lost: 0, invented: 0, doubled: 0, inverted: 0 }

/** Appends to whatever version the stream has, as an event store without optimistic locking would. */
const append = Effect.fnUntraced(function*(stream: string) {
  const sql = yield* PgClient.PgClient
  const tenant = randomUUID()
  yield* sql`
    with s as (
      insert into es.streams as s (stream_id, prefix, tenant_id, category, version, last_tx)
      values (${stream}::uuid, 'inv', ${tenant}::uuid, 'race', 1, es.current_tx())
      on conflict (stream_id) do update set version = s.version + 1, last_tx = greatest(s.last_tx, es.current_tx())
      returning version, last_tx)
    insert into es.events (tx, xid, stream_id, version, schema_version, shard, tenant_id, recorded_at, prefix, category,
                           type, data, meta)
    select s.last_tx, pg_current_xact_id(), ${stream}::uuid, s.version, 1,
           (get_byte(uuid_send(${stream}::uuid), 15) & 15)::smallint, ${tenant}::uuid, now(), 'inv', 'race', 'Raced',
           '{}', '{}'
      from s`
})

const writer = (ids: ReadonlyArray<string>, end: number, commits: Array<number>) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const transaction = Effect.gen(function*() {
      // A transaction that writes something else first is older than its append.
      if (yield* Random.nextBoolean) yield* sql`insert into scratch default values`
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 4))
      yield* append(ids[yield* Random.nextIntBetween(0, ids.length - 1)] ?? "")
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 8))
      if ((yield* Random.nextIntBetween(1, 20)) === 1) return yield* Effect.fail("rolled back" as const)
    })
    const committed = Effect.tap(sql.withTransaction(transaction), () =>
      Effect.sync(() => commits.push(performance.now())))
    while (performance.now() < end) {
      yield* Effect.ignore(committed)
    }
  })

describeWith(PostgresBus.layer().pipe(Layer.provideMerge(databaseLayer({ maxConnections: 40 }))), {
  excludeTestServices: true
})("a race of writers on the log", (it) => {
  it.effect("134: is read whole, once, in order and without a pause by a tail and a group, but not by lesser readers", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const { consume, tail } = yield* Bus
      yield* sql`create table scratch (id bigint generated always as identity)`
      const anId = Effect.map(newId({ prefix: "inv", evergreen: true }), toUuid)
      const ids = yield* Effect.all(Array.from({ length: streams }, () => anId))

      const [tailed, consumed, naive, fenced] = [aReading(), aReading(), aReading(), aReading()]
      const into = (reading: Reading) => (messages: ReadonlyArray<Message>) =>
        Effect.sync(() => messages.forEach(({ headers, key }) => note(reading, key, headers.version ?? 0)))
      yield* tail("domain-events", into(tailed))
      yield* consume({ name: "race", topic: "domain-events", consumers: 4, batch: 20, tries: 1 }, into(consumed))

      let last = 0n
      const naively = Effect.gen(function*() {
        const rows = yield* sql<{ position: bigint; stream: string; version: number }>`
          select position, stream_id::text as stream, version from es.events where position > ${last}
           order by position limit 500`
        for (const { stream, version } of rows) note(naive, fromUuid("inv", stream), version)
        last = rows.at(-1)?.position ?? last
        yield* Effect.sleep("5 millis")
      })
      yield* Effect.forkScoped(Effect.forever(naively))

      // The fence that the textbooks advise: nothing that a transaction under way could come before.
      let fence = { tx: 0n, position: 0n }
      const fencedOff = Effect.gen(function*() {
        const rows = yield* sql<{ tx: bigint; position: bigint; stream: string; version: number }>`
          select tx, position, stream_id::text as stream, version from es.events
           where (tx, position) > (${fence.tx}, ${fence.position}) and xid < pg_snapshot_xmin(pg_current_snapshot())
           order by tx, position limit 500`
        for (const { stream, version } of rows) note(fenced, fromUuid("inv", stream), version)
        fence = rows.at(-1) ?? fence
        yield* Effect.sleep("5 millis")
      })
      yield* Effect.forkScoped(Effect.forever(fencedOff))

      // One transaction writes and then stays open for two seconds, which must not silence the others.
      const long = yield* anId.pipe(
        Effect.flatMap(append),
        Effect.andThen(Effect.sync(() => performance.now())),
        Effect.tap(Effect.sleep("2 seconds")),
        sql.withTransaction,
        Effect.delay("500 millis"),
        Effect.forkChild
      )
      const commits: Array<number> = []
      const end = performance.now() + millis
      yield* Effect.all(Array.from({ length: writers }, () => writer(ids, end, commits)), { concurrency: "unbounded" })
      const opened = yield* Fiber.join(long)

      const rows = yield* sql<{ stream: string; version: number }>`
        select stream_id::text as stream, version from es.events`
      const committed = new Set(rows.map(({ stream, version }) => `${fromUuid("inv", stream)}:${version}`))
      yield* until("all is heard", () => [tailed, consumed].every(({ heard }) => heard.length >= committed.size))
      yield* until(
        "the naive reader is at the end",
        () => Effect.map(sql<{ max: bigint }>`select max(position) from es.events`, ([row]) => row?.max === last)
      )

      assert.deepStrictEqual(faults(tailed, committed), none)
      assert.deepStrictEqual(faults(consumed, committed), none)
      assert.isAbove(faults(naive, committed).lost, 0)

      const silent = (moments: ReadonlyArray<number>) => silence(moments, opened, opened + 2000)
      // A machine that is busy elsewhere silences the writers too: only what goes beyond that is a reader's doing.
      const [written = 0, heard = Infinity, handled = Infinity, textbook = 0] = [
        commits,
        tailed.moments,
        consumed.moments,
        fenced.moments
      ].map(silent)
      console.info(`silent for: writers ${written} ms, tail ${heard}, group ${handled}, a fence ${textbook}`)
      assert.isAtLeast(textbook, 1500)
      // 200 ms where the machine has time for us; where it has not, still far less than a reader that waits.
      const bound = Math.max(200 + written, textbook / 2)
      assert.isAtMost(heard, bound)
      assert.isAtMost(handled, bound)
    }))
})
