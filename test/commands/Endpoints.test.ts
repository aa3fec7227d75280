import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Endpoints, mostEndpoints, secretPurpose } from "#commands/Endpoints.ts"
import { Dispatch } from "#commands/Dispatch.ts"
import { DeleteEndpoint, DisableEndpoint } from "#commands/Merchants.ts"
import { Deliveries } from "#ports/Deliveries.ts"
import { Vault } from "#ports/Vault.ts"
import { behalf, deliveriesOf, endpointRow, register, under, webhooks } from "../support/webhooks.ts"

const settings = { url: "https://shop.example/", types: null, ordering: "unordered" } as const
const asked = { ...settings, mode: "live" } as const
const stranger = { ...behalf, tenant: "mer_7zzzzzzzzzzzzzzzzzzzzzzzzz" }

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, { onFailure: ({ _tag }) => _tag, onSuccess: () => "Success" })

describe("a webhook endpoint", () => {
  it.effect("is registered with a secret of its own, which is stored sealed", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* register("a.example"), yield* register("b.example")]
      assert.match(a.secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
      assert.notStrictEqual(a.secret, b.secret)
      const row = yield* endpointRow(a.id)
      const sealed = row?.secrets[0]?.sealed ?? ""
      assert.isFalse(sealed.includes(a.secret.slice(6, 20)))
      const vault = yield* Vault
      assert.strictEqual(Redacted.value(yield* vault.open(secretPurpose(a.id), sealed)), a.secret)
      assert.strictEqual(yield* tagOf(vault.open(secretPurpose(b.id), sealed)), "SealBroken")
    }).pipe(Effect.provide(webhooks)))

  it.effect("is registered once under one receipt, and shows the same secret again", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const first = yield* endpoints.register(asked, under("k1"))
      const again = yield* endpoints.register(asked, under("k1"))
      assert.strictEqual(again.outcome.id, first.outcome.id)
      assert.strictEqual(Redacted.value(again.secret), Redacted.value(first.secret))
    }).pipe(Effect.provide(webhooks)))

  it.effect("94: is refused at a place that leads inside, at first and when it moves", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const url = "https://inside.example/"
      assert.strictEqual(yield* tagOf(endpoints.register({ ...asked, url }, behalf)), "UrlRefused")
      const { id } = yield* register("shop.example")
      assert.strictEqual(yield* tagOf(endpoints.change(id, { ...settings, url }, behalf)), "UrlRefused")
      assert.strictEqual((yield* endpointRow(id))?.url, "https://shop.example/")
    }).pipe(Effect.provide(webhooks)))

  it.effect("signs with both secrets for a day after a rotation, or for as long as was asked", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const { id, secret } = yield* register("shop.example")
      yield* TestClock.adjust("1 hour")
      const rotated = yield* endpoints.rotate(id, under("k1"))
      assert.notStrictEqual(Redacted.value(rotated.secret), secret)
      const untils = Effect.map(
        endpointRow(id),
        (row) => row?.secrets.map(({ until }) => until?.epochMilliseconds ?? null)
      )
      assert.deepStrictEqual(yield* untils, [null, 25 * 3_600_000])
      const again = yield* endpoints.rotate(id, under("k1"))
      assert.strictEqual(Redacted.value(again.secret), Redacted.value(rotated.secret))
      yield* endpoints.rotate(id, behalf, 60)
      assert.deepStrictEqual(yield* untils, [null, 3_660_000, 25 * 3_600_000])
    }).pipe(Effect.provide(webhooks)))

  it.effect("does not exist for another merchant", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const { id } = yield* register("shop.example")
      for (
        const attempt of [
          tagOf(endpoints.change(id, settings, stranger)),
          tagOf(endpoints.rotate(id, stranger)),
          tagOf(endpoints.ping(id, stranger))
        ]
      ) assert.strictEqual(yield* attempt, "EndpointNotFound")
    }).pipe(Effect.provide(webhooks)))

  it.effect("is one too many after the twentieth, until one is deleted", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const { dispatch } = yield* Dispatch
      const first = yield* endpoints.register(asked, under("k1"))
      for (let i = 1; i < mostEndpoints; i++) yield* register(`shop${i}.example`)
      assert.strictEqual(yield* tagOf(endpoints.register(asked, behalf)), "TooManyEndpoints")
      assert.strictEqual(yield* tagOf(endpoints.register({ ...asked, mode: "test" }, behalf)), "Success")
      assert.strictEqual(yield* tagOf(endpoints.register(asked, under("k1"))), "Success")
      yield* dispatch(DeleteEndpoint, first.outcome.id, {}, behalf)
      assert.strictEqual(yield* tagOf(endpoints.register(asked, behalf)), "Success")
    }).pipe(Effect.provide(webhooks)))
})

describe("a ping", () => {
  it.effect("is owed to its endpoint alone, and once under one receipt", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const deliveries = yield* Deliveries
      const [asked, other] = [yield* register("asked.example"), yield* register("other.example")]
      const { delivery: first } = yield* endpoints.ping(asked.id, under("k1"))
      const { delivery: again, replayed } = yield* endpoints.ping(asked.id, under("k1"))
      assert.isTrue(replayed)
      assert.deepStrictEqual(again, first)
      const body: unknown = JSON.parse(first.notification.body)
      assert.deepInclude(body, { type: "endpoint.ping", mode: "live", data: { endpointId: asked.id } })
      assert.deepStrictEqual(yield* deliveriesOf(other.id), [])
      yield* endpoints.ping(asked.id, behalf)
      assert.strictEqual((yield* deliveriesOf(asked.id)).length, 2)
      const { data } = yield* deliveries.notifications({
        merchantId: behalf.tenant,
        mode: "live",
        after: null,
        limit: 9
      })
      assert.strictEqual(data.length, 2)
    }).pipe(Effect.provide(webhooks)))

  it.effect("is not sent where nothing else would be", () =>
    Effect.gen(function*() {
      const endpoints = yield* Endpoints
      const { dispatch } = yield* Dispatch
      const { id } = yield* register("shop.example")
      yield* dispatch(DisableEndpoint, id, { reason: "by_merchant" }, behalf)
      assert.strictEqual(yield* tagOf(endpoints.ping(id, behalf)), "EndpointNotEnabled")
      yield* dispatch(DeleteEndpoint, id, {}, behalf)
      assert.strictEqual(yield* tagOf(endpoints.ping(id, behalf)), "EndpointNotFound")
    }).pipe(Effect.provide(webhooks)))
})
