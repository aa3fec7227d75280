/** Asking twice: at once, again later, elsewhere, in another process, and about something else. */
import { PgClient } from "@effect/sql-pg"
import { assert, it, layer } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Scope } from "effect"
import * as Database from "#adapters/postgres/Database.ts"
import { apiLayer, type Ask, ask, World } from "../../support/api.ts"
import { freshDatabase } from "../../support/database.ts"
import { until } from "../../support/until.ts"

const mug = { price: { amount: "25.00", currency: "EUR" } }
const hooks = "/v1/webhook-endpoints"

const post = (path: string, idempotencyKey: string, options: Ask = { json: mug }) =>
  Effect.flatMap(
    World,
    ({ keys, url }) =>
      ask(url + path, { key: keys.a, method: "POST", headers: { "idempotency-key": idempotencyKey }, ...options })
  )

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("the same key", (it) => {
  it.effect("59: while the first request is under way is answered with 409 and a time to ask again, and then with its answer", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const [held, free] = [yield* Latch.make(), yield* Latch.make()]
      const holding = yield* Effect.forkChild(
        sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe("lock table es.events in access exclusive mode")
          yield* held.open
          yield* free.await
        }))
      )
      yield* held.await
      const first = yield* Effect.forkChild(post("/v1/invoices", "slow"))
      const waiting = sql<{ count: number }>`select count(*)::int as count from pg_locks l join pg_database d
        on d.oid = l.database where d.datname = current_database() and not l.granted`
      yield* until("the first waits", () => Effect.map(waiting, ([row]) => row?.count === 1))
      const second = yield* post("/v1/invoices", "slow")
      assert.deepStrictEqual([second.status, second.body.code], [409, "idempotency_in_flight"])
      assert.strictEqual(second.headers.get("retry-after"), "1")
      yield* free.open
      yield* Fiber.join(holding)
      const made = yield* Fiber.join(first)
      assert.strictEqual(made.status, 201)
      const again = yield* post("/v1/invoices", "slow")
      assert.deepStrictEqual([again.text, again.headers.get("idempotent-replayed")], [made.text, "true"])
    }))

  it.effect("59: is another key on another route, in the other world, and for another merchant", () =>
    Effect.gen(function*() {
      const { keys } = yield* World
      const invoice = yield* post("/v1/invoices", "shared")
      const endpoint = yield* post(hooks, "shared", { json: { url: "https://shop.example/" } })
      const live = yield* post(hooks, "shared", { json: { url: "https://shop.example/" }, key: keys.aLive })
      const theirs = yield* post("/v1/invoices", "shared", { json: mug, key: keys.b })
      assert.deepStrictEqual([invoice, endpoint, live, theirs].map(({ status }) => status), [201, 201, 201, 201])
      assert.strictEqual(new Set([invoice, endpoint, live, theirs].map(({ body }) => body.id)).size, 4)
      assert.isTrue([invoice, endpoint, live, theirs].every(({ headers }) => !headers.has("idempotent-replayed")))
    }))

  it.effect("59: with another body, or for another resource, is refused on every route, and nothing happens", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const make = (path: string) =>
        Effect.map(post(hooks, path, { json: { url: `https://${path}.example/` } }), ({ body }) => body.id as string)
      const [one, other] = [yield* make("one"), yield* make("other")]
      const invoice = (yield* post("/v1/invoices", "for-cancel")).body.id as string
      const ping = (yield* post(`${hooks}/${one}/test`, "ping", {})).body.id as string
      const table = [
        [[`/v1/invoices`, { json: mug }], [`/v1/invoices`, { json: { price: null } }]],
        [[hooks, { json: { url: "https://a.example/" } }], [hooks, { json: { url: "https://b.example/" } }]],
        [[`${hooks}/${one}/rotate-secret`, { json: {} }], [`${hooks}/${other}/rotate-secret`, { json: {} }]],
        [[`${hooks}/${one}/test`, {}], [`${hooks}/${other}/test`, {}]],
        [[`${hooks}/${one}/deliveries/${ping}/resend`, {}], [`${hooks}/${other}/deliveries/${ping}/resend`, {}]],
        [
          [`${hooks}/${one}/recover`, { json: { since: "2026-01-01T00:00:00Z" } }],
          [`${hooks}/${one}/recover`, { json: { since: "2026-01-02T00:00:00Z" } }]
        ],
        [
          [`/v1/invoices/${invoice}/mark`, { json: { as: "settled", reason: "x" } }],
          [`/v1/invoices/${invoice}/mark`, { json: { as: "settled", reason: "y" } }]
        ]
      ] as const
      for (const [[path, first], [elsewhere, second]] of table) {
        const done = yield* post(path, "once", first)
        assert.isBelow(done.status, 300, path)
        const again = yield* post(path, "once", first)
        assert.deepStrictEqual([again.status, again.headers.get("idempotent-replayed")], [done.status, "true"], path)
        const refused = yield* post(elsewhere, "once", second)
        // A delivery of another endpoint is not even there.
        const expected = path.endsWith("resend") ? [404, "not_found"] : [422, "idempotency_mismatch"]
        assert.deepStrictEqual([refused.status, refused.body.code], expected, elsewhere)
      }
      const pings = yield* ask(`${url}${hooks}/${other}/deliveries`, { key: a })
      assert.deepStrictEqual(pings.body.data, [])
    }))
})

it.live(
  "61, 130: two processes at once make one invoice, and one that comes after them gives the same answer",
  () =>
    Effect.gen(function*() {
      const url = yield* freshDatabase
      const start = Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Scope.Scope)
        const server = apiLayer({}, undefined, Database.layer({ url, maxConnections: 8 }))
        const context = yield* Layer.buildWithMemoMap(server, yield* Layer.makeMemoMap, scope)
        return { scope, ...(yield* Effect.provide(World, context)) }
      })
      const first = yield* start
      const second = yield* start
      const ten = Array.from({ length: 10 }, () => [first, second]).flat()
      const asking = ({ url }: { readonly url: string }) =>
        ask(`${url}/v1/invoices`, { key: first.keys.a, json: mug, headers: { "idempotency-key": "both" } })
      const answers = yield* Effect.all(ten.map(asking), { concurrency: "unbounded" })
      const made = answers.filter(({ status }) => status === 201)
      assert.strictEqual(new Set(made.map(({ text }) => text)).size, 1)
      assert.isTrue(answers.every(({ body, status }) => status === 201 || body.code === "idempotency_in_flight"))
      const { body: { data } } = yield* ask(`${second.url}/v1/invoices`, { key: first.keys.a })
      assert.strictEqual(data.length, 1)
      const later = yield* asking(yield* start)
      assert.deepStrictEqual([later.text, later.headers.get("idempotent-replayed")], [made[0]?.text, "true"])
    }).pipe(Effect.scoped),
  60_000
)
