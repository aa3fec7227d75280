import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, type Duration, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryDeliveries from "#adapters/memory/Deliveries.ts"
import { Dispatch } from "#commands/Dispatch.ts"
import { Endpoints } from "#commands/Endpoints.ts"
import { DeleteEndpoint, DisableEndpoint, EnableEndpoint } from "#commands/Merchants.ts"
import { Deliveries } from "#ports/Deliveries.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import type { Response } from "#ports/WebhookSender.ts"
import * as Delivering from "#processes/Delivering.ts"
import {
  behalf,
  deliveriesOf,
  endpointRow,
  failing,
  owe,
  Receivers,
  receiversAnswer,
  register,
  silent,
  webhooks,
  webhooksOn
} from "../support/webhooks.ts"

/** Starts a worker; it ends with the test's scope. */
const working = (options: Delivering.Options = {}) => Effect.andThen(Layer.build(Delivering.layer(options)), settle)
/** Lets the fibers that wake each other come to rest, without a second passing. */
const settle = Effect.repeat(TestClock.adjust(0), { times: 50 })
/** Lets time pass in steps, and everything come to rest after each: a jump would leave behind what is started in it. */
const pass = (steps: number, step: Duration.Input = "1 second") =>
  Effect.repeat(Effect.andThen(TestClock.adjust(step), settle), { times: steps - 1 })

const posts = Effect.map(Receivers, ({ posts }) => posts)
const postsTo = (host: string) => Effect.map(posts, (posts) => posts.filter(({ url }) => url.includes(host)))
const statuses = (id: string) => Effect.map(deliveriesOf(id), (all) => all.map(({ status }) => status))

/** Hosts that begin with `dead` answer like this, the others with 204. */
const deadHosts = (response: Partial<Response>) =>
  receiversAnswer(({ url }) => Effect.succeed(url.includes("//dead") ? response : {}))

describe("a delivery", () => {
  it.effect("is sent as soon as it is owed, signed with its endpoint's secret", () =>
    Effect.gen(function*() {
      const { id, secret } = yield* register("shop.example")
      yield* working()
      const notice = yield* owe([id], { body: '{"note":"世界"}' })
      yield* settle
      const [post, ...more] = yield* posts
      assert.deepStrictEqual(more, [])
      assert.deepInclude(post, { id: notice.id, body: notice.body, attempt: 1, url: "https://shop.example/" })
      assert.deepStrictEqual(post?.secrets.map((secret) => Redacted.value(secret)), [secret])
      assert.deepStrictEqual(yield* statuses(id), ["delivered"])
    }).pipe(Effect.provide(webhooks)))

  it.effect("is tried again by the schedule until it arrives, under the same id", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      const times: Array<number> = []
      yield* receiversAnswer(({ attempt }) =>
        Effect.map(DateTime.now, ({ epochMilliseconds }) => {
          times.push(epochMilliseconds / 1000)
          return attempt < 4 ? failing : {}
        })
      )
      yield* working()
      const notice = yield* owe([id])
      yield* settle
      yield* pass(250)
      const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0))
      assert.strictEqual(waits.length, 3)
      for (const [i, base] of [5, 30, 120].entries()) {
        assert.isTrue((waits[i] ?? 0) >= base && (waits[i] ?? 0) <= base * 1.2 + 1, `${waits[i]} after ${base}`)
      }
      assert.deepStrictEqual(
        (yield* posts).map(({ attempt, id }) => [attempt, id]),
        [1, 2, 3, 4].map((n) => [n, notice.id])
      )
      assert.deepStrictEqual(yield* statuses(id), ["delivered"])
    }).pipe(Effect.provide(webhooks)))

  it.effect("is given up after the last attempt of the schedule, with a log of them all", () =>
    Effect.gen(function*() {
      const deliveries = yield* Deliveries
      const { id } = yield* register("shop.example")
      yield* receiversAnswer(() => Effect.succeed({ ...failing, detail: "oh no" }))
      yield* working({ schedule: { delays: [0, 1, 2], jitter: 0, overloadedSeconds: 60 } })
      yield* owe([id])
      yield* pass(60)
      const [delivery] = yield* deliveriesOf(id)
      assert.isDefined(delivery)
      assert.strictEqual(delivery.status, "exhausted")
      const log = yield* deliveries.attempts([delivery.id])
      assert.deepStrictEqual(
        log.map(({ at, detail, number, outcome, status }) => ({
          at: at.epochMilliseconds,
          detail,
          number,
          outcome,
          status
        })),
        [3, 2, 1].map((number) => ({
          at: [0, 1000, 3000][number - 1] ?? 0,
          detail: "oh no",
          number,
          outcome: "http_error" as const,
          status: 500
        }))
      )
    }).pipe(Effect.provide(webhooks)))

  it.effect("is signed with both secrets while a rotation lasts", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const { id, secret } = yield* register("shop.example")
      const rotated = yield* endpoints.rotate(id, behalf, 60)
      yield* working()
      const signedWith = Effect.gen(function*() {
        yield* owe([id])
        yield* settle
        return (yield* posts).at(-1)?.secrets.map((secret) => Redacted.value(secret))
      })
      assert.deepStrictEqual(yield* signedWith, [Redacted.value(rotated.secret), secret])
      yield* pass(61)
      assert.deepStrictEqual(yield* signedWith, [Redacted.value(rotated.secret)])
    }).pipe(Effect.provide(webhooks)))

  it.effect("114: goes to the address that the endpoint has when it is sent", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const { id } = yield* register("old.example")
      yield* owe([id])
      yield* endpoints.change(
        id,
        { url: "https://new.example/", types: ["invoice.expired"], ordering: "unordered" },
        behalf
      )
      yield* working()
      assert.deepStrictEqual((yield* posts).map(({ url }) => url), ["https://new.example/"])
    }).pipe(Effect.provide(webhooks)))

  it.effect("is not sent to an endpoint that was disabled or deleted meanwhile", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* Dispatch
      const [disabled, deleted] = [yield* register("a.example"), yield* register("b.example")]
      yield* owe([disabled.id, deleted.id])
      yield* dispatch(DisableEndpoint, disabled.id, { reason: "by_merchant" }, behalf)
      yield* dispatch(DeleteEndpoint, deleted.id, {}, behalf)
      yield* working()
      assert.deepStrictEqual(yield* posts, [])
      assert.deepStrictEqual([...yield* statuses(disabled.id), ...yield* statuses(deleted.id)], ["skipped", "skipped"])
    }).pipe(Effect.provide(webhooks)))
})

/** The database goes away at the moment when the first attempt is to be written down. */
const forgetful = Layer.effect(
  Deliveries,
  Effect.map(Deliveries, (deliveries) => {
    let failed = false
    return {
      ...deliveries,
      record: (...attempt: Parameters<typeof deliveries.record>) => {
        if (failed) return deliveries.record(...attempt)
        failed = true
        return Effect.fail(new StoreUnavailable({ reason: "gone", retryAfterSeconds: 1 }))
      }
    }
  })
).pipe(Layer.provide(MemoryDeliveries.layer))

describe("a worker", () => {
  it.effect("104: that dies between the receiver's 200 and the commit leaves it to be sent again, under the same id", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      yield* working({ leaseSeconds: 30 })
      const notice = yield* owe([id])
      yield* pass(29)
      assert.strictEqual((yield* posts).length, 1)
      yield* pass(2)
      assert.deepStrictEqual((yield* posts).map(({ attempt, id }) => [attempt, id]), [[1, notice.id], [2, notice.id]])
      assert.deepStrictEqual(yield* statuses(id), ["delivered"])
    }).pipe(Effect.provide(webhooksOn(forgetful))))

  it.effect("lets what is in flight finish when it ends, and begins nothing more", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      const answer = yield* Deferred.make<Partial<Response>>()
      yield* receiversAnswer(() => Deferred.await(answer))
      const scope = yield* Scope.make()
      yield* Effect.provideService(working({ perEndpoint: 1 }), Scope.Scope, scope)
      yield* owe([id])
      yield* owe([id])
      yield* settle
      const ending = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settle
      assert.isUndefined(ending.pollUnsafe())
      yield* Deferred.succeed(answer, {})
      yield* Fiber.join(ending)
      assert.deepStrictEqual((yield* statuses(id)).toSorted(), ["delivered", "pending"])
    }).pipe(Effect.provide(webhooks)))

  it.effect("does not wait for ever for what is in flight when it ends", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      yield* receiversAnswer(() => Effect.never)
      const scope = yield* Scope.make()
      yield* Effect.provideService(working(), Scope.Scope, scope)
      yield* owe([id])
      yield* settle
      const ending = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("21 seconds")
      assert.isDefined(ending.pollUnsafe())
      assert.deepStrictEqual(yield* statuses(id), ["sending"])
    }).pipe(Effect.provide(webhooks)))

  it.effect("has no more in flight than it may, in all and per endpoint", () =>
    Effect.gen(function*() {
      const hosts = yield* Effect.forEach(["a", "b", "c"], (name) => register(`${name}.example`))
      const answer = yield* Deferred.make<Partial<Response>>()
      yield* receiversAnswer(() => Deferred.await(answer))
      for (let i = 0; i < 9; i++) yield* owe(hosts.map(({ id }) => id))
      yield* working({ total: 5, perEndpoint: 2 })
      assert.strictEqual((yield* posts).length, 5)
      for (const name of ["a", "b", "c"]) assert.isTrue((yield* postsTo(`//${name}.`)).length <= 2)
      yield* Deferred.succeed(answer, {})
      yield* settle
      assert.strictEqual((yield* posts).length, 27)
    }).pipe(Effect.provide(webhooks)))
})

describe("a worker that may send one at a time", () => {
  it.effect("goes on with the next at once", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      for (let i = 0; i < 5; i++) yield* owe([id])
      yield* working({ total: 1 })
      assert.strictEqual((yield* posts).length, 5)
    }).pipe(Effect.provide(webhooks)))
})

describe("an endpoint that is dead", () => {
  it.effect("108: with a backlog of its own, does not hold up another's deliveries", () =>
    Effect.gen(function*() {
      const [dead, well] = [yield* register("dead.example"), yield* register("well.example")]
      yield* receiversAnswer(({ url }) =>
        url.includes("//dead") ? Effect.delay(Effect.succeed(silent), "15 seconds") : Effect.succeed({})
      )
      for (let i = 0; i < 200; i++) yield* owe([dead.id])
      yield* working({ total: 16, perEndpoint: 10 })
      for (let second = 0; second < 60; second++) {
        yield* owe([well.id])
        yield* settle
        assert.strictEqual((yield* postsTo("//well")).length, second + 1)
        yield* pass(1)
      }
    }).pipe(Effect.provide(webhooks)))

  it.effect("costs one probe at a time, not a timeout for each delivery", () =>
    Effect.gen(function*() {
      const dead = yield* register("dead.example")
      yield* deadHosts(silent)
      for (let i = 0; i < 50; i++) yield* owe([dead.id])
      yield* working({ perEndpoint: 3 })
      const sent = Effect.map(posts, ({ length }) => length)
      assert.strictEqual(yield* sent, 3)
      yield* pass(29)
      assert.strictEqual(yield* sent, 3)
      yield* pass(1)
      assert.strictEqual(yield* sent, 4)
      yield* pass(60)
      assert.strictEqual(yield* sent, 5)
      yield* receiversAnswer(() => Effect.succeed({}))
      yield* pass(125)
      assert.isTrue((yield* statuses(dead.id)).every((status) => status === "delivered"))
    }).pipe(Effect.provide(webhooks)))

  it.effect("that is gone (410) is disabled at once, and its backlog kept", () =>
    Effect.gen(function*() {
      const dead = yield* register("dead.example")
      yield* deadHosts({ outcome: "http_error", status: 410 })
      for (let i = 0; i < 5; i++) yield* owe([dead.id])
      yield* working({ perEndpoint: 1 })
      assert.strictEqual((yield* posts).length, 1)
      const row = yield* endpointRow(dead.id)
      assert.deepStrictEqual([row?.status, row?.disabledBecause], ["disabled", "gone"])
      assert.deepStrictEqual((yield* statuses(dead.id)).toSorted(), [
        "exhausted",
        "skipped",
        "skipped",
        "skipped",
        "skipped"
      ])
    }).pipe(Effect.provide(webhooks)))

  it.effect("107: for five days is disabled; what it missed is kept, and recovered once each", () =>
    Effect.gen(function*() {
      const deliveries = yield* Deliveries
      const { dispatch } = yield* Dispatch
      const dead = yield* register("dead.example")
      yield* deadHosts(failing)
      yield* working({ longestNap: "1 hour" })
      const began = yield* DateTime.now
      const owed: Array<string> = []
      for (let day = 0; day < 6; day++) {
        assert.strictEqual((yield* endpointRow(dead.id))?.status, "enabled")
        owed.push((yield* owe([dead.id])).id)
        yield* pass(24, "1 hour")
      }
      const row = yield* endpointRow(dead.id)
      assert.deepStrictEqual([row?.status, row?.disabledBecause], ["disabled", "failing"])
      owed.push((yield* owe([dead.id], { skip: true })).id)

      yield* receiversAnswer(() => Effect.succeed({}))
      yield* dispatch(EnableEndpoint, dead.id, {}, behalf)
      const before = (yield* posts).length
      assert.strictEqual(yield* deliveries.recover(behalf.tenant, dead.id, began), owed.length)
      yield* pass(60)
      const after = (yield* posts).slice(before).map(({ id }) => id)
      assert.deepStrictEqual(after, owed)
      assert.strictEqual(yield* deliveries.recover(behalf.tenant, dead.id, began), 0)
    }).pipe(Effect.provide(webhooks)))
})
