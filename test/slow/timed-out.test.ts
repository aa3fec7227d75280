/** The database falls silent without a word: callers are answered within the time that they are promised. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { apiLayer, ask, World } from "../support/api.ts"
import { until } from "../support/until.ts"
import { makeWire } from "../support/wire.ts"

const wire = makeWire()

layer(apiLayer({}, undefined, wire.layer), { excludeTestServices: true, timeout: "120 seconds" })(
  "while the database is silent",
  (it) => {
    it.effect("138, 168: what cannot be answered in time is a 503 timed_out, and all heals by itself", () =>
      Effect.gen(function*() {
        const { keys: { a }, url } = yield* World
        const json = { price: { amount: "25.00", currency: "EUR" } }
        const headers = { "idempotency-key": "silence" }
        const create = () => ask(`${url}/v1/invoices`, { key: a, json, headers })
        const { body: { id } } = yield* ask(`${url}/v1/invoices`, { key: a, json })

        yield* wire.becomes("silent")
        const began = Date.now()
        const [got, made] = yield* Effect.all([ask(`${url}/v1/webhook-endpoints`, { key: a }), create()], {
          concurrency: 2
        })
        for (const answer of [got, made]) {
          assert.deepStrictEqual([answer.status, answer.body.code], [503, "timed_out"])
          assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
        }
        assert.isBelow(Date.now() - began, 18_000)
        const asked = Date.now()
        assert.strictEqual((yield* ask(`${url}/health/ready`)).status, 503)
        assert.isBelow(Date.now() - asked, 4000)
        assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)

        yield* wire.becomes("whole")
        yield* until("it heals", () => Effect.map(ask(`${url}/health/ready`), ({ status }) => status === 200))
        const again = yield* create()
        assert.strictEqual(again.status, 201)
        const { body: { data } } = yield* ask(`${url}/v1/invoices`, { key: a })
        assert.strictEqual(data.length, 2, "what was asked twice is there once")
        assert.strictEqual((yield* ask(`${url}/v1/invoices/${id}`, { key: a })).status, 200)
      }))
  }
)
