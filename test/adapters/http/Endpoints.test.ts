import { assert, layer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import * as Id from "#domain/Id.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { Deliveries, type Notification } from "#ports/Deliveries.ts"
import { apiLayer, type Ask, ask, World } from "../../support/api.ts"
import { until } from "../../support/until.ts"

const base = "/v1/webhook-endpoints"

const a = (path: string, options: Ask = {}) =>
  Effect.flatMap(World, ({ keys, url }) => ask(url + path, { key: keys.a, ...options }))
const register = (json: object = {}, headers: Record<string, string> = {}) =>
  a(base, { json: { url: "https://shop.example/hooks", ...json }, headers })

/** The feed shows a notice once no older transaction can still write one before it. */
const visible = (query: string, count: number) =>
  until("the feed shows it", () => Effect.map(a(`/v1/events${query}`), ({ body }) => body.data.length === count))

/** A notice for merchant a, owed to this endpoint. */
const owe = Effect.fnUntraced(function*(endpointId: string, type: string, number: number) {
  const { merchants } = yield* World
  const deliveries = yield* Deliveries
  const id = Id.fromUuid("evt", `019cae12-0000-7000-8000-${number.toString(16).padStart(12, "0")}`)
  const notification: Notification = {
    id,
    merchantId: merchants.a,
    mode: "test",
    type,
    invoiceId: null,
    body: JSON.stringify({ id, type, number }),
    occurredAt: yield* DateTime.now
  }
  yield* deliveries.owe([{ notification, to: [{ endpointId, skip: true, ordered: false }] }])
  return id
})

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("webhook endpoints", (it) => {
  it.effect("are registered with a secret that is shown once", () =>
    Effect.gen(function*() {
      const made = yield* register({ description: "Orders", types: ["invoice.settled"] })
      assert.strictEqual(made.status, 201)
      assert.match(made.body.secret, /^whsec_/)
      assert.strictEqual(made.headers.get("location"), `${base}/${made.body.id}`)
      const got = yield* a(`${base}/${made.body.id}`)
      const { secret: _, ...rest } = made.body
      assert.deepStrictEqual(got.body, rest)
      assert.deepStrictEqual([rest.status, rest.ordering, rest.version, rest.types], ["enabled", "unordered", 1, [
        "invoice.settled"
      ]])
    }))

  it.effect("asked for again under the same key, the same secret is the answer", () =>
    Effect.gen(function*() {
      const headers = { "idempotency-key": "register" }
      const first = yield* register({}, headers)
      const again = yield* register({}, headers)
      assert.deepStrictEqual([again.status, again.text], [201, first.text])
      assert.strictEqual(again.headers.get("idempotent-replayed"), "true")
    }))

  it.effect("94, 98: are refused where we do not send, with the reason", () =>
    Effect.gen(function*() {
      for (
        const url of [
          "http://shop.example/",
          "https://127.0.0.1/",
          "https://a:b@shop.example/",
          "https://shop.example:22/",
          "https://shop.example:6379/",
          "file:///etc/passwd",
          "gopher://shop.example/",
          "https://[::ffff:10.0.0.1]/",
          "https://2130706433/",
          "https://intranet/",
          "https://shop.example./",
          "nonsense"
        ]
      ) {
        const answer = yield* register({ url })
        assert.deepStrictEqual([answer.status, answer.body.code, answer.body.errors[0].pointer], [
          422,
          "destination_refused",
          "/url"
        ], url)
      }
    }))

  it.effect("98: have a URL with an end, and nothing that is not theirs to set", () =>
    Effect.gen(function*() {
      const long = yield* register({ url: `https://shop.example/${"x".repeat(2000)}` })
      assert.deepStrictEqual([long.status, long.body.errors[0].pointer], [400, "/url"])
      const just = yield* register({ url: `https://shop.example/${"x".repeat(1003)}` })
      assert.strictEqual(just.status, 201)
      const foreign = { mode: "live", secret: "whsec_x", merchantId: "mer_1", status: "disabled" }
      for (
        const answer of [
          yield* register(foreign),
          yield* a(`${base}/${just.body.id}`, { method: "PATCH", json: foreign })
        ]
      ) {
        assert.strictEqual(answer.status, 400)
        assert.deepStrictEqual(
          answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).toSorted(),
          ["/merchantId", "/mode", "/secret", "/status"]
        )
      }
      const typo = yield* register({ types: ["invoice.setled"] })
      assert.include(typo.body.errors[0].message, "«invoice.settled»")
    }))

  it.effect("change only in what is named, at the version that was meant", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* register({ description: "Orders" })
      const path = `${base}/${id}`
      const first = yield* a(path, { method: "PATCH", json: { types: ["invoice.settled"] } })
      assert.deepStrictEqual([first.body.description, first.body.types, first.body.version], ["Orders", [
        "invoice.settled"
      ], 2])
      const stale = yield* a(path, { method: "PATCH", json: { types: null }, headers: { "if-match": `"1"` } })
      assert.deepStrictEqual([stale.status, stale.body.code], [409, "version_conflict"])
      const off = yield* a(path, { method: "PATCH", json: { enabled: false, description: null } })
      assert.deepStrictEqual([off.body.status, off.body.disabledBecause, off.body.description], [
        "disabled",
        "by_merchant",
        null
      ])
      assert.strictEqual((yield* a(`${path}/test`, { method: "POST" })).body.code, "not_possible_now")
      const on = yield* a(path, { method: "PATCH", json: { enabled: true } })
      assert.deepStrictEqual([on.body.status, on.body.disabledBecause], ["enabled", null])
      const nothing = yield* a(path, { method: "PATCH", json: {} })
      assert.deepStrictEqual([nothing.status, nothing.body.version], [200, on.body.version])
    }))

  it.effect("get a new secret on request, and the same one when that is asked again", () =>
    Effect.gen(function*() {
      const { body } = yield* register()
      const headers = { "idempotency-key": "rotate" }
      const rotated = yield* a(`${base}/${body.id}/rotate-secret`, { json: { overlapSeconds: 60 }, headers })
      assert.strictEqual(rotated.status, 200)
      assert.notStrictEqual(rotated.body.secret, body.secret)
      const again = yield* a(`${base}/${body.id}/rotate-secret`, { json: { overlapSeconds: 60 }, headers })
      assert.strictEqual(again.text, rotated.text)
    }))

  it.effect("are gone once they are deleted, and are listed until then", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* register()
      const listed = () =>
        Effect.map(a(`${base}?limit=100`), ({ body }) => body.data.map(({ id }: { id: string }) => id))
      assert.include(yield* listed(), id)
      const removed = yield* a(`${base}/${id}`, { method: "DELETE" })
      assert.deepStrictEqual([removed.status, removed.text], [204, ""])
      assert.notInclude(yield* listed(), id)
      for (
        const [path, options] of [["", {}], ["", { method: "DELETE" }], ["/test", { method: "POST" }], [
          "/deliveries",
          {}
        ]] as const
      ) {
        assert.strictEqual((yield* a(`${base}/${id}${path}`, options)).body.code, "not_found")
      }
    }))

  it.effect("66: another merchant's endpoints and deliveries do not exist", () =>
    Effect.gen(function*() {
      const { keys } = yield* World
      const { body: { id } } = yield* register()
      const ping = yield* a(`${base}/${id}/test`, { method: "POST" })
      for (const key of [keys.b, keys.aLive]) {
        for (
          const [path, options] of [
            ["", {}],
            ["", { method: "PATCH", json: { enabled: false } }],
            ["", { method: "DELETE" }],
            ["/rotate-secret", { json: {} }],
            ["/test", { method: "POST" }],
            ["/deliveries", {}],
            [`/deliveries/${ping.body.id}`, {}],
            [`/deliveries/${ping.body.id}/resend`, { method: "POST" }],
            ["/recover", { json: { since: "2020-01-01T00:00:00Z" } }]
          ] as const
        ) {
          const answer = yield* a(`${base}/${id}${path}`, { ...options, key })
          assert.deepStrictEqual([answer.status, answer.body.code], [404, "not_found"], path)
        }
      }
      assert.strictEqual((yield* a(`${base}/${id}`)).body.status, "enabled")
    }))

  it.effect("keep a log of deliveries, page by page, each with its body and attempts", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* register()
      const pinged = yield* a(`${base}/${id}/test`, { method: "POST", headers: { "idempotency-key": "ping" } })
      assert.deepStrictEqual([pinged.status, pinged.body.type], [202, "endpoint.ping"])
      const again = yield* a(`${base}/${id}/test`, { method: "POST", headers: { "idempotency-key": "ping" } })
      assert.strictEqual(again.body.id, pinged.body.id)
      yield* owe(id, "invoice.settled", 1)
      const first = yield* a(`${base}/${id}/deliveries?limit=1`)
      const second = yield* a(`${base}/${id}/deliveries?limit=1&after=${first.body.nextCursor}`)
      assert.deepStrictEqual(
        [first, second].map(({ body }) => body.data[0].type).toSorted(),
        ["endpoint.ping", "invoice.settled"]
      )
      assert.deepStrictEqual([first.body.hasMore, second.body.hasMore], [true, false])
      const detail = yield* a(`${base}/${id}/deliveries/${pinged.body.id}`)
      assert.deepStrictEqual([JSON.parse(detail.body.payload).type, detail.body.log], ["endpoint.ping", []])
      assert.strictEqual((yield* a(`${base}/${id}/deliveries/dlv_1`)).body.code, "not_found")
    }))

  it.effect("get again what they missed, each once under one key", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* register()
      yield* owe(id, "invoice.settled", 2)
      yield* owe(id, "invoice.expired", 3)
      const skipped = yield* a(`${base}/${id}/deliveries?status=skipped`)
      assert.strictEqual(skipped.body.data.length, 2)
      const resent = yield* a(`${base}/${id}/deliveries/${skipped.body.data[0].id}/resend`, { method: "POST" })
      assert.deepStrictEqual([resent.status, resent.body.status], [202, "pending"])
      const options = { json: { since: "2020-01-01T00:00:00Z" }, headers: { "idempotency-key": "recover" } }
      const recovered = yield* a(`${base}/${id}/recover`, options)
      assert.deepStrictEqual([recovered.status, recovered.body], [202, { recovered: 1 }])
      const again = yield* a(`${base}/${id}/recover`, options)
      assert.deepStrictEqual([again.body, again.headers.get("idempotent-replayed")], [{ recovered: 0 }, "true"])
      const other = yield* a(`${base}/${id}/recover`, { ...options, json: { since: "2021-01-01T00:00:00Z" } })
      assert.strictEqual(other.body.code, "idempotency_mismatch")
    }))
})

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("the rest of the API", (it) => {
  it.effect("the feed runs from the oldest, by a cursor to be kept, and by type", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const { body: { id } } = yield* register()
      const ids = [yield* owe(id, "invoice.created", 10), yield* owe(id, "invoice.settled", 11)]
      yield* visible("", 2)
      const first = yield* a("/v1/events?limit=1")
      const second = yield* a(`/v1/events?limit=1&after=${first.body.nextCursor}`)
      assert.deepStrictEqual([first, second].map(({ body }) => body.data[0].id), ids)
      assert.deepStrictEqual([first.body.hasMore, second.body.hasMore], [true, false])
      const end = yield* a(`/v1/events?after=${second.body.nextCursor}`)
      assert.deepStrictEqual(end.body.data, [])
      const later = yield* owe(id, "invoice.expired", 12)
      yield* visible(`?after=${end.body.nextCursor}`, 1)
      const next = yield* a(`/v1/events?after=${end.body.nextCursor}`)
      assert.deepStrictEqual(next.body.data.map(({ id }: { id: string }) => id), [later])
      const settled = yield* a("/v1/events?types=invoice.settled,invoice.canceled")
      assert.deepStrictEqual(settled.body.data.map(({ id }: { id: string }) => id), [ids[1]])
      assert.strictEqual((yield* a("/v1/events?after=nonsense!")).body.code, "invalid_request")
      assert.deepStrictEqual((yield* ask(`${url}/v1/events`, { key: keys.b })).body.data, [])
    }))

  it.effect("rates are listed in the currency asked for, those without a price too", () =>
    Effect.gen(function*() {
      const { body } = yield* a("/v1/rates?currency=EUR")
      const eth = body.data.find(({ asset }: { asset: string }) => asset === "eth")
      assert.deepStrictEqual([eth.rate, eth.currency, eth.stale], ["2314.814814814814", "EUR", false])
      assert.strictEqual(body.data.find(({ asset }: { asset: string }) => asset === "bnb").rate, null)
      assert.strictEqual((yield* a("/v1/rates?asset=usdc")).body.data.length, 1)
    }))

  it.effect("168: alive is alive; ready names each dependency with its age", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      assert.deepStrictEqual((yield* ask(`${url}/health/live`)).body, { status: "ok" })
      const ready = yield* ask(`${url}/health/ready`)
      assert.deepStrictEqual([ready.status, ready.body.status, ready.body.database.status, ready.body.bus.status], [
        200,
        "ready",
        "ok",
        "ok"
      ])
      assert.deepStrictEqual([ready.body.chains[0].chain, ready.body.chains[0].status], ["dev", "ok"])
    }))

  it.effect("168: with every chain halted it is not ready, but alive", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const ledger = yield* ChainLedger
      yield* ledger.halt("dev", (yield* ledger.cursor("dev"))?.hash ?? "", "reorg deeper than the window")
      const { body, status } = yield* ask(`${url}/health/ready`)
      assert.deepStrictEqual([status, body.status, body.chains[0].haltedBecause], [
        503,
        "unavailable",
        "reorg deeper than the window"
      ])
      assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
      yield* ledger.resume("dev")
      assert.strictEqual((yield* ask(`${url}/health/ready`)).status, 200)
    }))
})
