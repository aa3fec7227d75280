import { assert, layer } from "@effect/vitest"
import { DateTime, Effect, Fiber, Schema } from "effect"
import { Address } from "#domain/Chain.ts"
import { usdc } from "../../support/examples.ts"
import { Dispatch } from "#commands/Dispatch.ts"
import { DetectPayment } from "#commands/Invoices.ts"
import { Changes } from "#ports/Changes.ts"
import * as Checkout from "#adapters/checkout/Checkout.ts"
import { InvoiceResource } from "#adapters/http/InvoiceResource.ts"
import { type Answer, apiLayer, ask, World } from "../../support/api.ts"
import { until } from "../../support/until.ts"

const mug = {
  price: { amount: "25.00", currency: "EUR" },
  orderId: "1234",
  description: "Blue mug",
  metadata: { cart: "77" }
}

const create = (json: unknown = mug, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { keys, url } = yield* World
    return yield* ask(`${url}/v1/invoices`, { key: keys.a, json, headers })
  })

/** 10 USDC arrive in block 100, which the chain stands at. */
const pay = Effect.fnUntraced(function*(id: string, last: string) {
  const { merchants } = yield* World
  const { dispatch } = yield* Dispatch
  const changes = yield* Changes
  const transaction = `0x${last.repeat(32)}`
  yield* dispatch(DetectPayment, id, {
    transferId: `dev:${transaction}:0`,
    chain: "dev",
    asset: "usdc",
    decimals: 6,
    amount: usdc(10),
    from: Address.make(`0x${"cc".repeat(20)}`),
    transaction,
    block: { number: 100, hash: `0x${"10".repeat(32)}`, time: yield* DateTime.now },
    market: null
  }, { tenant: merchants.a, actor: "scanner" })
  yield* changes.announce([id])
  return transaction
})

const get = (path: string, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { keys, url } = yield* World
    return yield* ask(`${url}${path}`, { key: keys.a, headers })
  })

const post = (path: string, json: unknown, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { keys, url } = yield* World
    return yield* ask(`${url}${path}`, { key: keys.a, json, headers })
  })

const isProblem = ({ body, headers, status }: Answer, expected: number, code: string) => {
  assert.deepStrictEqual([status, body?.code], [expected, code])
  assert.strictEqual(headers.get("content-type"), "application/problem+json")
  assert.strictEqual(body.requestId, headers.get("request-id"))
  assert.strictEqual(body.type, `/docs/errors#${code}`)
}

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("invoices", (it) => {
  it.effect("a new one is answered with 201, its place, and all of it", () =>
    Effect.gen(function*() {
      const { body, headers, status } = yield* create()
      assert.strictEqual(status, 201)
      assert.strictEqual(headers.get("location"), `/v1/invoices/${body.id}`)
      yield* Schema.decodeUnknownEffect(InvoiceResource)(body, { onExcessProperty: "error" })
      assert.deepStrictEqual(body.price, { amount: "25.00", currency: "EUR" })
      assert.deepStrictEqual(body.remaining, { amount: "25.00", currency: "EUR" })
      assert.strictEqual(body.checkoutUrl, `https://pay.example/i/${body.id}`)
      // 25 EUR are 27 USD here.
      const [method] = body.methods
      assert.deepStrictEqual(method.due, {
        amount: "27.000000",
        asset: "usdc",
        chain: "dev",
        baseUnits: "27000000",
        decimals: 6
      })
      assert.strictEqual(
        method.paymentUri,
        `ethereum:0x5fbdb2315678afecb367f032d93f642f64180aa3@31337/transfer?address=${method.address.toLowerCase()}&uint256=27000000`
      )
    }))

  it.effect("a price may be in an asset, or be null for a top-up", () =>
    Effect.gen(function*() {
      const inAsset = yield* create({ price: { amount: "10", asset: "usdc" } })
      assert.deepStrictEqual(inAsset.body.price, { amount: "10.000000", asset: "usdc" })
      const topUp = yield* create({ price: null })
      assert.deepStrictEqual(
        [topUp.status, topUp.body.price, topUp.body.remaining, topUp.body.methods[0].due],
        [201, null, null, null]
      )
    }))

  it.effect("what is asked for holds: ways to pay, time, tolerance and texts", () =>
    Effect.gen(function*() {
      const { body, status } = yield* create({
        ...mug,
        accepts: [{ chain: "dev", asset: "eth" }],
        expiresIn: 3600,
        redirectUrl: "https://shop.example/thanks",
        customer: { email: "jo@example.com" },
        policy: { tolerancePercent: "0.5" }
      })
      assert.strictEqual(status, 201)
      assert.deepStrictEqual(body.methods.map(({ asset }: { asset: string }) => asset), ["eth"])
      assert.strictEqual(Math.round((Date.parse(body.expiresAt) - Date.parse(body.createdAt)) / 60_000), 60)
      assert.notInclude(JSON.stringify(body), "jo@example.com")
    }))

  it.effect("a method that the merchant does not take is refused by name", () =>
    Effect.gen(function*() {
      const answer = yield* create({ ...mug, accepts: [{ chain: "dev", asset: "dai" }] })
      isProblem(answer, 422, "nothing_to_pay_with")
      assert.strictEqual(answer.body.errors[0].pointer, "/accepts")
    }))

  it.effect("a live key gets no test invoice: its chain is not read here, and that is said", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const answer = yield* ask(`${url}/v1/invoices`, { key: keys.aLive, json: mug })
      isProblem(answer, 503, "no_way_to_pay_now")
      assert.include(answer.body.detail, "usdc on base: this server does not watch that chain")
      assert.strictEqual(answer.headers.get("retry-after"), "30")
    }))

  it.effect("a payment is shown with its confirmations, and what it is worth", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      const transaction = yield* pay(id, "a1")
      const { body } = yield* get(`/v1/invoices/${id}`)
      assert.deepStrictEqual([body.status, body.flags, body.received], ["open", ["partially_paid"], {
        amount: "9.25",
        currency: "EUR"
      }])
      const [payment] = body.payments
      assert.match(payment.id, /^pay_/)
      assert.deepStrictEqual(
        [
          payment.transaction,
          payment.status,
          payment.confirmations,
          payment.required,
          payment.amount.amount,
          payment.late
        ],
        [transaction, "detected", 1, 1, "10.000000", false]
      )
      assert.deepStrictEqual(payment.value, { amount: "9.25", currency: "EUR" })
      // 10 of 27 USDC: 17 are left, to the unit, although 9.259 259 25… EUR are rounded down where they are shown.
      assert.strictEqual(body.methods[0].remaining.amount, "17.000000")
      isProblem(yield* post(`/v1/invoices/${id}/cancel`, {}), 409, "payment_under_way")
    }))

  it.effect("an ETag answers 304 until something changes", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      const first = yield* get(`/v1/invoices/${id}`)
      const etag = first.headers.get("etag") ?? ""
      assert.match(etag, /^"1-/)
      const again = yield* get(`/v1/invoices/${id}`, { "if-none-match": etag })
      assert.deepStrictEqual([again.status, again.text], [304, ""])
      yield* pay(id, "a2")
      assert.strictEqual((yield* get(`/v1/invoices/${id}`, { "if-none-match": etag })).status, 200)
    }))

  it.effect("waiting answers as soon as something changes", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      const changes = yield* Changes
      const waiting = yield* Effect.forkChild(get(`/v1/invoices/${id}?wait=30&sinceVersion=1`))
      yield* until("somebody waits", () => Effect.map(changes.watched, (ids) => ids.includes(id)))
      yield* pay(id, "a3")
      const { body } = yield* Fiber.join(waiting).pipe(Effect.timeout("4 seconds"))
      assert.isAbove(body.version, 1)
    }))

  it.effect("waiting for what has already happened does not wait, and waiting for nothing ends in time", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      const known = yield* get(`/v1/invoices/${id}?wait=30&sinceVersion=0`).pipe(Effect.timeout("4 seconds"))
      assert.strictEqual(known.body.version, 1)
      const idle = yield* get(`/v1/invoices/${id}?wait=1`).pipe(Effect.timeout("8 seconds"))
      assert.strictEqual(idle.body.version, 1)
    }))

  it.effect("62: a stale If-Match is a conflict, and changes nothing", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      isProblem(yield* post(`/v1/invoices/${id}/cancel`, {}, { "if-match": `"7"` }), 409, "version_conflict")
      const { body, headers } = yield* get(`/v1/invoices/${id}`)
      assert.strictEqual(body.status, "open")
      const canceled = yield* post(`/v1/invoices/${id}/cancel`, {}, { "if-match": headers.get("etag") ?? "" })
      assert.deepStrictEqual([canceled.status, canceled.body.status], [200, "canceled"])
    }))

  it.effect("62: of ten changes meant for one version, one happens", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      const answers = yield* Effect.all(
        Array.from({ length: 10 }, (_, i) =>
          post(`/v1/invoices/${id}/mark`, { as: "settled", reason: `${i}` }, { "if-match": `"1"` })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(
        answers.filter(({ status }) =>
          status === 200
        ).length,
        1
      )
      for (const answer of answers) if (answer.status !== 200) isProblem(answer, 409, "version_conflict")
    }))

  it.effect("63: of a cancel and a mark at the same time, one happens and the other hears of it", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 10; round++) {
        const { body: { id } } = yield* create()
        const [canceled, marked] = yield* Effect.all([
          post(`/v1/invoices/${id}/cancel`, {}),
          post(`/v1/invoices/${id}/mark`, { as: "settled", reason: "x" })
        ], { concurrency: 2 })
        assert.deepStrictEqual([canceled.status, marked.status].toSorted(), [200, 409])
        const refused = canceled.status === 409 ? canceled : marked
        isProblem(refused, 409, "not_possible_now")
        const { body } = yield* get(`/v1/invoices/${id}`)
        assert.strictEqual(body.status, canceled.status === 200 ? "canceled" : "settled")
        assert.include(refused.body.detail, body.status)
      }
    }))

  it.effect("53: a hundred at once get a hundred addresses", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.all(Array.from({ length: 100 }, () => create()), { concurrency: "unbounded" })
      assert.isTrue(answers.every(({ status }) => status === 201))
      assert.strictEqual(new Set(answers.map(({ body }) => body.methods[0].address)).size, 100)
      assert.strictEqual(new Set(answers.map(({ body }) => body.id)).size, 100)
    }))

  it.effect("canceling takes a reason or no body at all, and again changes nothing", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const { body: { id } } = yield* create()
      const first = yield* ask(`${url}/v1/invoices/${id}/cancel`, { key: keys.a, method: "POST" })
      const again = yield* post(`/v1/invoices/${id}/cancel`, { reason: "The order was changed." })
      assert.deepStrictEqual([first.body.status, again.body.status, again.body.version], [
        "canceled",
        "canceled",
        first.body.version
      ])
    }))

  it.effect("marking settles by hand where the state allows it", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      isProblem(yield* post(`/v1/invoices/${id}/mark`, { as: "written_off", reason: "x" }), 409, "not_possible_now")
      const marked = yield* post(`/v1/invoices/${id}/mark`, { as: "settled", reason: "Paid in cash." })
      assert.deepStrictEqual([marked.body.status, marked.body.flags], ["settled", ["underpaid_accepted", "marked"]])
    }))

  it.effect("61: 200 requests at once with one key make one invoice", () =>
    Effect.gen(function*() {
      const headers = { "idempotency-key": "two-hundred" }
      const answers = yield* Effect.all(Array.from({ length: 200 }, () => create(mug, headers)), { concurrency: 50 })
      const made = answers.filter(({ status }) => status === 201)
      for (const answer of answers.filter(({ status }) => status !== 201)) {
        isProblem(answer, 409, "idempotency_in_flight")
        assert.strictEqual(answer.headers.get("retry-after"), "1")
      }
      assert.strictEqual(new Set(made.map(({ text }) => text)).size, 1)
      assert.strictEqual(made.filter(({ headers }) => headers.get("idempotent-replayed") === null).length, 1)
      const later = yield* create({ ...mug, metadata: { cart: "77" } }, headers)
      assert.deepStrictEqual([later.text, later.headers.get("idempotent-replayed")], [made[0]?.text, "true"])
    }))

  it.effect("59: the same key with another body is refused; for another merchant it is another key", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const headers = { "idempotency-key": "key-59" }
      const first = yield* create(mug, headers)
      isProblem(yield* create({ ...mug, orderId: "1235" }, headers), 422, "idempotency_mismatch")
      const other = yield* ask(`${url}/v1/invoices`, { key: keys.b, json: mug, headers })
      assert.strictEqual(other.status, 201)
      assert.notStrictEqual(other.body.id, first.body.id)
    }))

  it.effect("the order of a body's fields does not make it another body", () =>
    Effect.gen(function*() {
      const headers = { "idempotency-key": "order" }
      const first = yield* create({ price: { amount: "1", currency: "EUR" }, orderId: "o" }, headers)
      const again = yield* create({ orderId: "o", price: { currency: "EUR", amount: "1" } }, headers)
      assert.strictEqual(again.text, first.text)
    }))

  it.effect("a replayed cancel answers as it did, whatever has happened since", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      const headers = { "idempotency-key": "cancel" }
      const first = yield* post(`/v1/invoices/${id}/cancel`, { reason: "No." }, headers)
      yield* pay(id, "a4")
      const again = yield* post(`/v1/invoices/${id}/cancel`, { reason: "No." }, headers)
      assert.strictEqual(again.text, first.text)
      assert.strictEqual(again.headers.get("idempotent-replayed"), "true")
      const other = yield* create()
      const elsewhere = yield* post(`/v1/invoices/${other.body.id}/cancel`, { reason: "No." }, headers)
      isProblem(elsewhere, 422, "idempotency_mismatch")
    }))

  it.effect("66, 69: another merchant's and the other world's invoices do not exist", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      const { body: { id } } = yield* create()
      const absent = yield* get("/v1/invoices/inv_01m82tr7xgffctn2paerqs75jz")
      isProblem(absent, 404, "not_found")
      for (const key of [keys.b, keys.aLive]) {
        for (
          const [path, json] of [["", undefined], ["/cancel", {}], ["/mark", { as: "settled", reason: "x" }]] as const
        ) {
          const answer = yield* ask(`${url}/v1/invoices/${id}${path}`, { key, json })
          assert.deepStrictEqual({ ...answer.body, requestId: "" }, { ...absent.body, requestId: "" })
        }
      }
      assert.strictEqual((yield* get(`/v1/invoices/${id}`)).body.status, "open")
    }))

  it.effect("65: guessed and malformed ids are one and the same 404", () =>
    Effect.gen(function*() {
      const { body: { id } } = yield* create()
      assert.match(id, /^inv_[0-9a-z]{26}$/)
      for (
        const guess of [
          `${id.slice(0, -1)}x`,
          "inv_1",
          "x",
          "..%2f..%2fetc",
          id.toUpperCase(),
          "'--",
          "a".repeat(99)
        ]
      ) {
        isProblem(yield* get(`/v1/invoices/${guess}`), 404, "not_found")
      }
    }))
})

/** What the page needs. A field that joins them shows something to everybody who has the link. */
const publicFields = [
  ".address",
  ".attention",
  ".codes.address.bits",
  ".codes.address.size",
  ".codes.links.dev-eth.bits",
  ".codes.links.dev-eth.size",
  ".codes.links.dev-usdc.bits",
  ".codes.links.dev-usdc.size",
  ".createdAt",
  ".description",
  ".excess",
  ".expiresAt",
  ".id",
  ".merchant.accent",
  ".merchant.name",
  ".merchant.supportEmail",
  ".merchant.website",
  ".methods[].asset",
  ".methods[].assetName",
  ".methods[].behind",
  ".methods[].chain",
  ".methods[].chainName",
  ".methods[].confirmationSeconds",
  ".methods[].due",
  ".methods[].id",
  ".methods[].lockedUntil",
  ".methods[].paymentUri",
  ".methods[].quotedAt",
  ".methods[].rate",
  ".methods[].remaining",
  ".methods[].symbol",
  ".mode",
  ".orderId",
  ".payments[].amount",
  ".payments[].chainName",
  ".payments[].confirmations",
  ".payments[].firstSeenAt",
  ".payments[].held",
  ".payments[].id",
  ".payments[].late",
  ".payments[].methodId",
  ".payments[].required",
  ".payments[].secondsLeft",
  ".payments[].status",
  ".payments[].symbol",
  ".payments[].transaction",
  ".payments[].url",
  ".payments[].value",
  ".price.amount",
  ".price.currency",
  ".price.fiat",
  ".received",
  ".redirectUrl",
  ".remaining",
  ".revision",
  ".serverTime",
  ".settledAt",
  ".state",
  ".version"
]

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("the list of invoices", (it) => {
  it.effect("runs from the newest down, and its cursor stays true while rows are added", () =>
    Effect.gen(function*() {
      const ids: Array<string> = []
      for (let i = 0; i < 5; i++) ids.push((yield* create({ ...mug, orderId: `page-${i}` })).body.id)
      const first = yield* get("/v1/invoices?limit=2")
      assert.strictEqual(first.body.hasMore, true)
      const late = (yield* create()).body.id
      const second = yield* get(`/v1/invoices?limit=2&after=${first.body.nextCursor}`)
      const third = yield* get(`/v1/invoices?limit=2&after=${second.body.nextCursor}`)
      const seen = [first, second, third].flatMap(({ body }) => body.data.map(({ id }: { id: string }) => id))
      assert.deepStrictEqual(seen, ids.toReversed())
      assert.deepStrictEqual([third.body.hasMore, third.body.nextCursor], [false, null])
      assert.notInclude(seen, late)
    }))

  it.effect("is filtered by what invoices have", () =>
    Effect.gen(function*() {
      const { body: { id, methods } } = yield* create({
        ...mug,
        orderId: "A-1",
        description: "Red hat",
        metadata: { shop: "north" }
      })
      const transaction = yield* pay(id, "b1")
      const canceled = (yield* create({ ...mug, orderId: "A-2" })).body.id
      yield* post(`/v1/invoices/${canceled}/cancel`, {})
      const found = (query: string) =>
        Effect.map(get(`/v1/invoices?${query}`), ({ body }) => body.data.map(({ id }: { id: string }) => id))
      for (
        const query of [
          "orderId=A-1",
          "flag=partially_paid",
          "q=red+HAT",
          `q=${methods[0].address}`,
          `q=${transaction}`,
          "metadata[shop]=north",
          "metadata%5Bshop%5D=north&chain=dev&asset=usdc"
        ]
      ) assert.deepStrictEqual(yield* found(query), [id], query)
      assert.deepStrictEqual(yield* found("status=canceled"), [canceled])
      assert.deepStrictEqual(yield* found("createdTo=2020-01-01T00:00:00.000Z"), [])
      assert.include(yield* found("createdFrom=2020-01-01T00:00:00Z&limit=100"), id)
      assert.deepStrictEqual(yield* found("chain=base"), [])
    }))

  it.effect("85: what looks like SQL or a pattern is only text", () =>
    Effect.gen(function*() {
      yield* create({ ...mug, orderId: "plain" })
      for (const text of ["' or 1=1 --", "%", "_", "\\", "*", "a'; drop table x; --", "plai_", "pla%"]) {
        for (const filter of ["q", "orderId", "metadata[cart]"]) {
          const answer = yield* get(`/v1/invoices?${encodeURIComponent(filter)}=${encodeURIComponent(text)}`)
          assert.deepStrictEqual([answer.status, answer.body.data], [200, []], `${filter}=${text}`)
        }
      }
    }))

  it.effect("refuses filters it does not know, and values that are none", () =>
    Effect.gen(function*() {
      for (
        const [query, parameter] of [
          ["stauts=open", "stauts"],
          ["status=paid", "status"],
          ["limit=0", "limit"],
          ["limit=101", "limit"],
          ["limit=1.5", "limit"],
          ["after=%21%21", "after"],
          ["limit=1e1", "limit"],
          ["limit=%2B5", "limit"],
          ["limit=5&limit=6", "limit"],
          // Of the right form, but of no list, and of another list.
          [`after=${Buffer.from("x").toString("base64url")}`, "after"],
          [`after=${Buffer.from("we_01m82tr7xgffctn2paerqs75jz").toString("base64url")}`, "after"],
          ["createdFrom=yesterday", "createdFrom"],
          ["createdFrom=2026", "createdFrom"],
          ["createdFrom=2026-02-30T00:00:00Z", "createdFrom"],
          ["createdTo=9999-12-31T23:59:59-12:00", "createdTo"],
          ["createdTo=-271821-04-20T00:00:00Z", "createdTo"],
          ["metadata=x", "metadata"],
          ["api_key=ck_test", "api_key"]
        ]
      ) {
        const answer = yield* get(`/v1/invoices?${query}`)
        isProblem(answer, 400, "invalid_request")
        assert.strictEqual(answer.body.errors[0].parameter, parameter, query)
      }
      const typo = yield* get("/v1/invoices?stauts=open")
      assert.include(typo.body.errors[0].message, "«status»")
    }))

  it.effect("shows a merchant nothing of another's", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      yield* create()
      const theirs = yield* ask(`${url}/v1/invoices`, { key: keys.b })
      assert.deepStrictEqual(theirs.body, { data: [], hasMore: false, nextCursor: null })
    }))
})

layer(apiLayer({}, Checkout.layer()), { excludeTestServices: true, timeout: "60 seconds" })(
  "what anybody may see",
  (it) => {
    it.effect("93: is a fixed list of fields, and nothing of the merchant's or the payer's own", () =>
      Effect.gen(function*() {
        const { keys, merchants, url } = yield* World
        const { body: { id } } = yield* create({
          ...mug,
          customer: { email: "jo@example.com" },
          metadata: { secret: "canary" }
        })
        yield* pay(id, "d1")
        const { body, text } = yield* ask(`${url}/v1/live/invoices/${id}/snapshot`)
        const fieldsOf = (value: unknown, path = ""): ReadonlyArray<string> =>
          Array.isArray(value)
            ? value.flatMap((item) => fieldsOf(item, `${path}[]`))
            : value !== null && typeof value === "object"
            ? Object.entries(value).flatMap(([name, field]) => fieldsOf(field, `${path}.${name}`))
            : [path]
        assert.deepStrictEqual([...new Set(fieldsOf(body))].toSorted(), publicFields)
        for (const secret of [merchants.a, keys.a, "jo@example.com", "canary", "xpub"]) assert.notInclude(text, secret)
        const unknown = yield* ask(`${url}/v1/live/invoices/inv_01m82tr7xgffctn2paerqs75jz/snapshot`)
        assert.strictEqual(unknown.status, 404)
      }))
  }
)
