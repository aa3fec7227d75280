import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Answer, apiLayer, ask, World } from "../../support/api.ts"
import { until } from "../../support/until.ts"
import { makeWire } from "../../support/wire.ts"

const wire = makeWire()

const isUnavailable = ({ body, headers, status }: Answer) => {
  assert.deepStrictEqual([status, body.code], [503, "unavailable"])
  assert.match(headers.get("retry-after") ?? "", /^[1-9]\d*$/)
  assert.notMatch(JSON.stringify(body), /sql|postgres|127\.0\.0\.1|ECONN/i)
}

layer(apiLayer({}, undefined, wire.layer), { excludeTestServices: true, timeout: "60 seconds" })(
  "while the database is away",
  (it) => {
    it.effect("138, 168: every route is a 503 with a time to come back, alive is alive, and all heals by itself", () =>
      Effect.gen(function*() {
        const { keys: { a, b }, url } = yield* World
        const json = { price: { amount: "25.00", currency: "EUR" } }
        const headers = { "idempotency-key": "outage" }
        const create = () => ask(`${url}/v1/invoices`, { key: a, json, headers })
        const { body: { id } } = yield* ask(`${url}/v1/invoices`, { key: a, json })

        yield* wire.becomes("torn")
        isUnavailable(yield* create())
        for (
          const path of ["/v1/invoices", `/v1/invoices/${id}`, "/v1/webhook-endpoints", "/v1/events"]
        ) isUnavailable(yield* ask(url + path, { key: a }))
        isUnavailable(yield* ask(`${url}/v1/invoices/${id}/cancel`, { key: a, json: {} }))
        // A key that has not been seen lately cannot be told from a wrong one: that is no reason to call it wrong.
        isUnavailable(yield* ask(`${url}/v1/invoices`, { key: b }))
        const ready = yield* ask(`${url}/health/ready`)
        assert.deepStrictEqual([ready.status, ready.body.status, ready.body.database.status], [
          503,
          "unavailable",
          "unavailable"
        ])
        assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)

        yield* wire.becomes("whole")
        yield* until("it heals", () => Effect.map(ask(`${url}/health/ready`), ({ status }) => status === 200))
        const made = yield* create()
        assert.strictEqual(made.status, 201)
        assert.strictEqual((yield* create()).text, made.text)
        const { body: { data } } = yield* ask(`${url}/v1/invoices`, { key: a })
        assert.deepStrictEqual(data.map(({ id }: { id: string }) => id), [made.body.id, id])
        assert.strictEqual((yield* ask(`${url}/v1/invoices/${id}`, { key: a })).body.status, "open")
      }))
  }
)
