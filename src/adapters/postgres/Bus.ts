/**
 * The bus inside the database: the event log is the topic `domain-events`, the outbox holds the others.
 *
 * A group has sixteen shards, each with a cursor into the feed. Processes lease shards from each other; whoever works
 * one locks its row, so that cursor and handler's effects commit together, and a lease that has passed on is noticed
 * before anything is done. No lock here is one that an append could wait for.
 */
import { PgClient } from "@effect/sql-pg"
import { Cause, Clock, DateTime, Effect, FiberMap, Layer, References, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import { Bus, type Group, type Message, type Parked, type Topic } from "#ports/Bus.ts"
import type { StoreUnavailable } from "#ports/EventStore.ts"
import { careful, type Handle, type Partition, workOff } from "#ports/Patience.ts"
import { unavailable } from "./Database.ts"
import * as Feed from "./Feed.ts"

export interface Options {
  /**
   * Handlers at work at once, over all groups of the process. Each holds a connection while it runs, and may wait for
   * an append, which takes another: the pool needs at least four connections more than this.
   */
  readonly handlers?: number
  /** How long the shards of a process that died stay its own. */
  readonly leaseSeconds?: number
  /**
   * A name that no other running process has, the same after every start: then what the process before left leased is
   * taken over at once. Should that one be alive after all, it is fenced off by the epoch of its leases.
   */
  readonly instance?: string
}

const shardCount = 16
const longestTailPage = 500
/** Milliseconds between two looks: after one that found something, and when nothing has happened for a while. */
const soon = 25
const late = 200

export const layer = ({ handlers = 8, instance = "", leaseSeconds = 10 }: Options = {}) =>
  Layer.effect(
    Bus,
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const connections = yield* Semaphore.make(handlers)
      const lease = sql.literal(`interval '${leaseSeconds} seconds'`)
      const life = randomUUID()

      /** Frees what an earlier life of this very instance had leased. */
      const bury = (name: string) => {
        const earlier =
          sql`name = ${name} and starts_with(owner, ${`${instance}/`}) and not starts_with(owner, ${`${instance}/${life}/`})`
        return Effect.andThen(
          sql`update es.consumers set owner = null, lease_until = '-infinity' where ${earlier}`,
          sql`delete from es.consumer_processes where ${earlier}`
        )
      }

      /** One process's part in a group: the shards it holds, and what may be done with them. */
      const member = Effect.fnUntraced(function*({ consumers, name, topic }: Group) {
        const owner = `${instance}/${life}/${randomUUID()}`
        const ours = sql`name = ${name} and owner = ${owner}`
        const hands = yield* Semaphore.make(consumers)

        const join = sql`
          insert into es.consumers (name, topic, shard)
          select ${name}, ${topic}, generate_series(0, ${shardCount - 1}) on conflict do nothing`

        const leave = Effect.andThen(
          sql`update es.consumers set owner = null, lease_until = '-infinity' where ${ours}`,
          sql`delete from es.consumer_processes where ${ours}`
        )

        /** How many shards every living process may have. */
        const fairShare = Effect.gen(function*() {
          yield* sql`delete from es.consumer_processes where name = ${name} and alive_until < clock_timestamp()`
          yield* sql`
            insert into es.consumer_processes (name, owner, alive_until)
            values (${name}, ${owner}, clock_timestamp() + ${lease})
            on conflict (name, owner) do update set alive_until = excluded.alive_until`
          const living = yield* sql`select from es.consumer_processes where name = ${name}`
          return Math.ceil(shardCount / living.length)
        })

        /** Renews up to so many, those of the dead among them. One that is being worked on is locked, and left out. */
        const renew = (most: number) =>
          sql<{ shard: number; epoch: number }>`select * from es.lease(${name}, ${owner}, ${most}, ${lease})`

        const giveBack = (shards: ReadonlyArray<number>) =>
          sql`
            update es.consumers set owner = null, lease_until = '-infinity'
             where ${ours} and shard = any(${shards}::smallint[])`

        /** Moves quiet shards past what the others got, so that it is not read again at every look. */
        const moveAlong = (shards: ReadonlyArray<number>) => {
          const place = sql`c.prev, now.cur, c.tx, c.position, 1`
          return sql`
            with now as materialized (select pg_current_snapshot() as cur)
            update es.consumers c set prev = now.cur, tx = 0, position = 0, updated_at = clock_timestamp()
              from now
             where ${ours} and c.shard = any(${shards}::smallint[]) and c.cur is null
               and exists (select from ${Feed.table(sql, topic, place)})
               and not exists (select from ${Feed.table(sql, topic, sql`${place}, array[c.shard]`)})`
        }

        /**
         * Which shards have something new, and as of when. Of those where nothing was left at `seen`, only what came
         * since is read, and nothing at all if nobody wrote since.
         */
        const look = Effect.fnUntraced(function*(
          { seen, sure, unsure }: Record<"sure" | "unsure", ReadonlyArray<number>> & { readonly seen: string }
        ) {
          const since = sql`${seen}::pg_snapshot, pg_current_snapshot(), 0, 0, null, ${sure}::smallint[]`
          const left = sql`c.prev, pg_current_snapshot(), c.tx, c.position, 1, array[c.shard]`
          const rows = yield* sql<{ now: string; ready: ReadonlyArray<number> }>`
            select pg_current_snapshot()::text as now,
                   case when ${sure.length} = 0 or pg_current_snapshot()::text = ${seen} then '{}'
                        else array(select distinct shard from ${Feed.table(sql, topic, since)}) end
                   || array(select c.shard from es.consumers c
                             where ${ours} and c.shard = any(${unsure}::smallint[])
                               and (c.cur is not null or exists (select from ${
            Feed.table(sql, topic, left)
          }))) as ready`
          return rows[0] ?? { now: seen, ready: [] }
        })

        const partition = (shard: number, epoch: number): Partition => {
          const mine = sql`${ours} and shard = ${shard} and epoch = ${epoch}`
          const cursor = sql`
            select prev, coalesce(cur, pg_current_snapshot()) as cur, tx, position
              from es.consumers where ${mine} for update`
          const next = (limit: number) => Feed.read(sql, topic, { cursor, limit, shards: [shard] })

          const advance = ({ cur, position, prev, tx }: Feed.Cursor) =>
            sql`
              update es.consumers set prev = ${prev}::pg_snapshot, cur = ${cur}::pg_snapshot, tx = ${tx},
                     position = ${position}, lease_until = clock_timestamp() + ${lease}, updated_at = clock_timestamp()
               where ${mine}`

          const turn = (limit: number, handle: Handle) =>
            Effect.gen(function*() {
              const page = yield* next(limit)
              if (page === null) return 0
              if (page.messages.length > 0) yield* handle(page.messages)
              yield* advance(page.after)
              return page.messages.length
            }).pipe(sql.withTransaction, connections.withPermits(1), hands.withPermits(1), unavailable)

          const park = (message: Message, reason: string, attempts: number) =>
            Effect.gen(function*() {
              const page = yield* next(1)
              if (page?.messages[0]?.id !== message.id) return
              const { recordedAt, ...rest } = message
              yield* sql`
                insert into es.parked (group_name, topic, message_id, message, reason, attempts, recorded_at)
                values (${name}, ${topic}, ${message.id}, ${sql.json(rest)}, ${reason}, ${attempts},
                        ${DateTime.toDateUtc(recordedAt)})
                on conflict (group_name, message_id)
                do update set reason = excluded.reason, attempts = excluded.attempts, parked_at = now()`
              yield* advance(page.after)
            }).pipe(sql.withTransaction, Effect.asVoid, unavailable)

          return { turn, park }
        }

        return {
          bury: instance === "" ? Effect.void : bury(name),
          fairShare,
          giveBack,
          join,
          leave,
          look,
          moveAlong,
          partition,
          renew
        }
      })

      const consume: Bus["Service"]["consume"] = Effect.fnUntraced(function*(group, handle) {
        const { bury, fairShare, giveBack, join, leave, look, moveAlong, partition, renew } = yield* member(group)
        const patient = yield* careful(group, handle)
        yield* join
        yield* bury
        yield* Effect.addFinalizer(() => Effect.ignore(leave))
        const workers = yield* FiberMap.make<number>()

        /** Shard → epoch of its lease. */
        const held = new Map<number, number>()
        /** Shards where nothing was left at the snapshot `seen`, and that nobody has worked on since. */
        let sure: ReadonlySet<number> = new Set()
        let seen = "1:1:"
        const resting = () => [...held.keys()].filter((shard) => !FiberMap.hasUnsafe(workers, shard))

        const share = Effect.gen(function*() {
          const fair = yield* fairShare
          const leased = yield* renew(fair)
          const before = new Map(held)
          for (const shard of resting()) held.delete(shard)
          for (const { epoch, shard } of leased) held.set(shard, epoch)
          const surplus = resting().slice(0, Math.max(0, held.size - fair))
          for (const shard of surplus) held.delete(shard)
          sure = new Set([...sure].filter((shard) => held.get(shard) === before.get(shard)))
          yield* giveBack(surplus)
          yield* moveAlong(resting())
          if (group.topic !== "domain-events") yield* forget(group.topic)
        })

        let renewAt = 0
        const round = Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          if (now >= renewAt) {
            yield* share
            renewAt = now + leaseSeconds * 300
          }
          const shards = resting()
          const found = yield* look({
            seen,
            sure: shards.filter((shard) => sure.has(shard)),
            unsure: shards.filter((shard) => !sure.has(shard))
          })
          seen = found.now
          sure = new Set(shards.filter((shard) => !found.ready.includes(shard)))
          for (const shard of found.ready) {
            const work = workOff(group, patient, partition(shard, held.get(shard) ?? 0))
            yield* FiberMap.run(workers, shard, surviving(work, group.name))
          }
          return found.ready.length > 0
        })
        yield* Effect.forkScoped(polling(unavailable(round), group.name))
      }, unavailable)

      /** What every group has had goes after an hour; what some group did not fetch, after thirty days. */
      const forget = (topic: Topic) =>
        sql`
          delete from es.outbox where position in (
            select o.position from (select * from es.outbox where topic = ${topic} order by tx, position limit 1000) o
             where o.published_at < now() - interval '30 days'
                or (o.published_at < now() - interval '1 hour' and not exists (
                     select from es.consumers c
                      where c.topic = o.topic and c.shard = o.shard and not es.visible(o.tx, o.xid, c.prev))))`

      const tail: Bus["Service"]["tail"] = Effect.fnUntraced(function*(topic, hear) {
        const traced = yield* References.TracerEnabled
        const [start] = yield* sql<{ now: string }>`select pg_current_snapshot()::text as now`
        let cursor: Feed.Cursor = { prev: start?.now ?? "", cur: null, tx: 0n, position: 0n }
        const round = Effect.gen(function*() {
          const { cur, position, prev, tx } = cursor
          const page = yield* Feed.read(sql, topic, {
            cursor:
              sql`select ${prev}::pg_snapshot as prev, coalesce(${cur}::pg_snapshot, pg_current_snapshot()) as cur,
                               ${tx}::bigint as tx, ${position}::bigint as position`,
            limit: longestTailPage,
            shards: null
          })
          if (page === null) return false
          cursor = page.after
          if (page.messages.length > 0) yield* Effect.withTracerEnabled(hear(page.messages), traced)
          return page.messages.length > 0
        })
        yield* Effect.forkScoped(polling(unavailable(round), topic))
      }, unavailable)

      const parked = (group: string) =>
        sql<ParkedRow>`
          select message, reason, attempts, recorded_at, parked_at from es.parked
           where group_name = ${group} order by id desc limit 1000`.pipe(
          Effect.map((rows) => rows.map((row) => parkedOf(group, row))),
          unavailable
        )

      return Bus.of({ consume, tail, parked })
    })
  )

/** Runs a round again and again: soon if it found something, else later and later. The rounds leave no trace. */
const polling = (round: Effect.Effect<boolean, StoreUnavailable>, what: string) =>
  Effect.gen(function*() {
    let wait = soon
    while (true) {
      const found = yield* surviving(round, what)
      wait = found === true ? soon : Math.min(wait * 2, late)
      yield* Effect.sleep(wait)
    }
  }).pipe(Effect.withTracerEnabled(false))

/** Says what went wrong, and waits a second before it is tried again. */
const surviving = <A, E>(effect: Effect.Effect<A, E>, what: string) =>
  Effect.catchCauseIf(
    effect,
    (cause) => !Cause.hasInterrupts(cause),
    (cause) =>
      Effect.logWarning("the bus was interrupted", cause).pipe(
        Effect.annotateLogs({ reading: what }),
        Effect.andThen(Effect.sleep("1 second"))
      )
  )

interface ParkedRow {
  readonly message: Omit<Message, "recordedAt">
  readonly reason: string
  readonly attempts: number
  readonly recorded_at: Date
  readonly parked_at: Date
}

const parkedOf = (group: string, row: ParkedRow): Parked => ({
  group,
  message: { ...row.message, recordedAt: DateTime.fromDateUnsafe(row.recorded_at) },
  reason: row.reason,
  attempts: row.attempts,
  parkedAt: DateTime.fromDateUnsafe(row.parked_at)
})
