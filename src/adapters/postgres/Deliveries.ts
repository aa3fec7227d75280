/** Deliveries in Postgres, on its clock. How a row waits its turn is told in `migrations/0006_deliveries.ts`. */
import { PgClient } from "@effect/sql-pg"
import { DateTime, Duration, Effect, Exit, Layer, Schedule, Stream } from "effect"
import { newId } from "#commands/NewId.ts"
import type { Mode } from "#domain/Chain.ts"
import type { Outcome } from "#domain/RetrySchedule.ts"
import {
  type Attempt,
  type Claimed,
  CursorInvalid,
  Deliveries,
  type Delivery,
  type DeliveryStatus,
  type Notification
} from "#ports/Deliveries.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { unavailable } from "./Database.ts"
import * as Lanes from "./Lanes.ts"

type Service = Deliveries["Service"]

/** Where those who wait for work listen. A notification costs a lock at commit, but only to others who notify. */
const channel = "webhook_deliveries"
const mostRecovered = 10_000
/** Arrivals in one statement, and arrivals that may wait for the next one: far more than are ever in flight. */
const mostTogether = 64
const mostWaiting = 1024
const mostAttempts = 1_000

interface NotificationRow {
  readonly notification_id: string
  readonly merchant_id: string
  readonly mode: Mode
  readonly type: string
  readonly invoice_id: string | null
  readonly body: string
  readonly occurred_at: Date
}

interface DeliveryRow extends NotificationRow {
  readonly id: string
  readonly endpoint_id: string
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly next_at: Date | null
  readonly created_at: Date
}

interface ClaimedRow extends DeliveryRow {
  readonly step: number
  readonly ordered: boolean
  readonly turn: number
  readonly claimed_at: Date
}

interface Arrival {
  readonly claimed: Claimed
  readonly attempt: Attempt
}

interface AttemptRow {
  readonly delivery_id: string
  readonly number: number
  readonly at: Date
  readonly duration_ms: number
  readonly outcome: Outcome
  readonly status: number | null
  readonly detail: string
}

const make = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient

  const columns = sql.literal(
    `d.id, d.endpoint_id, d.status, d.attempts, nullif(d.due_at, 'infinity') as next_at, d.created_at, n.id as notification_id,
     n.merchant_id, n.mode, n.type, n.invoice_id, n.body, n.occurred_at`
  )

  const owe: Service["owe"] = (notices) =>
    unavailable(Effect.gen(function*() {
      if (notices.length === 0) return
      const all = notices.map(({ notification }) => notification)
      const rows = notices.flatMap(({ notification: { id, invoiceId }, to }) =>
        to.map((recipient) => ({ ...recipient, notificationId: id, invoiceId }))
      )
      const ids = yield* Effect.forEach(rows, () => newId({ prefix: "dlv", evergreen: false }))
      const waiting = rows.filter(({ invoiceId, ordered, skip }) => ordered && !skip && invoiceId !== null)
      // Those before them may be finishing just now, and would not see the ones that are about to wait for them.
      if (waiting.length > 0) {
        yield* sql`
          select d.id from webhooks.deliveries d
          where ordered and due_at is not null and (endpoint_id, invoice_id) in (
            select * from unnest(${waiting.map(({ endpointId }) => endpointId)}::text[],
              ${waiting.map(({ invoiceId }) => invoiceId ?? "")}::text[]))
          order by position for share`
      }
      yield* sql`
        with n as (
          insert into webhooks.notifications (id, merchant_id, mode, type, invoice_id, body, occurred_at)
          select id, merchant_id, mode, type, nullif(invoice_id, ''), body, occurred_at from unnest(
            ${all.map(({ id }) => id)}::text[], ${all.map(({ merchantId }) => merchantId)}::text[],
            ${all.map(({ mode }) => mode)}::text[], ${all.map(({ type }) => type)}::text[],
            ${all.map(({ invoiceId }) => invoiceId ?? "")}::text[], ${all.map(({ body }) => body)}::text[],
            ${all.map(({ occurredAt }) => DateTime.formatIso(occurredAt))}::timestamptz[]
          ) with ordinality as t(id, merchant_id, mode, type, invoice_id, body, occurred_at, place)
          order by place
          on conflict (id) do nothing
          returning id, merchant_id, mode, invoice_id, position
        ), fresh as (
          select r.id, r.endpoint_id, r.skip, n.id as notification_id, n.merchant_id, n.mode, n.invoice_id, n.position,
                 r.ordered and n.invoice_id is not null as ordered
          from n join unnest(${ids}::text[], ${rows.map(({ notificationId }) => notificationId)}::text[],
            ${rows.map(({ endpointId }) => endpointId)}::text[], ${rows.map(({ skip }) => skip)}::bool[],
            ${rows.map(({ ordered }) => ordered)}::bool[]
          ) as r(id, notification_id, endpoint_id, skip, ordered) on r.notification_id = n.id
        ), d as (
          insert into webhooks.deliveries
            (id, endpoint_id, notification_id, merchant_id, mode, invoice_id, ordered, position, status, due_at)
          select id, endpoint_id, notification_id, merchant_id, mode, invoice_id, ordered, position,
                 case when skip then 'skipped' else 'pending' end,
                 case when skip then null
                      when ordered and (
                        exists (select from webhooks.deliveries e where e.endpoint_id = f.endpoint_id
                                and e.invoice_id = f.invoice_id and e.ordered and e.due_at is not null)
                        or exists (select from fresh e where e.endpoint_id = f.endpoint_id
                                   and e.invoice_id = f.invoice_id and not e.skip and e.position < f.position))
                      then 'infinity'
                      else now() end
          from fresh f
          returning 1
        )
        select pg_notify(${channel}, '') where exists (select from d)`
    }))

  // One claim at a time, so that two workers cannot fill the same endpoint's room: it takes some milliseconds.
  const claim: Service["claim"] = ({ leaseSeconds, lower, perEndpoint, total }) =>
    Effect.gen(function*() {
      yield* sql`select pg_advisory_xact_lock(hashtextextended('webhooks.claim', 0))`
      const rows = yield* sql<ClaimedRow>`
        with recursive busy as (
          -- from each endpoint that has something open straight to the next one, past all that it has piled up
          (select endpoint_id from webhooks.deliveries where due_at is not null order by endpoint_id limit 1)
          union all
          select (select d.endpoint_id from webhooks.deliveries d
                  where d.due_at is not null and d.endpoint_id > b.endpoint_id order by d.endpoint_id limit 1)
          from busy b where b.endpoint_id is not null
        ), room as (
          select b.endpoint_id, least(l.most, ${perEndpoint}::int) - (
            select count(*) from webhooks.deliveries s
            where s.endpoint_id = b.endpoint_id and s.status = 'sending' and s.due_at > now()) as free
          from busy b
          left join unnest(${[...lower.keys()]}::text[], ${[...lower.values()]}::int[]) as l(endpoint_id, most)
            on l.endpoint_id = b.endpoint_id
          where b.endpoint_id is not null
        ), picked as (
          select due.id, due.due_at, due.position, row_number() over (partition by due.endpoint_id order by due.due_at, due.position) as turn
          from room cross join lateral (
            select d.id, d.endpoint_id, d.due_at, d.position from webhooks.deliveries d
            where d.endpoint_id = room.endpoint_id and d.due_at <= now()
            order by d.due_at, d.position limit greatest(room.free, 0)) due
          order by turn, due_at, position limit ${total}::int
        )
        -- an array, because the planner would rather read the whole table than join it with rows it cannot count
        update webhooks.deliveries d
        set status = 'sending', attempts = d.attempts + 1, due_at = now() + make_interval(secs => ${leaseSeconds}::int)
        from (select array(select id from picked order by turn, due_at, position) as ids) p, webhooks.notifications n
        where d.id = any(p.ids) and n.id = d.notification_id
        returning ${columns}, d.ordered, d.attempts - d.begun_at as step, now() as claimed_at, array_position(p.ids, d.id) as turn`
      return rows.toSorted((a, b) => a.turn - b.turn).map(claimedOf)
    }).pipe(sql.withTransaction, unavailable)

  /** Whatever came of it, in a transaction of its own. */
  const recordAlone: Service["record"] = (claimed, attempt, verdict) =>
    Effect.gen(function*() {
      const { endpointId, id } = claimed
      const delivered = verdict._tag === "Delivered"
      const status = delivered ? "delivered" : verdict._tag === "Retry" ? "pending" : "exhausted"
      const after = verdict._tag === "Retry" ? verdict.afterSeconds : null
      // That it arrived is a fact, also where the endpoint was shelved while it was under way.
      const rows = yield* sql<{ ordered: boolean; invoice_id: string | null }>`
        with log as (
          insert into webhooks.attempts (delivery_id, endpoint_id, number, at, duration_ms, outcome, status, detail)
          values (${id}, ${endpointId}, ${attempt.number}::int, ${DateTime.formatIso(attempt.at)}::timestamptz,
                  ${attempt.durationMs}::int, ${attempt.outcome}, ${attempt.status}::int, ${attempt.detail})
          on conflict do nothing
        )
        update webhooks.deliveries
        set status = ${status}, due_at = now() + make_interval(secs => ${after}::float8)
        where id = ${id} and attempts = ${claimed.attempts}
          and (status = 'sending' or (status = 'skipped' and ${delivered}))
        returning ordered, invoice_id`
      const [row] = rows
      if (row?.ordered === true && verdict._tag !== "Retry") {
        yield* sql`
          update webhooks.deliveries set due_at = now()
          where due_at = 'infinity' and id = (
            select id from webhooks.deliveries
            where endpoint_id = ${endpointId} and invoice_id = ${row.invoice_id} and ordered and due_at is not null
            order by position limit 1)`
      }
      if (delivered) {
        yield* sql`delete from webhooks.streaks where endpoint_id = ${endpointId}`
        return null
      }
      const [streak] = yield* sql<{ failures: number; seconds: number }>`
        insert into webhooks.streaks as s (endpoint_id, failures, failing_since) values (${endpointId}, 1, now())
        on conflict (endpoint_id) do update set failures = s.failures + 1
        returning failures, extract(epoch from now() - failing_since)::float8 as seconds`
      return streak ?? null
    }).pipe(sql.withTransaction, unavailable)

  /** Those that arrived and that none waits for: one statement for all of them. */
  const recordArrivals = (arrivals: ReadonlyArray<Arrival>) => {
    const column = <A>(of: (arrival: Arrival) => A) => arrivals.map(of)
    const ids = column(({ claimed }) => claimed.id)
    const endpointIds = column(({ claimed }) => claimed.endpointId)
    return sql`
      with arrived as (
        select * from unnest(${ids}::text[], ${endpointIds}::text[], ${
      column(({ claimed }) => claimed.attempts)
    }::int[],
          ${column(({ attempt }) => attempt.number)}::int[],
          ${column(({ attempt }) => DateTime.formatIso(attempt.at))}::timestamptz[],
          ${column(({ attempt }) => attempt.durationMs)}::int[], ${column(({ attempt }) => attempt.outcome)}::text[],
          ${column(({ attempt }) => attempt.status)}::int[], ${column(({ attempt }) => attempt.detail)}::text[]
        ) as t(id, endpoint_id, attempts, number, at, duration_ms, outcome, status, detail)
      ), log as (
        insert into webhooks.attempts (delivery_id, endpoint_id, number, at, duration_ms, outcome, status, detail)
        select id, endpoint_id, number, at, duration_ms, outcome, status, detail from arrived
        on conflict do nothing
      ), forgotten as (
        delete from webhooks.streaks where endpoint_id = any(${endpointIds}::text[])
      )
      update webhooks.deliveries d set status = 'delivered', due_at = null from arrived
      where d.id = any(${ids}::text[]) and d.id = arrived.id and d.attempts = arrived.attempts
        and d.status in ('sending', 'skipped')`
  }

  const recordArrival = yield* Lanes.make<Arrival, null, StoreUnavailable>({
    lanes: 1,
    batch: mostTogether,
    waiting: mostWaiting,
    key: ({ claimed }) => claimed.id,
    run: (arrivals) =>
      recordArrivals(arrivals).pipe(
        Effect.as(arrivals.map(() => Exit.succeed(null))),
        // Something is wrong with one of them, or another held their rows in another order.
        Effect.catch(() =>
          Effect.forEach(arrivals, ({ attempt, claimed }) =>
            Effect.exit(Effect.as(recordAlone(claimed, attempt, { _tag: "Delivered" }), null)))
        )
      ),
    full: Exit.fail(new StoreUnavailable({ reason: "Overloaded", retryAfterSeconds: 1 })),
    closed: Exit.fail(new StoreUnavailable({ reason: "Closing", retryAfterSeconds: 1 }))
  })

  const record: Service["record"] = (claimed, attempt, verdict) =>
    verdict._tag === "Delivered" && !claimed.ordered
      ? recordArrival({ claimed, attempt })
      : recordAlone(claimed, attempt, verdict)

  const shelve: Service["shelve"] = (endpointId) =>
    unavailable(Effect.asVoid(sql`
      with forgotten as (delete from webhooks.streaks where endpoint_id = ${endpointId})
      update webhooks.deliveries set status = 'skipped', due_at = null
      where endpoint_id = ${endpointId} and due_at is not null`))

  const find = (merchantId: string, deliveryId: string) =>
    Effect.map(
      sql<DeliveryRow>`
      select ${columns} from webhooks.deliveries d join webhooks.notifications n on n.id = d.notification_id
      where d.id = ${deliveryId} and d.merchant_id = ${merchantId}`,
      ([row]) => row === undefined ? null : deliveryOf(row)
    )

  const get: Service["get"] = (merchantId, deliveryId) => unavailable(find(merchantId, deliveryId))

  const resend: Service["resend"] = (merchantId, deliveryId) =>
    Effect.gen(function*() {
      yield* sql`
        with d as (
          update webhooks.deliveries
          set status = 'pending', due_at = now(), begun_at = case when due_at is null then attempts else begun_at end
          where id = ${deliveryId} and merchant_id = ${merchantId} and status <> 'sending'
          returning 1
        )
        select pg_notify(${channel}, '') where exists (select from d)`
      return yield* find(merchantId, deliveryId)
    }).pipe(unavailable)

  const recover: Service["recover"] = (merchantId, endpointId, since, until) =>
    unavailable(Effect.map(
      sql<{ count: bigint }>`
      with missed as (
        select id, invoice_id, position from webhooks.deliveries
        where endpoint_id = ${endpointId} and merchant_id = ${merchantId} and status in ('skipped', 'exhausted')
          and created_at >= greatest(${DateTime.formatIso(since)}::timestamptz, now() - interval '30 days')
          and created_at <= ${until === undefined ? "infinity" : DateTime.formatIso(until)}::timestamptz
        order by created_at, position limit ${mostRecovered} for update
      ), ranked as (
        select *, row_number() over (partition by invoice_id order by position) as turn from missed
      ), d as (
        update webhooks.deliveries d
        set status = 'pending', begun_at = attempts,
            due_at = case when d.ordered and (ranked.turn > 1 or exists (
              select from webhooks.deliveries e where e.endpoint_id = d.endpoint_id and e.invoice_id = d.invoice_id
              and e.ordered and e.due_at is not null and e.position < d.position)) then 'infinity' else now() end
        from ranked where d.id = ranked.id
        returning 1
      ), told as (select pg_notify(${channel}, '') where exists (select from d))
      select (select count(*) from d) as count from (select count(*) from told) t`,
      ([row]) => Number(row?.count ?? 0)
    ))

  const list: Service["list"] = ({ before, deliveryId, endpointId, limit, merchantId, mode, notificationId, status }) =>
    unavailable(Effect.map(
      sql<DeliveryRow>`
      select ${columns} from webhooks.deliveries d join webhooks.notifications n on n.id = d.notification_id
      where d.endpoint_id = ${endpointId} and d.merchant_id = ${merchantId} and d.mode = ${mode}
        and (${deliveryId ?? null}::text is null or d.id = ${deliveryId ?? null})
        and (${status ?? null}::text is null or d.status = ${status ?? null})
        and (${notificationId ?? null}::text is null or d.notification_id = ${notificationId ?? null})
        and (${before ?? null}::text is null or d.id < ${before ?? null})
      order by d.id desc limit ${limit}::int`,
      (rows) => rows.map(deliveryOf)
    ))

  const attempts: Service["attempts"] = (deliveryIds) =>
    unavailable(Effect.map(
      sql<AttemptRow>`
      select delivery_id, number, at, duration_ms, outcome, status, detail from webhooks.attempts
      where delivery_id = any(${[...deliveryIds]}::text[]) order by at desc, number desc limit ${mostAttempts}`,
      (rows) => rows.map(attemptOf)
    ))

  const notifications: Service["notifications"] = Effect.fnUntraced(
    function*({ after, limit, merchantId, mode, types }) {
      const from = yield* cursorOf(after)
      const rows = yield* unavailable(sql<NotificationRow & { readonly tx: bigint; readonly position: bigint }>`
      select n.id as notification_id, n.merchant_id, n.mode, n.type, n.invoice_id, n.body, n.occurred_at, n.tx, n.position
      from webhooks.notifications n
      where n.merchant_id = ${merchantId} and n.mode = ${mode}
        and (n.tx, n.position) > (${from.tx}::bigint, ${from.position}::bigint)
        -- nothing that is still being written can come before what is shown
        and (n.tx <= es.xid_offset() or n.xid < pg_snapshot_xmin(pg_current_snapshot()))
        and (${types === undefined ? null : [...types]}::text[] is null
          or n.type = any(${types === undefined ? null : [...types]}::text[]))
      order by n.tx, n.position limit ${limit + 1}::int`)
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(notificationOf),
        cursor: last === undefined ? after : `${last.tx}.${last.position}`,
        hasMore: rows.length > limit
      }
    }
  )

  // The connection that listens may break, and then so may a tick; who waits looks for itself now and then.
  const wakes: Service["wakes"] = Stream.unwrap(Effect.map(sql.listen(channel), Stream.fromQueue)).pipe(
    Stream.map(() => undefined),
    Stream.retry(Schedule.spaced("1 second")),
    Stream.orDie
  )

  const nextDueIn: Service["nextDueIn"] = unavailable(Effect.map(
    sql<{ seconds: number | null }>`
    select extract(epoch from min(due_at) - now())::float8 as seconds from webhooks.deliveries
    where due_at > now() and due_at < 'infinity'`,
    ([row]) => row === undefined || row.seconds === null ? null : Duration.seconds(row.seconds)
  ))

  const partitions = sql`select webhooks.ensure_partitions()`.pipe(
    Effect.catch((error) => Effect.logError("the next months of the attempt log could not be made", error)),
    Effect.repeat(Schedule.spaced("12 hours"))
  )
  yield* Effect.forkScoped(partitions)

  return Deliveries.of({
    owe,
    claim,
    record,
    shelve,
    resend,
    recover,
    get,
    list,
    attempts,
    notifications,
    wakes,
    nextDueIn
  })
})

export const layer = Layer.effect(Deliveries, make)

const utc = (date: Date) => DateTime.makeUnsafe(date)

const notificationOf = (row: NotificationRow): Notification => ({
  id: row.notification_id,
  merchantId: row.merchant_id,
  mode: row.mode,
  type: row.type,
  invoiceId: row.invoice_id,
  body: row.body,
  occurredAt: utc(row.occurred_at)
})

const deliveryOf = (row: DeliveryRow): Delivery => ({
  id: row.id,
  endpointId: row.endpoint_id,
  notification: notificationOf(row),
  status: row.status,
  attempts: row.attempts,
  nextAttemptAt: row.next_at === null ? null : utc(row.next_at),
  createdAt: utc(row.created_at)
})

const claimedOf = (row: ClaimedRow): Claimed => ({
  ...deliveryOf(row),
  step: row.step,
  ordered: row.ordered,
  claimedAt: utc(row.claimed_at)
})

const attemptOf = (row: AttemptRow): Attempt => ({
  deliveryId: row.delivery_id,
  number: row.number,
  at: utc(row.at),
  durationMs: row.duration_ms,
  outcome: row.outcome,
  status: row.status,
  detail: row.detail
})

/** `transaction.position` of the last notice seen. */
const cursorOf = (after: string | null) => {
  const match = /^(\d{1,18})\.(\d{1,18})$/.exec(after ?? "0.0")
  return match === null
    ? Effect.fail(new CursorInvalid())
    : Effect.succeed({ tx: BigInt(match[1] ?? 0), position: BigInt(match[2] ?? 0) })
}
