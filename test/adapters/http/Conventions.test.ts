import { assert, layer } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Logger, Metric, Option, Redacted, References } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, type HttpApiEndpoint } from "effect/http-api"
import { connect } from "node:net"
import { crc32, gzipSync } from "node:zlib"
import { ApiKeys } from "#commands/ApiKeys.ts"
import { Api } from "#adapters/http/Api.ts"
import { Authenticated, NeedsScope } from "#adapters/http/Conventions.ts"
import { codes } from "#adapters/http/Problem.ts"
import { until } from "../../support/until.ts"
import { allScopes, type Answer, apiLayer, type Ask, ask, keyFor, World } from "../../support/api.ts"

const mug = { price: { amount: "25.00", currency: "EUR" } }

const isProblem = ({ body, headers, status }: Answer, expected: number, code: keyof typeof codes) => {
  assert.deepStrictEqual([status, body?.code], [expected, code])
  assert.strictEqual(headers.get("content-type"), "application/problem+json")
  assert.deepStrictEqual(
    [body.type, body.title, body.status, body.requestId],
    [`/docs/errors#${code}`, codes[code].title, expected, headers.get("request-id")]
  )
}

const create = (options: Ask = {}) =>
  Effect.flatMap(World, ({ keys, url }) => ask(`${url}/v1/invoices`, { method: "POST", key: keys.a, ...options }))

const broken = HttpRouter.add("GET", "/broken", Effect.die(new Error("select secret from canary")))

/** Whatever the contract has, so that nothing can be added without being in the table. */
const endpoints: Array<HttpApiEndpoint.Top> = []
HttpApi.reflect(Api, { onGroup: () => {}, onEndpoint: ({ endpoint }) => endpoints.push(endpoint) })
const keyed = endpoints.filter(({ middlewares }) => middlewares.has(Authenticated as never))

const invoiceId = "inv_01m82tr7xgffctn2paerqs75jz"
const pathOf = ({ path }: HttpApiEndpoint.Top) =>
  path.replace(/\/$/, "").replace(":id", invoiceId).replace(":deliveryId", "dlv_1")

/** Every line that the server writes, as a machine reads it. */
const lines: Array<string> = []
const listening = Layer.mergeAll(
  Logger.layer([Logger.make((options) => void lines.push(Logger.formatLogFmt.log(options)))]),
  Layer.succeed(References.MinimumLogLevel, "Debug")
)

layer(Layer.provide(apiLayer({}, broken), listening), { excludeTestServices: true, timeout: "60 seconds" })(
  "the log",
  (it) => {
    it.effect("68, 88: no secret is in it, and nothing that a caller writes breaks or forges a line", () =>
      Effect.gen(function*() {
        const { keys: { a, aReadOnly }, url } = yield* World
        const canary = "canary4711"
        const forged = "\r\nlevel=error message=forged\u001b[31m"
        const json = {
          ...mug,
          description: canary,
          customer: { email: `${canary}@example.com` },
          metadata: { [canary]: `${canary}${forged}` }
        }
        const made = yield* create({ json })
        assert.strictEqual(made.status, 201)
        yield* create({ json, key: aReadOnly })
        yield* create({ raw: `{"price": "${canary}"` })
        yield* ask(`${url}/v1/invoices?key=${a}&${canary}=1`, { headers: { "request-id": canary.repeat(20) } })
        yield* ask(`${url}/v1/invoices/${encodeURIComponent(forged)}`, { key: a })
        yield* ask(`${url}/v1/invoices/${made.body.id}/mark`, { key: a, json: { as: "settled", reason: canary } })
        yield* ask(`${url}/broken?secret=${canary}`, {
          headers: { authorization: `Bearer ${a}`, cookie: canary, "user-agent": canary, "request-id": "a b" }
        })
        const log = lines.join("\n")
        // It does write: the denied scope and the broken route are there.
        assert.include(log, "denied")
        assert.include(log, "a request failed")
        for (const secret of [a, aReadOnly, canary, "forged", "\u001b"]) assert.notInclude(log, secret)
      }))
  }
)

layer(apiLayer({}, broken), { excludeTestServices: true, timeout: "60 seconds" })("the conventions", (it) => {
  it.effect("75: every route but health asks for a key, and names the scope it needs", () =>
    Effect.gen(function*() {
      const open = endpoints.filter((endpoint) => !keyed.includes(endpoint)).map(({ path }) => path)
      assert.deepStrictEqual(open, ["/health/live", "/health/ready"])
      const { merchants, url } = yield* World
      for (const endpoint of keyed) {
        const scope = Context.getOption(endpoint.annotations, NeedsScope)
        if (Option.isNone(scope)) return assert.fail(`${endpoint.method} ${endpoint.path} names no scope`)
        const { method } = endpoint
        const request = { method, ...method === "GET" || method === "DELETE" ? {} : { json: {} } }
        isProblem(yield* ask(url + pathOf(endpoint), request), 401, "unauthenticated")
        const others = allScopes.filter((other) => other !== scope.value)
        const answer = yield* ask(url + pathOf(endpoint), {
          ...request,
          key: yield* keyFor(merchants.a, "test", others)
        })
        isProblem(answer, 403, "scope_missing")
        assert.include(answer.body.detail, scope.value)
      }
    }))

  it.effect("68: a missing, garbled, unknown, expired or revoked key, or one in the query, is a 401 that says no more", () =>
    Effect.gen(function*() {
      const { keys: given, merchants, url } = yield* World
      const keys = yield* ApiKeys
      const issue = { merchantId: merchants.a, mode: "test", name: "x", scopes: allScopes } as const
      const behalf = { tenant: merchants.a, actor: "operator:test" }
      const past = DateTime.makeUnsafe("2020-01-01T00:00:00Z")
      const another = yield* keyFor(merchants.a)
      const { id, key: doomed } = yield* keys.issue(issue, behalf)
      yield* keys.revoke(id, behalf)
      const expired = yield* keys.issue({ ...issue, expiresAt: past }, behalf)
      const wrongSecret = another.replace(/_[0-9A-Za-z]{43}_/, `_${"a".repeat(43)}_`)
      const headers: ReadonlyArray<Record<string, string>> = [
        {},
        { authorization: "" },
        { authorization: "Bearer" },
        { authorization: `Bearer ${given.a.slice(0, -1)}` },
        { authorization: `Bearer ${wrongSecret}` },
        { authorization: `Basic ${Buffer.from(`${given.a}:`).toString("base64")}` },
        { authorization: given.a },
        { authorization: `Bearer ${Redacted.value(doomed)}` },
        { authorization: `Bearer ${Redacted.value(expired.key)}` },
        { authorization: `Bearer ${"x".repeat(8000)}` },
        { "x-api-key": given.a },
        { cookie: `key=${given.a}` }
      ]
      const details = new Set<string>()
      for (const header of headers) {
        const answer = yield* ask(`${url}/v1/invoices`, { headers: header })
        isProblem(answer, 401, "unauthenticated")
        assert.strictEqual(answer.headers.get("www-authenticate"), `Bearer realm="api"`)
        details.add(answer.body.detail)
      }
      for (const name of ["key", "api_key", "access_token", "authorization"]) {
        isProblem(yield* ask(`${url}/v1/invoices?${name}=${given.a}`), 401, "unauthenticated")
      }
      assert.strictEqual(details.size, 1)
    }))

  it.effect("69: a key of one world that says it is of the other is none", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      for (const [key, from, to] of [[keys.a, "test", "live"], [keys.aLive, "live", "test"]] as const) {
        const body = key.slice(0, key.lastIndexOf("_")).replace(`ck_${from}_`, `ck_${to}_`)
        const turned = `${body}_${crc32(body).toString(16).padStart(8, "0")}`
        isProblem(yield* ask(`${url}/v1/invoices`, { key: turned }), 401, "unauthenticated")
      }
    }))

  it.effect("72: a key that was just used is refused from the moment at which it ends", () =>
    Effect.gen(function*() {
      const { merchants, url } = yield* World
      const keys = yield* ApiKeys
      const expiresAt = DateTime.add(yield* DateTime.now, { milliseconds: 1500 })
      const { key } = yield* keys.issue(
        { merchantId: merchants.a, mode: "test", name: "rolled", scopes: allScopes, expiresAt },
        { tenant: merchants.a, actor: "operator:test" }
      )
      const status = Effect.map(ask(`${url}/v1/rates`, { key: Redacted.value(key) }), ({ status }) => status)
      assert.strictEqual(yield* status, 200)
      yield* until("it is refused", () => Effect.map(status, (status) => status === 401))
      const late = (yield* DateTime.now).epochMilliseconds - expiresAt.epochMilliseconds
      assert.isBelow(late, 1000)
    }))

  it.effect("76: links lead to the configured address, whatever host a request names", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const evil = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "javascript",
        forwarded: "host=evil.example",
        "x-original-url": "/evil.example"
      }
      const made = yield* create({ json: mug, headers: evil })
      assert.strictEqual(made.status, 201)
      assert.match(made.body.checkoutUrl, /^https:\/\/pay\.example\/i\//)
      const hosted = yield* raw(url, "GET /docs HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
      for (const text of [made.text, JSON.stringify([...made.headers]), hosted]) assert.notInclude(text, "evil")
    }))

  it.effect("92: a browser on another origin is told nothing that would let it use a key", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const origin = "https://evil.example"
      const preflight = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type"
      }
      for (
        const answer of [
          yield* create({ json: mug, headers: { origin } }),
          yield* ask(`${url}/v1/invoices`, { key: a, headers: { origin } }),
          yield* ask(`${url}/v1/invoices`, { method: "OPTIONS", headers: preflight }),
          yield* ask(`${url}/v1/invoices`, { headers: { origin } })
        ]
      ) assert.deepStrictEqual([...answer.headers.keys()].filter((name) => name.startsWith("access-control")), [])
    }))

  it.effect("70: a restricted key is told which scope it lacks", () =>
    Effect.gen(function*() {
      const { keys } = yield* World
      const answer = yield* create({ key: keys.aReadOnly, json: mug })
      isProblem(answer, 403, "scope_missing")
      assert.include(answer.body.detail, "`invoices:write`")
    }))

  it.effect("42, 43: an amount that is no exact positive decimal string is refused, by its field", () =>
    Effect.gen(function*() {
      const table: ReadonlyArray<readonly [unknown, string, string]> = [
        [25, "EUR", "number_not_string"],
        [25.5, "EUR", "number_not_string"],
        [1e-7, "EUR", "number_not_string"],
        [null, "EUR", "invalid"],
        [["25"], "EUR", "invalid"],
        ["1e-7", "EUR", "not_a_decimal"],
        ["1e21", "EUR", "not_a_decimal"],
        ["NaN", "EUR", "not_a_decimal"],
        ["Infinity", "EUR", "not_a_decimal"],
        ["-0", "EUR", "not_a_decimal"],
        ["-5", "EUR", "not_a_decimal"],
        ["+5", "EUR", "not_a_decimal"],
        ["0x10", "EUR", "not_a_decimal"],
        ["5,00", "EUR", "not_a_decimal"],
        ["1 000", "EUR", "not_a_decimal"],
        [" 5", "EUR", "not_a_decimal"],
        ["", "EUR", "not_a_decimal"],
        ["05", "EUR", "not_a_decimal"],
        ["5.", "EUR", "not_a_decimal"],
        [".5", "EUR", "not_a_decimal"],
        ["٥", "EUR", "not_a_decimal"],
        ["1".repeat(40), "EUR", "too_large"],
        ["1".repeat(80), "EUR", "too_large"],
        ["1.001", "EUR", "too_many_decimals"],
        ["1.5", "JPY", "too_many_decimals"],
        ["1.0001", "KWD", "too_many_decimals"],
        ["0", "EUR", "not_positive"],
        ["0.00", "EUR", "not_positive"]
      ]
      for (const [amount, currency, code] of table) {
        const answer = yield* create({ json: { price: { amount, currency } } })
        isProblem(answer, 400, "invalid_request")
        assert.deepInclude(answer.body.errors[0], { pointer: "/price/amount", code }, JSON.stringify(amount))
      }
      const tooFine = yield* create({ json: { price: { amount: "0.0000001", asset: "usdc" } } })
      assert.deepInclude(tooFine.body.errors[0], { pointer: "/price/amount", code: "too_many_decimals" })
    }))

  it.effect("49: a price names one known currency or asset", () =>
    Effect.gen(function*() {
      for (
        const [price, pointer] of [
          [{ amount: "1" }, "/price/currency"],
          [{ amount: "1", currency: "EUR", asset: "usdc" }, "/price/currency"],
          [{ amount: "1", currency: "XXX" }, "/price/currency"],
          [{ amount: "1", currency: "eur" }, "/price/currency"],
          [{ amount: "1", asset: "doge" }, "/price/asset"],
          [{ currency: "EUR" }, "/price/amount"],
          ["25.00", "/price"],
          [undefined, "/price"]
        ]
      ) {
        const answer = yield* create({ json: { price } })
        isProblem(answer, 400, "invalid_request")
        assert.strictEqual(answer.body.errors[0].pointer, pointer, JSON.stringify(price))
      }
    }))

  it.effect("83: fields that are not the caller's to set are unknown, and the nearest known name is offered", () =>
    Effect.gen(function*() {
      const foreign = { ...mug, status: "settled", merchantId: "mer_1", amountReceived: "25", __proto__x: 1 }
      const answer = yield* create({ json: foreign })
      isProblem(answer, 400, "invalid_request")
      assert.deepStrictEqual(
        answer.body.errors.map(({ code, pointer }: { code: string; pointer: string }) => [pointer, code]),
        [["/status", "unknown_field"], ["/merchantId", "unknown_field"], ["/amountReceived", "unknown_field"], [
          "/__proto__x",
          "unknown_field"
        ]]
      )
      for (
        const [json, near] of [
          [{ ...mug, order_id: "1" }, "orderId"],
          [{ ...mug, metdata: {} }, "metadata"],
          [{ price: { amuont: "1", currency: "EUR" } }, "amount"]
        ] as const
      ) assert.include(JSON.stringify((yield* create({ json })).body.errors), `«${near}»`)
      assert.notInclude((yield* create({ raw: `{"price":null,"__proto__":{"mode":"live"}}` })).text, "live")
    }))

  it.effect("every mistake in a body is named at once, each at its place", () =>
    Effect.gen(function*() {
      const { body } = yield* create({
        json: {
          price: { amount: 25, currency: "EUR" },
          orderId: "",
          expiresIn: 5,
          redirectUrl: "javascript:alert(1)",
          customer: { email: "nobody" },
          accepts: [{ chain: "dev", asset: "usdc" }, { chain: "mars", asset: "usdc" }],
          metadata: { a: 1 },
          policy: { tolerancePercent: "60" },
          description: "a\u0001b"
        }
      })
      assert.deepStrictEqual(body.errors.map(({ pointer }: { pointer: string }) => pointer).toSorted(), [
        "/accepts/1/chain",
        "/customer/email",
        "/description",
        "/expiresIn",
        "/metadata/a",
        "/orderId",
        "/policy/tolerancePercent",
        "/price/amount",
        "/redirectUrl"
      ])
    }))

  it.effect("metadata has its bounds", () =>
    Effect.gen(function*() {
      const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, "v"]))
      const table: ReadonlyArray<readonly [object, string]> = [
        [many, "/metadata"],
        [{ ["k".repeat(41)]: "v" }, "/metadata"],
        [{ "": "v" }, "/metadata"],
        [{ k: "v".repeat(501) }, "/metadata/k"],
        [{ k: 1 }, "/metadata/k"]
      ]
      for (const [metadata, pointer] of table) {
        const answer = yield* create({ json: { ...mug, metadata } })
        isProblem(answer, 400, "invalid_request")
        assert.strictEqual(answer.body.errors[0].pointer, pointer)
      }
    }))

  it.effect("86: a body that is not plain, small JSON in UTF-8 is refused as what it is", () =>
    Effect.gen(function*() {
      const bytes = (...parts: ReadonlyArray<number>) => new Uint8Array(parts)
      const table: ReadonlyArray<readonly [string, Ask, number, keyof typeof codes]> = [
        [
          "a form",
          { raw: "price=1", headers: { "content-type": "application/x-www-form-urlencoded" } },
          415,
          "unsupported_media_type"
        ],
        ["text", { raw: "{}", headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type"],
        [
          "latin 1",
          { raw: "{}", headers: { "content-type": "application/json; charset=latin1" } },
          415,
          "unsupported_media_type"
        ],
        [
          "gzip",
          { raw: new Uint8Array(gzipSync("{}")), headers: { "content-encoding": "gzip" } },
          415,
          "unsupported_media_type"
        ],
        ["not JSON", { raw: "{price:1}" }, 400, "malformed_body"],
        ["half", { raw: `{"price":` }, 400, "malformed_body"],
        ["two values", { raw: "{} {}" }, 400, "malformed_body"],
        ["NaN", { raw: `{"price":NaN}` }, 400, "malformed_body"],
        ["bad UTF-8", { raw: bytes(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d) }, 400, "malformed_body"],
        ["a byte order mark", { raw: bytes(0xef, 0xbb, 0xbf, 0x7b, 0x7d) }, 400, "malformed_body"],
        ["a name twice", { raw: `{"price":null,"orderId":"a","orderId":"b"}` }, 400, "malformed_body"],
        [
          "a name twice, spelled differently",
          { raw: `{"price":null,"orderId":"a","order\\u0049d":"b"}` },
          400,
          "malformed_body"
        ],
        ["too deep", { raw: `${"[".repeat(17)}${"]".repeat(17)}` }, 400, "malformed_body"],
        ["far too deep", { raw: "[".repeat(60_000) }, 400, "malformed_body"],
        ["a list", { raw: "[]" }, 400, "invalid_request"],
        ["null", { raw: "null" }, 400, "invalid_request"],
        ["nothing", {}, 400, "invalid_request"],
        ["too large", { raw: `{"price":null,"description":"${"x".repeat(65_536)}"}` }, 413, "body_too_large"]
      ]
      for (const [name, request, status, code] of table) {
        const answer = yield* create(request)
        assert.deepStrictEqual([name, answer.status, answer.body.code], [name, status, code])
        isProblem(answer, status, code)
        if (status === 415) assert.strictEqual(answer.headers.get("accept-post"), "application/json")
      }
      const charset = yield* create({ json: mug, headers: { "content-type": "application/json; charset=utf-8" } })
      assert.strictEqual(charset.status, 201)
    }))

  it.effect("86: a body without end or length is cut off at the limit", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const head =
        `POST /v1/invoices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.a}\r\ncontent-type: application/json\r\n`
      const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`
      const endless = yield* raw(url, `${head}transfer-encoding: chunked\r\n\r\n${chunk.repeat(8)}`)
      assert.match(endless, /^HTTP\/1.1 413 /)
      const both = yield* raw(url, `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`)
      assert.match(both, /^HTTP\/1.1 400 /)
      const huge = yield* raw(url, `${head}content-length: 104857600\r\n\r\n{`)
      assert.match(huge, /^HTTP\/1.1 413 /)
    }))

  it.effect("89: an internal error shows nothing but an id", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const answer = yield* ask(`${url}/broken`, { headers: { "request-id": "mine-1" } })
      isProblem(answer, 500, "internal_error")
      assert.strictEqual(answer.body.requestId, "mine-1")
      assert.notInclude(answer.text, "canary")
      assert.notInclude(answer.text, "at ")
    }))

  it.effect("a path that nothing answers is a 404, and a method it does not know a 405 that lists what it does", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      isProblem(yield* ask(`${url}/v1/nothing`, { key: keys.a }), 404, "not_found")
      isProblem(yield* ask(`${url}/`), 404, "not_found")
      for (
        const [path, method, allow] of [
          ["/v1/invoices", "DELETE", "GET, POST, HEAD, OPTIONS"],
          ["/v1/invoices", "PUT", "GET, POST, HEAD, OPTIONS"],
          ["/v1/invoices/x", "POST", "GET, HEAD, OPTIONS"],
          ["/v1/invoices/x/cancel", "GET", "POST, OPTIONS"],
          ["/v1/webhook-endpoints/x", "POST", "GET, PATCH, DELETE, HEAD, OPTIONS"],
          ["/openapi.json", "POST", "GET, HEAD, OPTIONS"]
        ] as const
      ) {
        const answer = yield* ask(url + path, { method, key: keys.a })
        isProblem(answer, 405, "method_not_allowed")
        assert.strictEqual(answer.headers.get("allow"), allow, `${method} ${path}`)
        const options = yield* ask(url + path, { method: "OPTIONS" })
        assert.deepStrictEqual([options.status, options.headers.get("allow"), options.text], [204, allow, ""])
      }
    }))

  it.effect("HEAD says what GET would, without the body", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const get = yield* ask(`${url}/v1/rates`, { key: keys.a })
      const head = yield* ask(`${url}/v1/rates`, { key: keys.a, method: "HEAD" })
      assert.deepStrictEqual([head.status, head.text], [get.status, ""])
      assert.strictEqual(head.headers.get("content-length"), get.headers.get("content-length"))
    }))

  it.effect("165: what a caller makes up becomes no series of the metrics", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      for (const made of ["/v1/made-up", "/v1/invoices/made-up", "/made-up/%20", "/v1/rates?made-up=1"]) {
        yield* ask(url + made, { key: keys.a })
        yield* ask(url + made, { key: keys.a, method: "PUT", headers: { "x-made-up": "made-up" } })
      }
      const series = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("http_"))
      assert.isNotEmpty(series)
      assert.notInclude(JSON.stringify(series.map(({ attributes }) => attributes)), "made-up")
    }))

  it.effect("every answer carries its request's id, the caller's if it can stand in a log line", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const idOf = (given: string) =>
        Effect.map(
          ask(`${url}/health/live`, { headers: { "request-id": given } }),
          ({ headers }) => headers.get("request-id")
        )
      assert.strictEqual(yield* idOf("order-1234.retry:2"), "order-1234.retry:2")
      assert.match((yield* idOf("two words")) ?? "", /^req_/)
      assert.match((yield* idOf("x".repeat(200))) ?? "", /^req_/)
      const { headers } = yield* ask(`${url}/health/live`)
      assert.match(headers.get("server-timing") ?? "", /^app;dur=\d/)
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
    }))

  it.effect("an Idempotency-Key or If-Match of the wrong form is refused by its header", () =>
    Effect.gen(function*() {
      for (
        const [name, value] of [
          ["idempotency-key", "two words"],
          ["idempotency-key", "x".repeat(256)],
          ["idempotency-key", "ümlaut"]
        ] as const
      ) {
        const answer = yield* create({ json: mug, headers: { [name]: value } })
        isProblem(answer, 400, "invalid_request")
        assert.strictEqual(answer.body.errors[0].header, name)
      }
      const { keys, url } = yield* World
      const answer = yield* ask(`${url}/v1/invoices/${invoiceId}/cancel`, {
        key: keys.a,
        json: {},
        headers: { "if-match": "12" }
      })
      isProblem(answer, 400, "invalid_request")
      assert.strictEqual(answer.body.errors[0].header, "if-match")
    }))

  it.effect("answers say how much of the rate is left", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const { headers } = yield* ask(`${url}/v1/rates`, { key: keys.b })
      assert.match(headers.get("ratelimit") ?? "", /^"key";r=\d+;t=\d+$/)
      assert.strictEqual(headers.get("ratelimit-policy"), `"key";q=6000;w=60`)
    }))
})

layer(apiLayer({ limits: { key: { limit: 3, seconds: 3600 }, address: { limit: 20, seconds: 3600 } } }), {
  excludeTestServices: true,
  timeout: "60 seconds"
})("the limits", (it) => {
  it.effect("a key has its bucket, and an address one before any key is looked at", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* ask(`${url}/v1/rates`, { key: keys.a })).status, 200)
      const refused = yield* ask(`${url}/v1/rates`, { key: keys.a })
      isProblem(refused, 429, "rate_limited")
      assert.isAbove(Number(refused.headers.get("retry-after")), 0)
      assert.strictEqual((yield* ask(`${url}/v1/rates`, { key: keys.b })).status, 200)
      let last = refused
      for (let i = 0; i < 20; i++) last = yield* ask(`${url}/v1/rates`)
      isProblem(last, 429, "rate_limited")
      assert.match(last.headers.get("ratelimit-policy") ?? "", /^"address"/)
      assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
    }))
})

layer(apiLayer({ patienceSeconds: { head: 1, whole: 2 } }), { excludeTestServices: true, timeout: "60 seconds" })(
  "a slow caller",
  (it) => {
    it.effect("86: who sends a request drop by drop is cut off, and nobody else", () =>
      Effect.gen(function*() {
        const { keys, url } = yield* World
        const head = yield* raw(url, "POST /v1/invoices HTTP/1.1\r\nhost: x\r\n")
        const body = yield* raw(
          url,
          `POST /v1/invoices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.a}\r\ncontent-length: 30\r\n\r\n{`
        )
        assert.match(head, /^HTTP\/1.1 408 /)
        assert.match(body, /^(HTTP\/1.1 408 |$)/)
        assert.strictEqual((yield* ask(`${url}/v1/rates`, { key: keys.a })).status, 200)
      }))
  }
)

/** Sends bytes as they are, and answers with what comes back until the server closes. */
const raw = (url: string, text: string) =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname, () => socket.write(text))
    let answer = ""
    const done = () => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.on("data", (data) => {
      answer += data.toString()
      if (answer.includes("\r\n\r\n")) done()
    })
    socket.on("close", done)
    socket.on("error", done)
  }).pipe(Effect.timeout("10 seconds"))
