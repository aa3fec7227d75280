import { assert, layer as describeWith } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { DateTime, Deferred, Effect, Exit, Fiber, Layer, Random, Scope } from "effect"
import * as PostgresBus from "#adapters/postgres/Bus.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { publish } from "#adapters/postgres/Outbox.ts"
import { newId } from "#commands/NewId.ts"
import { Bus, type Message } from "#ports/Bus.ts"
import { EventStore, StoreUnavailable } from "#ports/EventStore.ts"
import { databaseLayer } from "../support/database.ts"
import { until } from "../support/until.ts"
import { aGroup, busContract, Writing } from "./Bus.contract.ts"

const writing = Layer.effect(
  Writing,
  Effect.map(PgClient.PgClient, (sql) => ({
    publish: (messages) => Effect.provideService(publish(messages), PgClient.PgClient, sql)
  }))
)

const leaseSeconds = 1
const bus = Layer.mergeAll(PostgresBus.layer({ handlers: 3, leaseSeconds }), writing, PostgresEventStore.layer)

busContract("postgres", bus.pipe(Layer.provide(databaseLayer({ maxConnections: 8 }))))

const away = new StoreUnavailable({ reason: "away", retryAfterSeconds: 1 })
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** Waits until the processes of a group have renewed their leases twice: whatever they were to do, they have done. */
const twoRounds = Effect.fnUntraced(function*(group: string) {
  const sql = yield* PgClient.PgClient
  const renewed = sql<
    { until: string }
  >`select alive_until::text as until from es.consumer_processes where name = ${group}`
  for (const _ of [1, 2]) {
    const [before] = yield* renewed
    yield* until("it is renewed", () => Effect.map(renewed, ([after]) => after?.until !== before?.until))
  }
})

/** A fresh invoice's stream, and how to write its next event. */
const anInvoice = Effect.gen(function*() {
  const store = yield* EventStore
  const stream = yield* newId({ prefix: "inv", evergreen: false })
  const tenant = yield* newId({ prefix: "mer", evergreen: true })
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  const append = (expected: number) =>
    store.append({
      stream,
      category: "invoice",
      tenant,
      expected,
      events: [{ type: "Noted", schemaVersion: 1, data: { expected } }],
      at: DateTime.makeUnsafe("2026-03-14T15:09:26.535Z"),
      meta: { command: "Test", actor: "test", traceparent },
      rows: []
    })
  return { append, store, stream, tenant, traceparent }
})

describeWith(bus.pipe(Layer.provideMerge(databaseLayer({ maxConnections: 8 }))), { excludeTestServices: true })(
  "Bus: postgres, beyond the contract",
  (it) => {
    it.effect("hands events over under their stream's id, with all that is known of them", () =>
      Effect.gen(function*() {
        const { consume } = yield* Bus
        const { append, store, stream, tenant, traceparent } = yield* anInvoice
        const { group } = yield* aGroup
        const heard: Array<Message> = []
        yield* consume(
          group({ topic: "domain-events" }),
          (messages) => Effect.sync(() => void heard.push(...messages.filter(({ key }) => key === stream)))
        )
        yield* append(0)
        yield* append(1)
        yield* until("both are heard", () => heard.length === 2)
        const events = yield* store.read(stream, tenant)
        assert.deepStrictEqual(
          heard,
          events.map(({ data, eventId, recordedAt, version }): Message => ({
            topic: "domain-events",
            key: stream,
            id: eventId,
            type: "Noted",
            schemaVersion: 1,
            body: data,
            headers: { stream, category: "invoice", version, tenant, traceparent },
            recordedAt
          }))
        )
      }))

    it.effect("commits a handler's writes with the checkpoint: a crash leaves both or neither", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { message, publish, short, start } = yield* aGroup
        yield* sql`create table counted (id text not null)`
        yield* publish(numbers(200).map((n) => message(`k${n % 10}`, n)))
        const count = (messages: ReadonlyArray<Message>) =>
          Effect.gen(function*() {
            yield* sql`insert into counted select unnest(${messages.map(short)}::text[])`
            // The process may be struck anywhere: before its write, between that and the commit, or after.
            yield* Effect.sleep(yield* Random.nextIntBetween(0, 5))
          }).pipe(Effect.orDie)
        const counted = Effect.map(sql<{ n: number }>`select count(*)::int as n from counted`, ([row]) => row?.n)
        while ((yield* counted) !== 200) {
          const scope = yield* Scope.make()
          yield* Scope.provide(start(count, { batch: 3 }), scope)
          yield* Effect.sleep(yield* Random.nextIntBetween(5, 80))
          yield* Scope.close(scope, Exit.void)
        }
        const [distinct] = yield* sql<{ n: number }>`select count(distinct id)::int as n from counted`
        assert.strictEqual(distinct?.n, 200)
      }))

    it.effect("neither loses what a long transaction writes, nor waits for it", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { heard, message, publish, start } = yield* aGroup
        yield* start()
        const written = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const long = yield* publish([message("a", 1)]).pipe(
          Effect.andThen(Deferred.succeed(written, undefined)),
          Effect.andThen(Deferred.await(release)),
          sql.withTransaction,
          Effect.forkChild
        )
        yield* Deferred.await(written)
        for (const n of numbers(3)) {
          yield* publish([message("b", n)])
          yield* until("the other is heard", () => heard.length === n)
        }
        yield* Deferred.succeed(release, undefined)
        yield* Fiber.join(long)
        yield* until("the long one is heard", () => heard.includes("a:1"))
        assert.deepStrictEqual(heard, ["b:1", "b:2", "b:3", "a:1"])
      }))

    it.effect("publishes nothing of a transaction that is taken back", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { heard, message, publish, start } = yield* aGroup
        yield* start()
        yield* publish([message("a", 1)]).pipe(
          Effect.andThen(Effect.fail("changed my mind")),
          sql.withTransaction,
          Effect.ignore
        )
        yield* publish([message("a", 2)])
        yield* until("the other is heard", () => heard.length === 1)
        assert.deepStrictEqual(heard, ["a:2"])
      }))

    it.effect("reads who published after waiting for another behind that one, though its transaction is older", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { heard, hears, message, publish, start } = yield* aGroup
        const begun = yield* Deferred.make<void>()
        const first = yield* Deferred.make<void>()
        const second = yield* sql`select pg_current_xact_id()::text`.pipe(
          Effect.andThen(Deferred.succeed(begun, undefined)),
          Effect.andThen(Deferred.await(first)),
          Effect.andThen(publish([message("a", 2)])),
          sql.withTransaction,
          Effect.forkChild
        )
        yield* Deferred.await(begun)
        yield* publish([message("a", 1)])
        yield* Deferred.succeed(first, undefined)
        yield* Fiber.join(second)
        // Both are in the first page of a group that begins now.
        yield* start(hears)
        yield* until("both are heard", () => heard.length === 2)
        assert.deepStrictEqual(heard, ["a:1", "a:2"])
      }))

    it.effect("lets handlers wait for appends while every handler that may run is running", () =>
      Effect.gen(function*() {
        const { append, stream, store, tenant } = yield* anInvoice
        const { heard, hears, message, publish, start } = yield* aGroup
        const sql = yield* PgClient.PgClient
        let version = 0
        const patient = (messages: ReadonlyArray<Message>) =>
          Effect.forEach(messages, () => append(version++)).pipe(
            Effect.tap(sql`select 1`),
            Effect.orDie,
            Effect.andThen(hears(messages))
          )
        yield* publish(numbers(20).map((n) => message("a", n)))
        yield* start(patient, { consumers: 8 })
        yield* until("all are heard", () => heard.length === 20)
        assert.strictEqual((yield* store.read(stream, tenant)).length, 20)
      }))

    it.effect("gives each of two processes half of the shards", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { group, start } = yield* aGroup
        yield* start()
        yield* start()
        const shares = sql<{ n: number }>`
          select count(*)::int as n from es.consumers where name = ${group().name} and owner is not null group by owner`
        yield* until("they share", () =>
          Effect.map(shares, (rows) => rows.length === 2 && rows.every(({ n }) => n === 8)))
      }))

    it.effect("takes over the shards of a process that died, once its lease has run out", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { group, heard, message, publish, start } = yield* aGroup
        yield* sql`
          insert into es.consumers (name, topic, shard, owner, epoch, lease_until)
          select ${group().name}, 'notifications', shard, 'the dead', 7, clock_timestamp() + interval '1 second'
            from generate_series(0, 15) shard`
        yield* publish([message("a", 1)])
        yield* start()
        yield* until("it is heard", () => heard.length === 1)
      }))

    it.effect("takes over at once what an earlier life of the same instance had leased, and fences that one off", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { group, heard, hears, message, publish } = yield* aGroup
        const owner = (instance: string) => `${instance}/an-earlier-life/1`
        yield* sql`
          insert into es.consumers (name, topic, shard, owner, epoch, lease_until)
          select ${group().name}, 'notifications', shard, case when shard = 0 then ${owner("b")} else ${
          owner("a")
        } end, 7,
                 clock_timestamp() + interval '1 hour'
            from generate_series(0, 15) shard`
        yield* sql`
          insert into es.consumer_processes (name, owner, alive_until)
          select ${group().name}, owner, clock_timestamp() + interval '1 hour'
            from unnest(${[owner("a"), owner("b")]}::text[]) owner`
        yield* publish(numbers(40).map((n) => message(`k${n}`, n)))
        const life = yield* Effect.provide(Bus, PostgresBus.layer({ instance: "a", leaseSeconds: 3600 }))
        yield* life.consume(group(), hears)
        const shards = sql<{ owner: string; epoch: number; n: number }>`
          select split_part(owner, '/', 1) as owner, epoch, count(*)::int as n from es.consumers
           where name = ${group().name} and owner is not null group by 1, 2 order by 1`
        // Half, because the other instance is alive; and of that one's, nothing.
        yield* until("it has its share", () => Effect.map(shards, ([first]) => first?.epoch === 8))
        assert.deepStrictEqual(yield* shards, [{ owner: "a", epoch: 8, n: 8 }, { owner: "b", epoch: 7, n: 1 }])
        yield* until("something is heard", () => heard.length > 0)
      }))

    it.effect("149: hands nothing more to a process whose lease has passed on", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { group, heard, hears, message, publish, start } = yield* aGroup
        let robbed = false
        yield* publish([message("a", 1), message("a", 2)])
        // The row is free only between two turns, so until then it does not get beyond the first message.
        yield* start(
          (messages) => heard.length === 1 && !robbed ? away : hears(messages),
          { batch: 1 }
        )
        yield* until("the first is heard", () => heard.length === 1)
        yield* sql`
          update es.consumers set owner = 'another', epoch = epoch + 1, lease_until = clock_timestamp() + interval '1 hour'
           where name = ${group().name}`
        robbed = true
        yield* twoRounds(group().name)
        assert.deepStrictEqual(heard, ["a:1"])
      }))

    it.effect("forgets messages that every group has had for an hour, and no others", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { heard, message, publish, run, start } = yield* aGroup
        yield* publish([message("a", 1), message("a", 2)].map((one) => ({ ...one, topic: "analytics" })))
        const old = message("a", 1).id
        yield* sql`update es.outbox set published_at = now() - interval '2 hours' where id = ${old}`
        const left = Effect.map(
          sql<{ id: string }>`select id from es.outbox where key = ${`${run}:a`}`,
          (rows) => rows.map(({ id }) => id)
        )
        const slow = yield* Deferred.make<void>()
        yield* start(() => Deferred.await(slow), { topic: "analytics", name: `${run}-slow` })
        yield* start(undefined, { topic: "analytics" })
        yield* until("they are heard", () => heard.length === 2)
        yield* twoRounds(run)
        assert.strictEqual((yield* left).length, 2)
        yield* Deferred.succeed(slow, undefined)
        yield* until("the old one is gone", () => Effect.map(left, (ids) => ids.length === 1))
        assert.deepStrictEqual(yield* left, [message("a", 2).id])
      }))
  }
)
