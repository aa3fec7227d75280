/** Deliveries in process, for tests and trials. */
import { Clock, DateTime, Duration, Effect, Layer, PubSub, Stream } from "effect"
import { newId } from "#commands/NewId.ts"
import type { Streak } from "#domain/RetrySchedule.ts"
import {
  type Attempt,
  type Claimed,
  CursorInvalid,
  Deliveries,
  type Delivery,
  type DeliveryStatus,
  type Notification
} from "#ports/Deliveries.ts"

type Service = Deliveries["Service"]

const mostRecovered = 10_000
const mostAttempts = 1_000
const recoverableMs = 30 * 24 * 3_600_000

/** A delivery as it changes. */
interface Entry {
  readonly id: string
  readonly endpointId: string
  readonly notification: Notification
  readonly ordered: boolean
  /** Of its notice. */
  readonly position: number
  readonly createdAt: number
  status: DeliveryStatus
  attempts: number
  begunAt: number
  /** Pending: when to send, Infinity behind another; sending: the end of the lease; else null. */
  dueAt: number | null
}

const make = Effect.gen(function*() {
  /** In the order of their positions. */
  const notices: Array<Notification> = []
  const entries = new Map<string, Entry>()
  const attempts: Array<Attempt> = []
  const streaks = new Map<string, { failures: number; readonly since: number }>()
  const ticks = yield* PubSub.sliding<void>(1)
  const tick = PubSub.publish(ticks, undefined)

  const open = (endpointId: string, invoiceId: string | null) =>
    [...entries.values()].filter((entry) =>
      entry.ordered && entry.dueAt !== null && entry.endpointId === endpointId && invoiceId !== null &&
      entry.notification.invoiceId === invoiceId
    ).toSorted((a, b) => a.position - b.position)

  const owe: Service["owe"] = Effect.fnUntraced(function*(owed) {
    const now = yield* Clock.currentTimeMillis
    for (const { notification, to } of owed) {
      if (notices.some(({ id }) => id === notification.id)) continue
      notices.push(notification)
      for (const { endpointId, ordered, skip } of to) {
        const waits = ordered && open(endpointId, notification.invoiceId).length > 0
        const id = yield* newId({ prefix: "dlv", evergreen: false })
        entries.set(id, {
          id,
          endpointId,
          notification,
          ordered: ordered && notification.invoiceId !== null,
          position: notices.length,
          createdAt: now,
          status: skip ? "skipped" : "pending",
          attempts: 0,
          begunAt: 0,
          dueAt: skip ? null : waits ? Infinity : now
        })
      }
    }
    yield* tick
  })

  const claim: Service["claim"] = Effect.fnUntraced(function*({ leaseSeconds, lower, perEndpoint, total }) {
    const now = yield* Clock.currentTimeMillis
    const due = [...entries.values()].filter(({ dueAt }) => dueAt !== null && dueAt <= now)
    const picked = [...Map.groupBy(due, ({ endpointId }) => endpointId)].flatMap(([endpointId, waiting]) => {
      const inFlight = [...entries.values()].filter((entry) =>
        entry.endpointId === endpointId && entry.status === "sending" && (entry.dueAt ?? 0) > now
      ).length
      const most = Math.min(perEndpoint, lower.get(endpointId) ?? perEndpoint)
      return waiting.toSorted((a, b) =>
        (a.dueAt ?? 0) - (b.dueAt ?? 0) || a.position - b.position
      )
        .slice(0, Math.max(0, most - inFlight))
        .map((entry, turn) => ({ entry, turn }))
    })
    return picked.toSorted((a, b) => a.turn - b.turn || (a.entry.dueAt ?? 0) - (b.entry.dueAt ?? 0))
      .slice(0, total)
      .map(({ entry }): Claimed => {
        entry.status = "sending"
        entry.attempts += 1
        entry.dueAt = now + leaseSeconds * 1000
        return {
          ...deliveryOf(entry),
          step: entry.attempts - entry.begunAt,
          ordered: entry.ordered,
          claimedAt: DateTime.makeUnsafe(now)
        }
      })
  })

  const streakOf = (endpointId: string, now: number): Streak => {
    const streak = streaks.get(endpointId) ?? { failures: 0, since: now }
    streak.failures += 1
    streaks.set(endpointId, streak)
    return { failures: streak.failures, seconds: (now - streak.since) / 1000 }
  }

  const record: Service["record"] = Effect.fnUntraced(function*(claimed, attempt, verdict) {
    const now = yield* Clock.currentTimeMillis
    if (!attempts.some(({ deliveryId, number }) => deliveryId === claimed.id && number === attempt.number)) {
      attempts.push(attempt)
    }
    const entry = entries.get(claimed.id)
    const delivered = verdict._tag === "Delivered"
    if (
      entry !== undefined && entry.attempts === claimed.attempts &&
      (entry.status === "sending" || (entry.status === "skipped" && delivered))
    ) {
      entry.status = delivered ? "delivered" : verdict._tag === "Retry" ? "pending" : "exhausted"
      entry.dueAt = verdict._tag === "Retry" ? now + Math.ceil(verdict.afterSeconds * 1000) : null
      const [next] = entry.dueAt === null ? open(entry.endpointId, entry.notification.invoiceId) : []
      if (next?.dueAt === Infinity) next.dueAt = now
    }
    if (!delivered) return streakOf(claimed.endpointId, now)
    streaks.delete(claimed.endpointId)
    return null
  })

  const shelve: Service["shelve"] = (endpointId) =>
    Effect.sync(() => {
      streaks.delete(endpointId)
      for (const entry of entries.values()) {
        if (entry.endpointId === endpointId && entry.dueAt !== null) {
          entry.status = "skipped"
          entry.dueAt = null
        }
      }
    })

  const ownedBy = (merchantId: string) => ({ notification }: Entry) => notification.merchantId === merchantId

  const resend: Service["resend"] = Effect.fnUntraced(function*(merchantId, deliveryId) {
    const entry = entries.get(deliveryId)
    if (entry === undefined || !ownedBy(merchantId)(entry)) return null
    if (entry.status !== "sending") {
      if (entry.dueAt === null) entry.begunAt = entry.attempts
      entry.status = "pending"
      entry.dueAt = yield* Clock.currentTimeMillis
      yield* tick
    }
    return deliveryOf(entry)
  })

  const recover: Service["recover"] = Effect.fnUntraced(function*(merchantId, endpointId, since, until) {
    const now = yield* Clock.currentTimeMillis
    const from = Math.max(since.epochMilliseconds, now - recoverableMs)
    const missed = [...entries.values()].filter(ownedBy(merchantId)).filter((entry) =>
      entry.endpointId === endpointId && (entry.status === "skipped" || entry.status === "exhausted") &&
      entry.createdAt >= from && entry.createdAt <= (until?.epochMilliseconds ?? Infinity)
    ).toSorted((a, b) => a.position - b.position).slice(0, mostRecovered)
    for (const entry of missed) {
      const waits = entry.ordered &&
        open(endpointId, entry.notification.invoiceId).some(({ position }) => position < entry.position)
      entry.status = "pending"
      entry.begunAt = entry.attempts
      entry.dueAt = waits ? Infinity : now
    }
    yield* tick
    return missed.length
  })

  const list: Service["list"] = ({ before, deliveryId, endpointId, limit, merchantId, mode, notificationId, status }) =>
    Effect.sync(() =>
      [...entries.values()].filter(ownedBy(merchantId)).filter((entry) =>
        entry.endpointId === endpointId && entry.notification.mode === mode &&
        (deliveryId === undefined || entry.id === deliveryId) &&
        (status === undefined || entry.status === status) &&
        (notificationId === undefined || entry.notification.id === notificationId) &&
        (before === undefined || entry.id < before)
      ).toSorted((a, b) => a.id < b.id ? 1 : -1).slice(0, limit).map(deliveryOf)
    )

  const notifications: Service["notifications"] = Effect.fnUntraced(
    function*({ after, limit, merchantId, mode, types }) {
      if (!/^\d{1,15}$/.test(after ?? "0")) return yield* new CursorInvalid()
      const rest = notices.map((notice, i) => ({ notice, position: i + 1 })).filter(({ notice, position }) =>
        position > Number(after) && notice.merchantId === merchantId && notice.mode === mode &&
        (types === undefined || types.includes(notice.type))
      )
      const page = rest.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(({ notice }) => notice),
        cursor: last === undefined ? after : String(last.position),
        hasMore: rest.length > limit
      }
    }
  )

  return Deliveries.of({
    owe,
    claim,
    record,
    shelve,
    resend,
    recover,
    get: (merchantId, deliveryId) =>
      Effect.sync(() => {
        const entry = entries.get(deliveryId)
        return entry !== undefined && ownedBy(merchantId)(entry) ? deliveryOf(entry) : null
      }),
    list,
    attempts: (deliveryIds) =>
      Effect.sync(() =>
        attempts.filter(({ deliveryId }) => deliveryIds.includes(deliveryId)).toReversed().slice(0, mostAttempts)
      ),
    notifications,
    wakes: Stream.fromPubSub(ticks),
    nextDueIn: Effect.map(Clock.currentTimeMillis, (now) => {
      const next = Math.min(...[...entries.values()].map(({ dueAt }) => dueAt ?? 0).filter((dueAt) => dueAt > now))
      return Number.isFinite(next) ? Duration.millis(next - now) : null
    })
  })
})

export const layer = Layer.effect(Deliveries, make)

const deliveryOf = ({ attempts, createdAt, dueAt, endpointId, id, notification, status }: Entry): Delivery => ({
  id,
  endpointId,
  notification,
  status,
  attempts,
  nextAttemptAt: dueAt === null || dueAt === Infinity ? null : DateTime.makeUnsafe(dueAt),
  createdAt: DateTime.makeUnsafe(createdAt)
})
