/** What every implementation of the port Deliveries owes its callers. */
import { assert, layer } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Fiber, type Layer, Stream } from "effect"
import { newId } from "#commands/NewId.ts"
import type { Verdict } from "#domain/RetrySchedule.ts"
import { type Attempt, type Claimed, type ClaimLimits, Deliveries, type Notification } from "#ports/Deliveries.ts"
import { until } from "../support/until.ts"

const id = (prefix: "evt" | "mer" | "we" | "inv") => newId({ prefix, evergreen: false })

const notificationOf = Effect.fnUntraced(function*(fields: Partial<Notification>) {
  const notification: Notification = {
    id: yield* id("evt"),
    merchantId: "mer_a",
    mode: "test",
    type: "invoice.settled",
    invoiceId: null,
    body: '{"price":"2.50","note":"Grüße, 世界"}',
    occurredAt: DateTime.makeUnsafe("2026-03-01T10:00:00.123Z"),
    ...fields
  }
  return notification
})

interface Owed {
  readonly endpoints: ReadonlyArray<string>
  readonly skip?: boolean
  readonly ordered?: boolean
}

const oweTo = Effect.fnUntraced(function*({ endpoints, ordered = false, skip = false }: Owed, fields = {}) {
  const deliveries = yield* Deliveries
  const notification = yield* notificationOf(fields)
  yield* deliveries.owe([{ notification, to: endpoints.map((endpointId) => ({ endpointId, skip, ordered })) }])
  return notification
})

const limits: ClaimLimits = { total: 100, perEndpoint: 10, lower: new Map(), leaseSeconds: 60 }

/** Claims what is due of these endpoints; what other tests left is none of this one's business. */
const claimOf = Effect.fnUntraced(function*(endpoints: ReadonlyArray<string>, more: Partial<ClaimLimits> = {}) {
  const deliveries = yield* Deliveries
  const claimed = yield* deliveries.claim({ ...limits, ...more })
  return claimed.filter(({ endpointId }) => endpoints.includes(endpointId))
})

const attemptAt = (claimed: Claimed, fields: Partial<Attempt> = {}): Attempt => ({
  deliveryId: claimed.id,
  number: claimed.attempts,
  at: claimed.claimedAt,
  durationMs: 12,
  outcome: "http_error",
  status: 500,
  detail: "oh no",
  ...fields
})

const record = Effect.fnUntraced(function*(claimed: Claimed, verdict: Verdict) {
  const deliveries = yield* Deliveries
  const succeeded = verdict._tag === "Delivered"
  const attempt = attemptAt(claimed, succeeded ? { outcome: "success", status: 200, detail: "ok" } : {})
  return yield* deliveries.record(claimed, attempt, verdict)
})
const delivered: Verdict = { _tag: "Delivered" }
const exhausted: Verdict = { _tag: "Exhausted" }
const retryIn = (afterSeconds: number): Verdict => ({ _tag: "Retry", afterSeconds })

const listOf = Effect.fnUntraced(function*(endpointId: string, fields = {}) {
  const deliveries = yield* Deliveries
  return yield* deliveries.list({ merchantId: "mer_a", mode: "test", endpointId, limit: 100, ...fields })
})
const one = <A>(all: ReadonlyArray<A>): A => {
  assert.strictEqual(all.length, 1)
  return all[0] as A
}
const aDayAgo = Effect.map(DateTime.now, (now) => DateTime.subtract(now, { days: 1 }))
const fresh = id("we")

export const deliveriesContract = <E>(name: string, implementation: Layer.Layer<Deliveries, E>) =>
  layer(implementation, { excludeTestServices: true })(`Deliveries (${name})`, (it) => {
    it.effect("owes a notice to each endpoint once, however often it hears of it", () =>
      Effect.gen(function*() {
        const [a, b] = [yield* fresh, yield* fresh]
        const deliveries = yield* Deliveries
        const notification = yield* oweTo({ endpoints: [a, b] })
        const to = [a, b].map((endpointId) => ({ endpointId, skip: false, ordered: false }))
        yield* deliveries.owe([{ notification, to }])
        const claimed = yield* claimOf([a, b])
        assert.deepStrictEqual(claimed.map(({ endpointId }) => endpointId).toSorted(), [a, b].toSorted())
        assert.deepStrictEqual(claimed.map((delivery) => delivery.notification), [notification, notification])
      }))

    it.effect("gives a delivery that is due to one worker only", () =>
      Effect.gen(function*() {
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const claims = yield* Effect.all(Array.from({ length: 5 }, () => claimOf([endpoint])), {
          concurrency: "unbounded"
        })
        const { attempts, status, step } = one(claims.flat())
        assert.deepStrictEqual({ attempts, status, step }, { attempts: 1, status: "sending", step: 1 })
      }))

    it.effect("never has more in flight to an endpoint than the limit, over all workers", () =>
      Effect.gen(function*() {
        const endpoint = yield* fresh
        yield* Effect.forEach(Array.from({ length: 8 }), () => oweTo({ endpoints: [endpoint] }))
        const claims = yield* Effect.all(
          Array.from({ length: 4 }, () => claimOf([endpoint], { perEndpoint: 3 })),
          { concurrency: "unbounded" }
        )
        const claimed = claims.flat()
        assert.strictEqual(claimed.length, 3)
        yield* record(claimed[0] as Claimed, delivered)
        assert.strictEqual((yield* claimOf([endpoint], { perEndpoint: 3 })).length, 1)
      }))

    it.effect("keeps to the lower limit of an endpoint that is to be left alone", () =>
      Effect.gen(function*() {
        const [dead, half, well] = [yield* fresh, yield* fresh, yield* fresh]
        yield* Effect.forEach(Array.from({ length: 3 }), () => oweTo({ endpoints: [dead, half, well] }))
        const claimed = yield* claimOf([dead, half, well], { lower: new Map([[dead, 0], [half, 1]]) })
        const counts = [dead, half, well].map((endpoint) =>
          claimed.filter(({ endpointId }) => endpointId === endpoint).length
        )
        assert.deepStrictEqual(counts, [0, 1, 3])
      }))

    it.effect("108: an endpoint's backlog takes no place from the others", () =>
      Effect.gen(function*() {
        const [busy, ...others] = [yield* fresh, yield* fresh, yield* fresh]
        yield* Effect.forEach(Array.from({ length: 30 }), () => oweTo({ endpoints: [busy] }))
        yield* oweTo({ endpoints: others })
        const deliveries = yield* Deliveries
        yield* deliveries.claim({ ...limits, lower: new Map([busy, ...others].map((endpoint) => [endpoint, 0])) })
        const claimed = yield* deliveries.claim({ ...limits, total: 4 })
        const endpoints = claimed.map(({ endpointId }) => endpointId)
        assert.deepStrictEqual(endpoints.slice(0, 3).toSorted(), [busy, ...others].toSorted())
        assert.strictEqual(endpoints[3], busy)
      }))

    it.effect("takes the oldest first", () =>
      Effect.gen(function*() {
        const endpoint = yield* fresh
        const first = yield* oweTo({ endpoints: [endpoint] })
        const second = yield* oweTo({ endpoints: [endpoint] })
        const claimed = yield* claimOf([endpoint])
        assert.deepStrictEqual(claimed.map(({ notification }) => notification.id), [first.id, second.id])
      }))

    it.effect("waits with a retry for as long as it was told", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        yield* record(one(yield* claimOf([endpoint])), retryIn(3600))
        assert.deepStrictEqual(yield* claimOf([endpoint]), [])
        const { nextAttemptAt, status } = one(yield* listOf(endpoint))
        const inSeconds = ((nextAttemptAt?.epochMilliseconds ?? 0) - (yield* DateTime.now).epochMilliseconds) / 1000
        assert.strictEqual(status, "pending")
        assert.isTrue(Math.abs(inSeconds - 3600) < 30)
        const nextDueIn = Duration.toSeconds((yield* deliveries.nextDueIn) ?? Duration.zero)
        assert.isTrue(nextDueIn > 0 && nextDueIn <= 3600)
      }))

    it.effect("105: an attempt whose lease was over is logged, and the state is the later worker's", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const slow = one(yield* claimOf([endpoint], { leaseSeconds: 0 }))
        const quick = one(yield* claimOf([endpoint]))
        assert.strictEqual(quick.notification.id, slow.notification.id)
        yield* record(quick, delivered)
        yield* record(slow, exhausted)
        assert.strictEqual(one(yield* listOf(endpoint)).status, "delivered")
        const log = yield* deliveries.attempts([slow.id])
        assert.deepStrictEqual(log.map(({ number }) => number).toSorted(), [1, 2])
      }))

    it.effect("104: what a dead worker had claimed comes again under the same id", () =>
      Effect.gen(function*() {
        const endpoint = yield* fresh
        const { id } = yield* oweTo({ endpoints: [endpoint] })
        yield* claimOf([endpoint], { leaseSeconds: 0 })
        const again = one(yield* claimOf([endpoint]))
        assert.deepStrictEqual([again.notification.id, again.attempts], [id, 2])
      }))

    it.effect("109: an invoice's next notice waits for the one before, other invoices' do not", () =>
      Effect.gen(function*() {
        const [endpoint, x, y] = [yield* fresh, yield* id("inv"), yield* id("inv")]
        const to = { endpoints: [endpoint], ordered: true }
        const first = yield* oweTo(to, { invoiceId: x })
        const second = yield* oweTo(to, { invoiceId: x })
        const third = yield* oweTo(to, { invoiceId: x })
        const other = yield* oweTo(to, { invoiceId: y })
        const ids = (claimed: ReadonlyArray<Claimed>) => claimed.map(({ notification }) => notification.id)

        const claimed = yield* claimOf([endpoint])
        assert.deepStrictEqual(ids(claimed), [first.id, other.id])
        yield* record(claimed[0] as Claimed, retryIn(0))
        const again = one(yield* claimOf([endpoint]))
        assert.strictEqual(again.notification.id, first.id)
        yield* record(again, exhausted)
        const next = one(yield* claimOf([endpoint]))
        assert.strictEqual(next.notification.id, second.id)
        yield* record(next, delivered)
        assert.deepStrictEqual(ids(yield* claimOf([endpoint])), [third.id])
      }))

    it.effect("109: keeps the order also of notices that were written down together", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const [endpoint, invoiceId] = [yield* fresh, yield* id("inv")]
        const both = [yield* notificationOf({ invoiceId }), yield* notificationOf({ invoiceId })]
        const to = [{ endpointId: endpoint, skip: false, ordered: true }]
        yield* deliveries.owe(both.map((notification) => ({ notification, to })))
        const first = one(yield* claimOf([endpoint]))
        assert.strictEqual(first.notification.id, both[0]?.id)
        yield* record(first, delivered)
        assert.strictEqual(one(yield* claimOf([endpoint])).notification.id, both[1]?.id)
      }))

    it.effect("107: what a disabled endpoint missed is kept, and recovered once each", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        const missed = yield* oweTo({ endpoints: [endpoint], skip: true })
        const pending = yield* oweTo({ endpoints: [endpoint] })
        yield* deliveries.shelve(endpoint)
        assert.deepStrictEqual((yield* listOf(endpoint)).map(({ status }) => status), ["skipped", "skipped"])
        assert.deepStrictEqual(yield* claimOf([endpoint]), [])

        const since = yield* aDayAgo
        assert.strictEqual(yield* deliveries.recover("mer_b", endpoint, since), 0)
        assert.strictEqual(yield* deliveries.recover("mer_a", endpoint, since), 2)
        assert.strictEqual(yield* deliveries.recover("mer_a", endpoint, since), 0)
        const claimed = yield* claimOf([endpoint])
        assert.deepStrictEqual(claimed.map(({ notification }) => notification.id), [missed.id, pending.id])
      }))

    it.effect("recovers only what was owed in the time asked for, in order, with a new schedule", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const [endpoint, invoiceId] = [yield* fresh, yield* id("inv")]
        const to = { endpoints: [endpoint], ordered: true }
        yield* oweTo(to, { invoiceId })
        yield* record(one(yield* claimOf([endpoint])), exhausted)
        yield* oweTo({ ...to, skip: true }, { invoiceId })
        const tomorrow = DateTime.add(yield* DateTime.now, { days: 1 })
        assert.strictEqual(yield* deliveries.recover("mer_a", endpoint, tomorrow), 0)
        const [from, to_] = [yield* aDayAgo, DateTime.subtract(yield* DateTime.now, { hours: 1 })]
        assert.strictEqual(yield* deliveries.recover("mer_a", endpoint, from, to_), 0)
        assert.strictEqual(yield* deliveries.recover("mer_a", endpoint, from, tomorrow), 2)
        const first = one(yield* claimOf([endpoint]))
        assert.deepStrictEqual([first.attempts, first.step], [2, 1])
        yield* record(first, delivered)
        assert.deepStrictEqual(one(yield* claimOf([endpoint])).step, 1)
      }))

    it.effect("that a shelved delivery arrived all the same is not forgotten", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const claimed = one(yield* claimOf([endpoint]))
        yield* deliveries.shelve(endpoint)
        yield* record(claimed, delivered)
        assert.strictEqual(one(yield* listOf(endpoint)).status, "delivered")
      }))

    it.effect("116: a manual resend takes the place of the automatic retry", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const claimed = one(yield* claimOf([endpoint]))
        yield* record(claimed, retryIn(3600))
        yield* Effect.forEach(Array.from({ length: 3 }), () => deliveries.resend("mer_a", claimed.id))
        const again = one(yield* claimOf([endpoint]))
        assert.deepStrictEqual([again.id, again.step], [claimed.id, 2])
        assert.strictEqual((yield* deliveries.resend("mer_a", claimed.id))?.status, "sending")
        yield* record(again, delivered)
        assert.deepStrictEqual(yield* claimOf([endpoint]), [])
      }))

    it.effect("resends what had arrived already, with a new schedule", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const claimed = one(yield* claimOf([endpoint]))
        yield* record(claimed, delivered)
        assert.strictEqual((yield* deliveries.resend("mer_a", claimed.id))?.status, "pending")
        const again = one(yield* claimOf([endpoint]))
        assert.deepStrictEqual([again.notification.id, again.attempts, again.step], [claimed.notification.id, 2, 1])
      }))

    it.effect("shows and resends nothing of another merchant's", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const { id } = one(yield* listOf(endpoint))
        assert.isNull(yield* deliveries.get("mer_b", id))
        assert.isNull(yield* deliveries.resend("mer_b", id))
        assert.deepStrictEqual(yield* deliveries.get("mer_a", id), one(yield* listOf(endpoint)))
      }))

    it.effect("counts an endpoint's failures until it answers", () =>
      Effect.gen(function*() {
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const first = yield* record(one(yield* claimOf([endpoint])), retryIn(0))
        const second = yield* record(one(yield* claimOf([endpoint])), retryIn(0))
        assert.deepStrictEqual([first?.failures, second?.failures], [1, 2])
        assert.isNull(yield* record(one(yield* claimOf([endpoint])), delivered))
        yield* oweTo({ endpoints: [endpoint] })
        assert.strictEqual((yield* record(one(yield* claimOf([endpoint])), exhausted))?.failures, 1)
      }))

    it.effect("forgets an endpoint's failures when it is shelved", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        yield* record(one(yield* claimOf([endpoint])), retryIn(0))
        yield* deliveries.shelve(endpoint)
        yield* oweTo({ endpoints: [endpoint] })
        assert.strictEqual((yield* record(one(yield* claimOf([endpoint])), retryIn(0)))?.failures, 1)
      }))

    it.effect("shows the log newest first, by pages and by status, to its own merchant and mode", () =>
      Effect.gen(function*() {
        const endpoint = yield* fresh
        yield* Effect.forEach(Array.from({ length: 5 }), () => oweTo({ endpoints: [endpoint] }))
        yield* record((yield* claimOf([endpoint], { perEndpoint: 1 }))[0] as Claimed, delivered)
        const all = (yield* listOf(endpoint)).map(({ id }) => id)
        assert.deepStrictEqual(all, all.toSorted().toReversed())
        const page = (yield* listOf(endpoint, { limit: 2 })).map(({ id }) => id)
        const rest = (yield* listOf(endpoint, { before: page[1] })).map(({ id }) => id)
        assert.deepStrictEqual([...page, ...rest], all)
        assert.strictEqual((yield* listOf(endpoint, { status: "delivered" })).length, 1)
        const newest = one(yield* listOf(endpoint, { limit: 1 }))
        assert.deepStrictEqual(yield* listOf(endpoint, { notificationId: newest.notification.id }), [newest])
        assert.deepStrictEqual(yield* listOf(endpoint, { merchantId: "mer_b" }), [])
        assert.deepStrictEqual(yield* listOf(endpoint, { mode: "live" }), [])
      }))

    it.effect("remembers each attempt as it was told", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] })
        const claimed = one(yield* claimOf([endpoint]))
        const attempt = attemptAt(claimed, { outcome: "timeout", status: null, detail: "no answer" })
        yield* deliveries.record(claimed, attempt, retryIn(60))
        assert.deepStrictEqual(yield* deliveries.attempts([claimed.id]), [attempt])
      }))

    it.effect("replays a merchant's notices in order from any cursor", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const merchantId = yield* id("mer")
        const owed = yield* Effect.forEach(
          ["invoice.created", "invoice.processing", "invoice.settled"],
          (type) => oweTo({ endpoints: [] }, { merchantId, type })
        )
        yield* oweTo({ endpoints: [] }, { merchantId, mode: "live" })
        const query = { merchantId, mode: "test", after: null, limit: 2 } as const
        // They may be held back for a moment by whoever else is writing.
        yield* until("all are shown", () =>
          Effect.map(deliveries.notifications({ ...query, limit: 9 }), ({ data }) => data.length === owed.length))
        const first = yield* deliveries.notifications(query)
        const second = yield* deliveries.notifications({ ...query, after: first.cursor })
        const end = yield* deliveries.notifications({ ...query, after: second.cursor })
        assert.deepStrictEqual([...first.data, ...second.data], owed)
        assert.deepStrictEqual([first.hasMore, second.hasMore], [true, false])
        assert.deepStrictEqual(end, { data: [], cursor: second.cursor, hasMore: false })
        const settled = yield* deliveries.notifications({ ...query, types: ["invoice.settled"] })
        assert.deepStrictEqual(settled.data, owed.slice(2))
      }))

    it.effect("refuses a cursor that it never gave out", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const query = { merchantId: "mer_a", mode: "test", limit: 2, after: "'; --" } as const
        const exit = yield* Effect.exit(deliveries.notifications(query))
        assert.isTrue(Exit.isFailure(exit))
      }))

    it.effect("wakes whoever waits for work", () =>
      Effect.gen(function*() {
        const deliveries = yield* Deliveries
        const waiting = yield* Effect.forkChild(Stream.runHead(deliveries.wakes))
        // The listener may not be there yet when the first one is owed.
        const endpoint = yield* fresh
        yield* oweTo({ endpoints: [endpoint] }).pipe(
          Effect.delay("10 millis"),
          Effect.forever,
          Effect.raceFirst(Fiber.join(waiting)),
          Effect.timeout("10 seconds")
        )
      }))
  })
