/** Receivers that misbehave, on real sockets of this machine; names are resolved by the test. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import { Webhook } from "standardwebhooks"
import * as WebhookEgress from "#adapters/webhooks/Egress.ts"
import * as Sender from "#adapters/webhooks/Sender.ts"
import { type EgressPolicy, parseNetwork } from "#domain/EgressPolicy.ts"
import { Egress } from "#ports/Egress.ts"
import { type Post, WebhookSender } from "#ports/WebhookSender.ts"
import { certificateFor } from "../../support/certificate.ts"

const secretOf = () => `whsec_${randomBytes(32).toString("base64")}`
const secret = secretOf()
const id = "evt_01kjq14000e008000000000001"
const body = JSON.stringify({
  note: "Grüße, 世界 🧾",
  big: "115792089237316195423570985008687907853269984665640564039457",
  b: 1,
  a: 2
})

/** Listens on a free port of this machine until the test is over. */
const listening = (server: net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as net.AddressInfo).port)))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        if (server instanceof http.Server || server instanceof https.Server) server.closeAllConnections()
      })
  )

/** A server that says these bytes, whatever it is asked, and then does what `then` does with the socket. */
const raw = (bytes: string, then: (socket: net.Socket) => void = () => undefined) => {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.once("data", () => socket.write(bytes, () => then(socket)))
  })
  const close = server.close.bind(server)
  server.close = (callback) => {
    for (const socket of sockets) socket.destroy()
    return close(callback)
  }
  return server
}

interface Setting {
  /** What a name resolves to; rejects for one that is none. */
  readonly addresses?: ReadonlyArray<string>
  readonly sender?: Sender.Options
  readonly allow?: string
}

const policyFor = (port: number, allow = "127.0.0.0/8"): EgressPolicy => {
  const network = parseNetwork(allow)
  return { allow: network === null ? [] : [network], ports: [port], plain: true }
}

const post = (
  url: string,
  fields: Partial<Post> = {},
  { addresses = ["127.0.0.1"], allow, sender = {} }: Setting = {}
) => {
  const resolve: WebhookEgress.Resolve = () =>
    addresses.length === 0
      ? Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }))
      : Promise.resolve(addresses.map((address) => ({ address, family: net.isIP(address) })))
  const port = Number(new URL(url).port)
  return Effect.gen(function*() {
    const { post } = yield* WebhookSender
    const at = yield* DateTime.now
    return yield* post({ url, id, at, attempt: 3, body, secrets: [Redacted.make(secret)], ...fields })
  }).pipe(
    Effect.provide(
      Sender.layer({ deadline: "400 millis", connect: "200 millis", ...sender }).pipe(
        Layer.provide(WebhookEgress.layer(policyFor(port, allow), resolve))
      )
    )
  )
}

/** A server that answers as told and keeps what it was sent. */
const receiver = (status: number, headers: http.OutgoingHttpHeaders = {}) => {
  const received: Array<{ readonly headers: http.IncomingHttpHeaders; readonly body: string; readonly url: string }> =
    []
  const server = http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), url: request.url ?? "" })
      response.writeHead(status, headers).end("so\u0000 be it")
    })
  })
  return { server, received }
}

describe("a webhook", () => {
  it.live("111: is signed to the Standard Webhooks specification, byte for byte as it is sent", () =>
    Effect.gen(function*() {
      const { received, server } = receiver(204)
      const port = yield* listening(server)
      const { outcome, status } = yield* post(`http://127.0.0.1:${port}/hooks?shop=1`)
      assert.deepStrictEqual([outcome, status], ["success", 204])
      const [request] = received
      assert.isDefined(request)
      assert.strictEqual(request.body, body)
      assert.strictEqual(request.url, "/hooks?shop=1")
      assert.strictEqual(request.headers["webhook-id"], id)
      assert.strictEqual(request.headers["webhook-attempt"], "3")
      assert.strictEqual(request.headers["content-type"], "application/json")
      assert.match(request.headers["user-agent"] ?? "", /^Crypto-Checkout/)
      const headers = request.headers as Record<string, string>
      assert.deepStrictEqual(new Webhook(secret).verify(request.body, headers), JSON.parse(body))
      assert.throws(() => new Webhook(secret).verify(`${request.body} `, headers))
      assert.throws(() => new Webhook(secretOf()).verify(request.body, headers))
    }))

  it.live("is signed with each secret that is valid, so that a rotation leaves no gap", () =>
    Effect.gen(function*() {
      const { received, server } = receiver(200)
      const port = yield* listening(server)
      const next = secretOf()
      yield* post(`http://127.0.0.1:${port}/`, { secrets: [next, secret].map((text) => Redacted.make(text)) })
      const headers = received[0]?.headers as Record<string, string>
      for (const valid of [next, secret]) assert.isDefined(new Webhook(valid).verify(body, headers))
    }))

  it.live("is not sent under a secret that is too short to be one", () =>
    Effect.gen(function*() {
      const { received, server } = receiver(200)
      const port = yield* listening(server)
      for (const weak of ["", "whsec_", `whsec_${randomBytes(16).toString("base64")}`]) {
        const { outcome } = yield* post(`http://127.0.0.1:${port}/`, { secrets: [Redacted.make(weak)] })
        assert.notStrictEqual(outcome, "success")
      }
      assert.strictEqual(received.length, 0)
    }))

  it.live("97: does not follow a redirect", () =>
    Effect.gen(function*() {
      const inside = receiver(200)
      const insidePort = yield* listening(inside.server)
      for (const status of [301, 302, 307, 308]) {
        const outside = receiver(status, { location: `http://127.0.0.1:${insidePort}/` })
        const port = yield* listening(outside.server)
        const response = yield* post(`http://127.0.0.1:${port}/`)
        assert.deepStrictEqual([response.outcome, response.status], ["http_error", status])
      }
      assert.strictEqual(inside.received.length, 0)
    }))

  it.live("hears when to come back, and keeps what the receiver said", () =>
    Effect.gen(function*() {
      const { server } = receiver(429, { "retry-after": "120" })
      const port = yield* listening(server)
      const { detail, outcome, retryAfterSeconds, status } = yield* post(`http://127.0.0.1:${port}/`)
      assert.deepStrictEqual(
        { detail, outcome, retryAfterSeconds, status },
        { detail: "so  be it", outcome: "http_error", retryAfterSeconds: 120, status: 429 }
      )
    }))
})

const trickle = (socket: net.Socket) => {
  const timer = setInterval(() => socket.write("."), 20)
  socket.on("close", () => clearInterval(timer))
}
const flood = (socket: net.Socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write("x".repeat(65_536))) continue
  }
  socket.on("drain", more)
  more()
}

describe("a receiver that", () => {
  it.live.each<[string, net.Server, string, number | null]>([
    ["101: accepts and never answers", raw(""), "timeout", null],
    ["101: answers without an end", raw("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", trickle), "timeout", null],
    ["floods us with a body", raw("HTTP/1.1 200 OK\r\n\r\n", flood), "success", 200],
    [
      "100: sends a megabyte of headers",
      raw(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(1_000_000)}\r\n\r\n`),
      "too_large",
      null
    ],
    ["100: speaks no HTTP", raw("220 mail.example ESMTP\r\n"), "connection", null],
    [
      "100: hangs up in the middle of the body",
      raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", (socket) => socket.resetAndDestroy()),
      "connection",
      null
    ],
    ["hangs up at once", raw("", (socket) => socket.resetAndDestroy()), "connection", null],
    ["is gone", receiver(410).server, "http_error", 410],
    ["is broken", receiver(500).server, "http_error", 500]
  ])("%s", ([, server, expected, expectedStatus]) =>
    Effect.gen(function*() {
      const port = yield* listening(server)
      const { detail, durationMs, outcome, status } = yield* post(`http://127.0.0.1:${port}/`)
      assert.deepStrictEqual([outcome, status], [expected, expectedStatus])
      assert.isTrue(durationMs < 2_000)
      assert.isTrue(detail.length <= 500)
    }))

  it.live("is not there is told from one whose name is unknown", () =>
    Effect.gen(function*() {
      const server = net.createServer()
      const port = yield* Effect.scoped(listening(server))
      assert.strictEqual((yield* post(`http://127.0.0.1:${port}/`)).outcome, "connection")
      assert.strictEqual((yield* post(`http://shop.test:${port}/`, {}, { addresses: [] })).outcome, "dns")
    }))
})

describe("100: a certificate", () => {
  const secure = Effect.fnUntraced(function*(host: string, certificate: { cert: string; key: string }, trusted = true) {
    const server = https.createServer(certificate, (_, response) => response.writeHead(204).end())
    const port = yield* listening(server)
    const sender = trusted ? { trust: [certificate.cert] } : {}
    const { detail, outcome } = yield* post(`https://${host}:${port}/`, {}, { sender })
    assert.isTrue(outcome === "success" || detail.length > 0)
    return outcome
  })

  it.live("of the right name is taken", () =>
    Effect.map(secure("shop.test", certificateFor("shop.test")), (outcome) => assert.strictEqual(outcome, "success")))
  it.live("of another name is refused", () =>
    Effect.map(secure("shop.test", certificateFor("other.test")), (outcome) => assert.strictEqual(outcome, "tls")))
  it.live("that has run out is refused", () =>
    Effect.map(secure("shop.test", certificateFor("shop.test", 0.5)), (outcome) => assert.strictEqual(outcome, "tls")))
  it.live("that nobody vouches for is refused", () =>
    Effect.map(
      secure("shop.test", certificateFor("shop.test"), false),
      (outcome) => assert.strictEqual(outcome, "tls")
    ))

  it.live("101: that never comes is not waited for", () =>
    Effect.gen(function*() {
      const port = yield* listening(raw(""))
      assert.strictEqual((yield* post(`https://shop.test:${port}/`)).outcome, "timeout")
    }))
})

describe("94, 95: a name", () => {
  it.live.each<[string, ReadonlyArray<string>, string]>([
    ["that leads inside when we connect", ["10.0.0.1"], "blocked"],
    ["that leads to a metadata service", ["169.254.169.254"], "blocked"],
    ["with a public and a private address", ["127.0.0.1", "10.0.0.1"], "blocked"],
    ["with a mapped private address", ["::ffff:10.0.0.1"], "blocked"],
    ["with a mapped private address in hexadecimal", ["::ffff:a00:1"], "blocked"],
    ["that leads to another machine of the network", ["fd00::1"], "blocked"],
    ["that leads to a link's own address", ["fe80::1"], "blocked"],
    ["that leads to this machine over IPv6", ["::1"], "blocked"],
    ["that is translated to a private address", ["64:ff9b::a00:1"], "blocked"],
    ["that carries a private address through 6to4", ["2002:a00:1::1"], "blocked"],
    ["that leads to no machine at all", ["0.0.0.0"], "blocked"],
    ["that leads where the operator allows", ["127.0.0.1"], "success"]
  ])("%s", ([, addresses, expected]) =>
    Effect.gen(function*() {
      const { server } = receiver(200)
      const port = yield* listening(server)
      const { detail, outcome } = yield* post(`http://shop.test:${port}/`, {}, { addresses })
      assert.strictEqual(outcome, expected)
      assert.isFalse(detail.includes("10.0.0.1"))
    }))

  it.live("95: that leads outside when it is saved, and inside when we connect, is not followed there", () =>
    Effect.gen(function*() {
      const { received, server } = receiver(200)
      const port = yield* listening(server)
      // What a name server says that is asked again: first a public address, later this machine's.
      const answers = ["1.1.1.1", "127.0.0.1"]
      const resolve: WebhookEgress.Resolve = () =>
        Promise.resolve([{ address: answers.length > 1 ? answers.shift() ?? "" : answers[0] ?? "", family: 4 }])
      const strict = {
        allow: [parseNetwork("10.0.0.0/8")].filter((network) => network !== null),
        ports: [port],
        plain: true
      }
      const outcome = yield* Effect.gen(function*() {
        const url = yield* (yield* Egress).vet(`http://shop.test:${port}/`)
        const { post } = yield* WebhookSender
        return yield* post({ url, id, at: yield* DateTime.now, attempt: 1, body, secrets: [Redacted.make(secret)] })
      }).pipe(Effect.provide(
        Sender.layer({ deadline: "400 millis" }).pipe(Layer.provideMerge(WebhookEgress.layer(strict, resolve)))
      ))
      assert.strictEqual(outcome.outcome, "blocked")
      assert.strictEqual(received.length, 0)
    }))

  it.live.each([
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://2130706433:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0x7f000001:PORT/",
    "http://127.1:PORT/"
  ])("is no way around either: %s", (url) =>
    Effect.gen(function*() {
      const { received, server } = receiver(200)
      const port = yield* listening(server)
      const { outcome } = yield* post(url.replace("PORT", String(port)), {}, { allow: "10.0.0.0/8" })
      assert.strictEqual(outcome, "blocked")
      assert.strictEqual(received.length, 0)
    }))

  it.live("is not even looked up where the URL names a forbidden address", () =>
    Effect.gen(function*() {
      const { received, server } = receiver(200)
      const port = yield* listening(server)
      const { outcome } = yield* post(`http://127.0.0.1:${port}/`, {}, { allow: "10.0.0.0/8" })
      assert.strictEqual(outcome, "blocked")
      assert.strictEqual(received.length, 0)
    }))
})

describe("94, 95: a URL that is saved", () => {
  const vet = (url: string, addresses: ReadonlyArray<string>) => {
    const resolve: WebhookEgress.Resolve = () =>
      addresses.length === 0 ? Promise.reject(new Error("no such name")) : Promise.resolve(
        addresses.map((address) => ({ address, family: net.isIP(address) }))
      )
    return Effect.flatMap(Egress, ({ vet }) => vet(url)).pipe(
      Effect.provide(WebhookEgress.layer({ allow: [], ports: [], plain: false }, resolve)),
      Effect.match({ onFailure: ({ code }) => code as string, onSuccess: (vetted) => vetted })
    )
  }
  it.effect("is refused where its name leads inside today, in whole or in part", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* vet("https://shop.example", ["10.0.0.1"]), "forbidden_address")
      assert.strictEqual(yield* vet("https://shop.example", ["1.1.1.1", "fd00::1"]), "forbidden_address")
    }))
  it.effect("is kept in its canonical form where it leads to public addresses, or nowhere yet", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* vet("https://Shop.example", ["1.1.1.1"]), "https://shop.example/")
      assert.strictEqual(yield* vet("https://shop.example:443/a", []), "https://shop.example/a")
    }))
})
