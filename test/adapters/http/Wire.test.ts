/** The server as bytes see it: whatever comes over the wire is answered or cut off, and nothing is left behind. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { apiLayer, ask, World } from "../../support/api.ts"
import { until } from "../../support/until.ts"

interface Talk {
  /** Say at once that nothing more will come. */
  readonly end?: boolean
  /** Bytes at a time; all at once unless said. */
  readonly slice?: number
  /** Answers after which the caller hangs up; else it waits for the server to do so. */
  readonly answers?: number
}

interface Said {
  readonly text: string
  readonly statuses: ReadonlyArray<number>
  /** Whether the server hung up first. */
  readonly cutOff: boolean
  /** How much of what was to be said went out. */
  readonly written: number
}

/** Sends bytes as they are. */
const talk = (url: string, bytes: string | Iterable<string>, { answers, end = false, slice }: Talk = {}) =>
  Effect.callback<Said>((resume) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ port: Number(port), host: hostname, noDelay: true })
    let [text, done] = ["", false]
    const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
    const finish = (cutOff: boolean) => {
      if (done) return
      done = true
      const written = socket.bytesWritten
      socket.destroy()
      resume(Effect.succeed({ text, statuses: statuses(), cutOff, written }))
    }
    const say = async () => {
      const parts = typeof bytes !== "string" ? bytes : slice === undefined ? [bytes] : slices(bytes, slice)
      for (const part of parts) {
        if (done || socket.destroyed) return
        if (!socket.write(part, "latin1")) await new Promise((more) => socket.once("drain", more).once("close", more))
        else if (slice !== undefined) await new Promise(setImmediate)
      }
      if (end) socket.end()
    }
    socket.on("connect", () => void say())
    socket.on("data", (data) => {
      text += data.toString("latin1")
      if (answers !== undefined && statuses().length >= answers && text.endsWith("}")) finish(false)
    })
    socket.on("error", () => undefined)
    socket.on("close", () => finish(true))
  }).pipe(Effect.timeout("10 seconds"))

const slices = (text: string, size: number) =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size))

const body = `{"price":null}`
const head = (key: string, ...fields: ReadonlyArray<string>) =>
  ["POST /v1/invoices HTTP/1.1", "host: x", `authorization: Bearer ${key}`, "content-type: application/json", ...fields]
    .map((line) => `${line}\r\n`).join("")
const live = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"

const invoices = Effect.gen(function*() {
  const { keys, url } = yield* World
  return (yield* ask(`${url}/v1/invoices?limit=100`, { key: keys.a })).body.data.length as number
})

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("over the wire", (it) => {
  it.effect("86: a request with two lengths is refused, and what was smuggled behind it is not read", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      for (
        const fields of [
          ["content-length: 4", "transfer-encoding: chunked"],
          ["transfer-encoding: chunked", "content-length: 4"],
          ["content-length: 14", "content-length: 4"],
          ["content-length: 14", "content-length: 14"],
          ["content-length: +14"],
          ["content-length: -1"],
          ["content-length: 99999999999999999999"],
          ["transfer-encoding: xchunked"],
          ["transfer-encoding: chunked, identity"],
          ["transfer-encoding : chunked"],
          ["transfer-encoding:", " chunked"],
          ["x: a\0b"]
        ]
      ) {
        const said = yield* talk(url, `${head(a, ...fields)}\r\n0\r\n\r\n${live}`)
        assert.deepStrictEqual([said.statuses, said.cutOff], [[400], true], fields.join())
      }
      assert.strictEqual(yield* invoices, 0)
    }))

  it.effect("86: what is no HTTP is cut off", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      for (
        const bytes of [
          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          "GET /health/live HTTP/1.1\nhost: x\n\n",
          "FOO / HTTP/1.1\r\nhost: x\r\n\r\n",
          "GET \\health HTTP/1.1\r\nhost: x\r\n\r\n",
          "GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
          "GET /health/live HTTP/1.1\r\n\r\n",
          "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n"
        ]
      ) {
        const said = yield* talk(url, bytes)
        assert.isTrue(said.cutOff, JSON.stringify(bytes))
        assert.isTrue(said.statuses.every((status) => status === 400), JSON.stringify([bytes, said.statuses]))
      }
    }))

  it.effect("86: a hundred megabytes are not read, whether their length is said or not, by whoever sends them", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const chunk = "x".repeat(65_536)
      const flood = function*(first: string, frame: (text: string) => string) {
        yield first
        for (let i = 0; i < 1600; i++) yield frame(chunk)
      }
      const plain = (text: string) => text
      const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
      for (
        const [first, frame, status] of [
          [`${head(a, "content-length: 104857600")}\r\n`, plain, 413],
          [`${head(a, "transfer-encoding: chunked")}\r\n`, chunked, 413],
          [`${head("nobody", "content-length: 104857600")}\r\n`, plain, 401],
          [`${head(a, "content-length: 104857600").replace("/v1/invoices", "/v1/nothing")}\r\n`, plain, 404]
        ] as const
      ) {
        const said = yield* talk(url, flood(first, frame))
        assert.isTrue(said.cutOff, `${status}`)
        // What was under way when the server hung up may have taken its answer along.
        assert.isTrue(said.statuses.length === 0 || said.statuses[0] === status, `${status} ${said.statuses.join()}`)
        assert.isBelow(said.written, 16 << 20, `${status}`)
      }
    }))

  it.effect("86: a bomb stays packed", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const bomb = new Uint8Array(gzipSync(Buffer.alloc(32 << 20, " ")))
      assert.isBelow(bomb.length, 65_536)
      const before = process.memoryUsage().rss
      for (const encoding of ["gzip", "deflate", "br", "zstd", "gzip, identity", "x-gzip", "GZIP"]) {
        const answer = yield* ask(`${url}/v1/invoices`, {
          key: a,
          raw: bomb,
          headers: { "content-encoding": encoding }
        })
        assert.deepStrictEqual([answer.status, answer.body.code], [415, "unsupported_media_type"], encoding)
        assert.strictEqual(answer.headers.get("accept-encoding"), "identity")
      }
      assert.isBelow(process.memoryUsage().rss - before, 100 << 20)
    }))

  it.effect("86: headers and URLs have an end", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const auth = `authorization: Bearer ${a}\r\n`
      for (
        const [request, status] of [
          [`GET /health/live HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(17_000)}\r\n\r\n`, 431],
          [`GET /health/live HTTP/1.1\r\nhost: x\r\n${"x:y\r\n".repeat(4000)}\r\n`, 431],
          [`GET /${"x".repeat(17_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
          [`GET /v1/invoices/${"x".repeat(12_000)} HTTP/1.1\r\nhost: x\r\n${auth}\r\n`, 404],
          [`GET /v1/invoices?q=${"x".repeat(12_000)} HTTP/1.1\r\nhost: x\r\n${auth}\r\n`, 400],
          [`GET /v1/invoices?${"a=&".repeat(3000)} HTTP/1.1\r\nhost: x\r\n${auth}\r\n`, 400],
          [`GET /v1/invoices?${"%00".repeat(3000)} HTTP/1.1\r\nhost: x\r\n${auth}\r\n`, 400],
          [`GET /v1/invoices HTTP/1.1\r\nhost: x\r\n${auth}if-none-match: ${"x,".repeat(6000)}\r\n\r\n`, 200]
        ] as const
      ) {
        const { statuses } = yield* talk(url, request, { answers: 1 })
        assert.deepStrictEqual(statuses, [status], request.slice(0, 60))
      }
    }))

  it.effect("86: a URL that is not text is refused, in the path and in the query", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      for (
        const path of ["/invoices/%00", "/invoices/%ff", "/invoices/%zz", "/invoices?q=%00", "/invoices?q=%ed%a0%80"]
      ) {
        const answer = yield* ask(`${url}/v1${path}`, { key: a })
        assert.deepStrictEqual([answer.status, answer.body.code], [400, "invalid_request"], path)
        assert.include(answer.body.detail, "percent sign")
      }
    }))

  it.effect("requests that come together are answered one by one and in order", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const many = Array.from({ length: 100 }, (_, i) => live.replace("host: x", `host: x\r\nrequest-id: n${i}`))
      const { statuses, text } = yield* talk(url, many.join(""), { answers: 100 })
      assert.deepStrictEqual(statuses, Array.from({ length: 100 }, () => 200))
      const ids = [...text.matchAll(/request-id: n(\d+)/g)].map(([, id]) => Number(id))
      assert.deepStrictEqual(ids, Array.from({ length: 100 }, (_, i) => i))
    }))

  it.effect("160: a request byte by byte, and one whose caller says that nothing more will come, are answered", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const request = `${head(a, `content-length: ${body.length}`)}\r\n${body}`
      const sliced = yield* talk(url, request, { slice: 1, answers: 1 })
      assert.deepStrictEqual(sliced.statuses, [201])
      const halfClosed = yield* talk(url, request, { end: true })
      assert.deepStrictEqual(halfClosed.statuses, [201])
      const tooShort = yield* talk(url, request.slice(0, -1), { end: true })
      assert.deepStrictEqual([tooShort.statuses, tooShort.cutOff], [[400], true])
    }))

  it.effect("86: no JSON whatever makes anything but a documented answer, or a row without a 201", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      const before = yield* invoices
      let made = 0
      const values = fc.oneof(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom(1e308, -0, 2 ** 53, "\u0000", "\ud800", "a".repeat(600), [], {}, "25.00", "EUR", null)
      )
      const names = fc.constantFrom(
        "price",
        "orderId",
        "description",
        "accepts",
        "expiresIn",
        "redirectUrl",
        "customer",
        "metadata",
        "policy",
        "__proto__",
        "constructor"
      )
      const texts = fc.oneof(
        fc.string({ unit: "binary", maxLength: 9 }),
        fc.constantFrom("\u0000", "\ud800", "__proto__")
      )
      const plausible = fc.record({
        price: fc.constant(null),
        orderId: texts,
        metadata: fc.dictionary(texts, texts, { maxKeys: 2 })
      }, { requiredKeys: ["price"] })
      const price = fc.record({ amount: values, currency: values, asset: values }, { requiredKeys: [] })
      const asked = fc.dictionary(names, values, { maxKeys: 3 }).chain((rest) =>
        fc.oneof(fc.constant(null), fc.constant({ amount: "25.00", currency: "EUR" }), price, values)
          .map((price) => ({ price, ...rest }))
      )
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.oneof(asked, plausible), async (json) => {
            const { body, status } = await Effect.runPromise(
              ask(`${url}/v1/invoices`, { key: a, json, method: "POST" })
            )
            assert.include([201, 400, 422], status, JSON.stringify(body))
            if (status === 201) made++
            else assert.isAbove(body.errors?.length ?? 1, 0)
          }),
          { numRuns: 300 }
        )
      )
      assert.strictEqual(yield* invoices, Math.min(100, before + made))
    }))

  it.effect("86: numbers beyond all bounds are refused where they stand", () =>
    Effect.gen(function*() {
      const { keys: { a }, url } = yield* World
      for (
        const [raw, pointer] of [
          [`{"price":null,"expiresIn":1e400}`, "/expiresIn"],
          [`{"price":null,"expiresIn":${"9".repeat(60_000)}}`, "/expiresIn"],
          [`{"price":null,"expiresIn":900.5}`, "/expiresIn"],
          [`{"price":{"amount":${"9".repeat(60_000)},"currency":"EUR"}}`, "/price/amount"],
          [`{"price":{"amount":"${"9".repeat(60_000)}","currency":"EUR"}}`, "/price/amount"],
          [`{"price":{"amount":"0.${"0".repeat(60_000)}1","currency":"EUR"}}`, "/price/amount"],
          [`{"price":null,"policy":{"tolerancePercent":"${"9".repeat(60_000)}"}}`, "/policy/tolerancePercent"]
        ] as const
      ) {
        const answer = yield* ask(`${url}/v1/invoices`, { key: a, raw })
        assert.deepStrictEqual([answer.status, answer.body.errors[0].pointer], [400, pointer], raw.slice(0, 60))
        assert.isBelow(answer.text.length, 2000)
      }
    }))
})

layer(apiLayer({ patienceSeconds: { head: 1, whole: 2 } }), { excludeTestServices: true, timeout: "60 seconds" })(
  "who dawdles",
  (it) => {
    it.effect("86: two hundred at once are cut off, hold nobody up, and leave no socket behind", () =>
      Effect.gen(function*() {
        const { keys: { a }, url } = yield* World
        const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length
        const before = sockets()
        const drop = function*(text: string) {
          yield text
        }
        const dawdling = Effect.all(
          Array.from(
            { length: 200 },
            (_, i) =>
              talk(
                url,
                drop(
                  i % 2 === 0 ? "POST /v1/invoices HTTP/1.1\r\nhost: x\r\n" : `${head(a, "content-length: 14")}\r\n{`
                )
              )
          ),
          { concurrency: "unbounded" }
        )
        const asking = Effect.gen(function*() {
          const began = Date.now()
          for (let i = 0; i < 20; i++) assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
          return Date.now() - began
        })
        const [said, took] = yield* Effect.all([dawdling, asking], { concurrency: 2 })
        assert.isBelow(took, 2000)
        for (const { cutOff, statuses } of said) {
          assert.isTrue(cutOff)
          assert.isTrue(statuses.every((status) => status === 408), statuses.join())
        }
        // The client's own pool keeps a few for later.
        yield* until("the sockets are gone", () => sockets() <= before + 12)
      }))
  }
)
