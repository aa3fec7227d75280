/** Sends what is owed: claims, signs, posts, and writes down what came of it. Any number may run side by side. */
import { Cause, Clock, Duration, Effect, FiberSet, Layer, Queue, Random, Stream } from "effect"
import { Dispatch } from "#commands/Dispatch.ts"
import { secretPurpose } from "#commands/Endpoints.ts"
import { DisableEndpoint } from "#commands/Merchants.ts"
import * as Circuit from "#domain/Circuit.ts"
import { isDead, type Outcome, type RetrySchedule, standard, verdict } from "#domain/RetrySchedule.ts"
import { type Claimed, Deliveries } from "#ports/Deliveries.ts"
import type { StoreUnavailable } from "#ports/EventStore.ts"
import { Vault } from "#ports/Vault.ts"
import { Views } from "#ports/Views.ts"
import { type Response, WebhookSender } from "#ports/WebhookSender.ts"
import { type EndpointRow, endpoints } from "#projections/Directory.ts"

export interface Options {
  readonly schedule?: RetrySchedule
  /** In flight in this process. */
  readonly total?: number
  /** In flight over all processes. */
  readonly perEndpoint?: number
  /** Longer than the sender's deadline: what is not recorded by then is sent again. */
  readonly leaseSeconds?: number
  /** At most this long between two looks, should the word that there is work have been lost. */
  readonly longestNap?: Duration.Input
}

/** At least this long, lest a clock that is coarser than the database's be asked over and over. */
const shortestNap = Duration.millis(5)
const afterOutage = Duration.seconds(1)
/** When the process ends, what is in flight may finish for this long: a little more than the sender's deadline. */
const grace = Duration.seconds(20)

/** No host answered: another delivery to it would fare no better. */
const unanswered: ReadonlySet<Outcome> = new Set<Outcome>(["timeout", "dns", "tls", "connection"])

export const layer = (options: Options = {}) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const { leaseSeconds = 60, perEndpoint = 10, schedule = standard, total = 64 } = options
      const longestNap = Duration.fromInputUnsafe(options.longestNap ?? "5 seconds")
      const deliveries = yield* Deliveries
      const views = yield* Views
      const vault = yield* Vault
      const sender = yield* WebhookSender
      const { dispatch } = yield* Dispatch

      const inFlight = yield* FiberSet.make<void>()
      // Runs after the loop below has ended, and before what is then still in flight is cut off.
      yield* Effect.addFinalizer(() => FiberSet.awaitEmpty(inFlight).pipe(Effect.timeout(grace), Effect.ignore))
      let sending = 0
      /** Holds one tick: something may have become possible. */
      const ticks = yield* Queue.sliding<void>(1)
      /** Of endpoints whose last attempt had no answer; whoever answers is forgotten. */
      const circuits = new Map<string, Circuit.Circuit>()

      /** Sends what may be sent now, and sleeps until more may. */
      const turn = Effect.gen(function*() {
        // Asked before the claim, which takes what is due by then: so nothing can become due unnoticed between the two.
        const nap = yield* napFor
        const free = total - sending
        const count = free > 0 ? yield* Effect.uninterruptible(sendOff(free)) : 0
        if (count === free && free > 0) return
        yield* Effect.timeoutOption(Queue.take(ticks), nap)
      }).pipe(
        Effect.catchTag("StoreUnavailable", () => Effect.sleep(afterOutage)),
        Effect.catchCauseIf((cause) => !Cause.hasInterruptsOnly(cause), (cause) =>
          Effect.andThen(Effect.logError("nothing could be claimed", cause), Effect.sleep(afterOutage)))
      )

      const sendOff = Effect.fnUntraced(function*(free: number) {
        const now = yield* Clock.currentTimeMillis
        const lower = new Map([...circuits].map(([id, circuit]) => [id, Circuit.permits(circuit, now, perEndpoint)]))
        const claimed = yield* deliveries.claim({ total: free, perEndpoint, lower, leaseSeconds })
        sending += claimed.length
        // Asked once for all that goes to it now.
        const asked = new Map<string, AskedFor>()
        for (const delivery of claimed) {
          const endpoint = asked.get(delivery.endpointId)
            ?? (yield* Effect.cached(views.get(endpoints, delivery.endpointId)))
          asked.set(delivery.endpointId, endpoint)
          yield* FiberSet.run(inFlight, deliver(delivery, endpoint))
        }
        return claimed.length
      })

      /** Until the next delivery is due or the next circuit lets a probe through, whichever comes first. */
      const napFor = Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const due = (yield* deliveries.nextDueIn) ?? longestNap
        const probes = [...circuits.values()].filter(({ openUntil }) =>
          openUntil > now
        ).map(({ openUntil }) => openUntil - now)
        const next = Duration.min(due, Duration.millis(Math.min(Infinity, ...probes)))
        return Duration.max(shortestNap, Duration.min(longestNap, next))
      })

      // What breaks here is logged, and its lease runs out: then it is tried again.
      const deliver = (claimed: Claimed, asked: AskedFor) =>
        attempt(claimed, asked).pipe(
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.void
              : Effect.logError(`delivery ${claimed.id} could not be attempted`, cause)
          ),
          Effect.ensuring(Effect.suspend(() => {
            sending -= 1
            return Queue.offer(ticks, undefined)
          })),
          Effect.asVoid
        )

      const attempt = Effect.fn("Delivering.attempt")(function*(claimed: Claimed, asked: AskedFor) {
        const endpoint = yield* asked
        if (endpoint === null || endpoint.status !== "enabled") {
          return yield* deliveries.shelve(claimed.endpointId)
        }

        const response = yield* post(claimed, endpoint)
        yield* noteCircuit(endpoint.id, response)
        const follows = verdict(schedule, claimed.step, response, yield* Random.next)
        const { detail, durationMs, outcome, status } = response
        const { attempts, claimedAt, id } = claimed
        const logged = { deliveryId: id, number: attempts, at: claimedAt, durationMs, outcome, status, detail }
        const streak = yield* deliveries.record(claimed, logged, follows)
        if (status === 410) {
          yield* disable(endpoint, "gone")
        } else if (streak !== null && isDead(streak)) {
          yield* disable(endpoint, "failing")
        }
      })

      const post = Effect.fnUntraced(function*(claimed: Claimed, endpoint: EndpointRow) {
        const { attempts, claimedAt, notification } = claimed
        const valid = endpoint.secrets.filter(({ until }) =>
          until === null || until.epochMilliseconds > claimedAt.epochMilliseconds
        )
        const secrets = yield* Effect.forEach(valid, ({ sealed }) =>
          vault.open(secretPurpose(endpoint.id), sealed))
        const { body, id } = notification
        // Signed with the database's time: a worker's own clock may be off by more than receivers bear.
        return yield* sender.post({ url: endpoint.url, id, at: claimedAt, attempt: attempts, body, secrets })
      }, Effect.catchTag("SealBroken", () => Effect.as(Effect.logError("a webhook secret does not open"), unsigned)))

      const noteCircuit = Effect.fnUntraced(function*(endpointId: string, { outcome }: Response) {
        if (!unanswered.has(outcome)) return circuits.delete(endpointId)
        const now = yield* Clock.currentTimeMillis
        circuits.set(endpointId, Circuit.afterFailure(circuits.get(endpointId) ?? Circuit.closed, now))
      })

      const disable = Effect.fnUntraced(function*({ id, merchantId }: EndpointRow, reason: "gone" | "failing") {
        yield* Effect.logWarning(`endpoint ${id} is disabled: ${reason}`)
        yield* dispatch(DisableEndpoint, id, { reason }, { tenant: merchantId, actor: "webhooks" }).pipe(
          // Deleted meanwhile, which will do.
          Effect.catchTag("EndpointNotFound", () => Effect.void)
        )
        circuits.delete(id)
        yield* deliveries.shelve(id)
      })

      yield* Effect.forkScoped(Stream.runForEach(deliveries.wakes, () => Queue.offer(ticks, undefined)))
      yield* Effect.forkScoped(Effect.forever(turn))
    })
  )

/** The endpoint as it is when it is sent to. */
type AskedFor = Effect.Effect<EndpointRow | null, StoreUnavailable>

const unsigned: Response = {
  outcome: "blocked",
  status: null,
  retryAfterSeconds: null,
  durationMs: 0,
  detail: "it could not be signed"
}
