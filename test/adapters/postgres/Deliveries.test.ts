/** What only a database with concurrent transactions can get wrong. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { DateTime, Deferred, Effect, Fiber, Layer } from "effect"
import * as PostgresDeliveries from "#adapters/postgres/Deliveries.ts"
import { newId } from "#commands/NewId.ts"
import { type Claimed, Deliveries, type Notification, type Recipient } from "#ports/Deliveries.ts"
import { databaseLayer } from "../../support/database.ts"
import { until } from "../../support/until.ts"

const noticeFor = Effect.fnUntraced(function*(merchantId: string, invoiceId: string | null = null) {
  const id = yield* newId({ prefix: "evt", evergreen: false })
  const at = yield* DateTime.now
  return { id, merchantId, mode: "live", type: "invoice.settled", invoiceId, body: "{}", occurredAt: at } as const
})
const owe = Effect.fnUntraced(function*(notification: Notification, to: ReadonlyArray<Recipient> = []) {
  yield* (yield* Deliveries).owe([{ notification, to }])
})
const fresh = newId({ prefix: "we", evergreen: false })

const feedOf = Effect.fnUntraced(function*(merchantId: string, after: string | null) {
  const { notifications } = yield* Deliveries
  return yield* notifications({ merchantId, mode: "live", after, limit: 10 })
})

const limits = { total: 64, perEndpoint: 10, lower: new Map<string, number>(), leaseSeconds: 60 }
const recordDelivered = Effect.fnUntraced(function*(claimed: Claimed) {
  const { attempts: number, claimedAt: at, id: deliveryId } = claimed
  const attempt = { deliveryId, number, at, durationMs: 1, outcome: "success", status: 200, detail: "" } as const
  yield* (yield* Deliveries).record(claimed, attempt, { _tag: "Delivered" })
})

/** Runs this in a transaction that stays open until told; answers once it has run. */
const held = Effect.fnUntraced(function*<A, E, R>(work: Effect.Effect<A, E, R>) {
  const sql = yield* PgClient.PgClient
  const [done, release] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  const fiber = yield* Effect.forkChild(
    sql.withTransaction(work.pipe(
      Effect.andThen(Deferred.succeed(done, undefined)),
      Effect.andThen(Deferred.await(release))
    ))
  )
  yield* Deferred.await(done)
  return { commit: Effect.andThen(Deferred.succeed(release, undefined), Fiber.join(fiber)) }
})

layer(PostgresDeliveries.layer.pipe(Layer.provideMerge(databaseLayer())), { excludeTestServices: true })(
  "deliveries in Postgres",
  (it) => {
    it.effect("are owed with the transaction of whoever owes them, or not at all", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const notice = yield* noticeFor("mer_rolled")
        yield* Effect.exit(sql.withTransaction(Effect.andThen(owe(notice), Effect.fail("rolled back"))))
        assert.deepStrictEqual((yield* feedOf("mer_rolled", null)).data, [])
      }))

    it.effect("are shown to a reader of the feed in one order, none skipped, whoever commits first", () =>
      Effect.gen(function*() {
        const merchant = "mer_feed"
        const [slow, quick] = [yield* noticeFor(merchant), yield* noticeFor(merchant)]
        const slowly = yield* held(owe(slow))
        yield* owe(quick)
        const early = yield* feedOf(merchant, null)
        assert.deepStrictEqual(early.data, [], "the later one waits for the one that may come before it")
        yield* slowly.commit
        // Any writer in the whole cluster may hold them back for as long as it takes.
        yield* until(
          "both are shown",
          () => Effect.map(feedOf(merchant, early.cursor), ({ data }) => data.length === 2)
        )
        const late = yield* feedOf(merchant, early.cursor)
        assert.deepStrictEqual(late.data.map(({ id }) => id), [slow.id, quick.id])
      }))

    it.effect("109: are not left waiting for one that finishes while they are being owed", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpointId = yield* fresh
        const to = [{ endpointId, skip: false, ordered: true }]
        const [first, second] = [yield* noticeFor("mer_turn", "inv_x"), yield* noticeFor("mer_turn", "inv_x")]
        yield* owe(first, to)
        const [claimed] = yield* deliveries.claim(limits)
        assert.isDefined(claimed)
        const owing = yield* held(owe(second, to))
        const recording = yield* Effect.forkChild(recordDelivered(claimed))
        yield* owing.commit
        yield* Fiber.join(recording)
        const next = yield* deliveries.claim(limits)
        assert.deepStrictEqual(next.map(({ notification }) => notification.id), [second.id])
      }))
  }
)

// One connection, so that its statistics are all there are.
layer(PostgresDeliveries.layer.pipe(Layer.provideMerge(databaseLayer({ maxConnections: 1 }))), {
  excludeTestServices: true
})("a backlog in Postgres", (it) => {
  it.effect("108: costs a claim a step for each endpoint, not one for each delivery that is piled up", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const deliveries = yield* Deliveries
      const [dead, well] = [yield* fresh, yield* fresh]
      yield* owe(
        yield* noticeFor("mer_pile"),
        [dead, well].map((endpointId) => ({ endpointId, skip: false, ordered: false }))
      )
      // 10 000 more for the dead one, due for an hour.
      yield* sql`
          with n as (
            insert into webhooks.notifications (id, merchant_id, mode, type, body, occurred_at)
            select 'evt_pile' || i, 'mer_pile', 'live', 'invoice.settled', '{}', now() from generate_series(1, 10000) i
            returning id, position)
          insert into webhooks.deliveries
            (id, endpoint_id, notification_id, merchant_id, mode, ordered, position, status, due_at)
          select 'dlv_pile' || id, ${dead}, id, 'mer_pile', 'live', false, position, 'pending', now() - interval '1 hour' from n`
      yield* sql`analyze webhooks.deliveries`
      const touched = Effect.map(
        sql<{ read: string }>`
        select t.seq_tup_read + (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid) as read
        from pg_stat_user_tables t where t.relid = 'webhooks.deliveries'::regclass`,
        ([row]) => Number(row?.read)
      )
      yield* sql`select pg_stat_force_next_flush()`
      const before = yield* touched
      for (let i = 0; i < 5; i++) {
        const claimed = yield* deliveries.claim({ ...limits, lower: new Map([[dead, 1], [well, 1]]) })
        for (const delivery of claimed) yield* recordDelivered(delivery)
      }
      yield* sql`select pg_stat_force_next_flush()`
      const read = (yield* touched) - before
      assert.isTrue(read > 0 && read < 1000, `${read} rows were read`)
    }))
})
