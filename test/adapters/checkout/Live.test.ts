import { assert, beforeAll, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Scope } from "effect"
import * as net from "node:net"
import { WebSocket } from "undici"
import type { Frame, LiveOptions } from "#adapters/checkout/Live.ts"
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { buildWeb } from "../../../scripts/build-web.ts"
import { makeWorld, serve } from "../../support/checkoutServer.ts"
import { invoiceId, stories } from "../../support/payerStories.ts"
import { until } from "../../support/until.ts"

beforeAll(() => buildWeb())

const told = (name: string) => Effect.map(DateTime.now, (now) => stories[name]!(now))
const start = Effect.fnUntraced(function*(name: string, options: LiveOptions = {}) {
  const world = makeWorld(yield* told(name))
  const origin = yield* serve(world, options)
  return { world, origin, live: `${origin}/v1/live/invoices/${invoiceId}` }
})

/** A socket that keeps what it hears, and answers each frame unless it is told not to. */
const socket = (live: string, { answers = true, headers = {}, since = "" } = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const heard: Array<Frame> = []
      const state = {
        heard,
        closed: null as number | null,
        opened: false,
        failed: false,
        ws: null as unknown as WebSocket
      }
      const ws = new WebSocket(`${live.replace("http", "ws")}?since=${since}`, { headers })
      state.ws = ws
      ws.onopen = () => void (state.opened = true)
      ws.onerror = () => void (state.failed = true)
      ws.onclose = ({ code }) => void (state.closed = code)
      ws.onmessage = ({ data }) => {
        heard.push(JSON.parse(String(data)) as Frame)
        if (answers) ws.send("ok")
      }
      return state
    }),
    ({ ws }) => Effect.sync(() => ws.close())
  )

/** Clients that are let in by a handshake of their own, and then take nothing off the wire. */
const deaf = (live: string, count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    () =>
      Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<net.Socket>((resolve) => {
            const { host, hostname, pathname, port } = new URL(live)
            const client = net.connect(Number(port), hostname, () => {
              client.on("error", () => {})
              client.write(
                `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
                  "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
              )
              client.pause()
              resolve(client)
            })
          })
        ),
        (client) => Effect.sync(() => client.destroy())
      )
  )
const repeat = (times: number, action: () => void) => {
  for (let i = 0; i < times; i++) action()
}
const statesOf = (frames: ReadonlyArray<Frame>) => frames.map(({ snapshot }) => snapshot?.state ?? null)

describe("the invoice's WebSocket", () => {
  it.live("says how it stands at once, and again whenever it changes", () =>
    Effect.gen(function*() {
      const { live, world } = yield* start("waiting")
      const { heard } = yield* socket(live)
      yield* until("the first frame", () => heard.length === 1)
      world.becomes(yield* told("seen"))
      yield* until("the second", () => heard.length === 2)
      world.becomes(yield* told("paid"))
      yield* until("the third", () => heard.length === 3)
      assert.deepStrictEqual(statesOf(heard), ["waiting", "seen", "paid"])
    }))

  it.live("126: finds a change that was announced to nobody", () =>
    Effect.gen(function*() {
      const { live, world } = yield* start("waiting")
      const { heard } = yield* socket(live)
      yield* until("the first frame", () => heard.length === 1)
      world.silently(yield* told("paid"))
      yield* until("the second", () => heard.length === 2)
      assert.deepStrictEqual(statesOf(heard), ["waiting", "paid"])
    }))

  it.live("123: gives only a sign of life and the time to one who has seen the latest", () =>
    Effect.gen(function*() {
      const { live } = yield* start("paid")
      const { revision } = yield* Effect.promise(async () =>
        (await fetch(`${live}/snapshot`)).json() as Promise<Snapshot>
      )
      const { heard } = yield* socket(live, { since: revision })
      yield* until("the first frame", () => heard.length === 1)
      assert.deepStrictEqual(statesOf(heard), [null])
      assert.isBelow(Math.abs(Date.parse(heard[0]?.serverTime ?? "") - Date.now()), 5000)
    }))

  it.live("keeps nothing for a client that does not read: when it does, it gets the latest alone", () =>
    Effect.gen(function*() {
      const { live, world } = yield* start("waiting")
      const { heard, ws } = yield* socket(live, { answers: false })
      yield* until("the first frame", () => heard.length === 1)
      for (const name of ["partial", "seen", "overpaid", "reversed"]) {
        const before = world.reads()
        world.becomes(yield* told(name))
        yield* Effect.yieldNow
        assert.isAtMost(world.reads() - before, 3)
      }
      world.becomes(yield* told("paid"))
      ws.send("ok")
      yield* until("the second frame", () => heard.length >= 2)
      ws.send("ok")
      yield* until("the latest", () => statesOf(heard).includes("paid"))
      assert.isAtMost(heard.length, 3)
    }))

  it.live("122: gives up a client that has silently gone", () =>
    Effect.gen(function*() {
      const { live } = yield* start("waiting", { answerWithin: "100 millis" })
      const [present, gone] = [yield* socket(live), yield* socket(live, { answers: false })]
      yield* until("the close", () => gone.closed !== null)
      assert.deepStrictEqual([gone.closed, present.closed, present.heard.length], [1001, null, 1])
    }))

  for (
    const [what, says, code] of [
      ["anything but what it is asked", (ws: WebSocket) => ws.send("hello"), 1008],
      ["it a thousand times over", (ws: WebSocket) => repeat(1000, () => ws.send("ok")), 1008],
      ["something of a megabyte", (ws: WebSocket) => ws.send("x".repeat(1_000_000)), 1009],
      ["something binary", (ws: WebSocket) => ws.send(new Uint8Array([1])), 1008]
    ] as const
  ) {
    it.live(`122: closes on whoever says ${what}`, () =>
      Effect.gen(function*() {
        const { live } = yield* start("waiting")
        const [quiet, client] = [yield* socket(live), yield* socket(live)]
        yield* until("the first frames", () => client.heard.length + quiet.heard.length === 2)
        says(client.ws)
        yield* until("the close", () => client.closed !== null)
        assert.deepStrictEqual([client.closed, quiet.closed], [code, null])
      }))
  }

  it.live("122: is refused to pages of another origin, and for invoices that do not exist", () =>
    Effect.gen(function*() {
      const { live, origin } = yield* start("waiting")
      const foreign = yield* socket(live, { headers: { origin: "https://evil.example" } })
      const own = yield* socket(live, { headers: { origin } })
      const missing = yield* socket(live.replace("_01m", "_02m"))
      yield* until("all three", () => foreign.closed !== null && missing.closed !== null && own.heard.length === 1)
      assert.deepStrictEqual([foreign.opened, missing.opened], [false, false])
    }))

  it.live("122: is refused beyond so many from one address, and free again when one goes", () =>
    Effect.gen(function*() {
      const { live } = yield* start("waiting", { perAddress: 2 })
      const one = yield* socket(live)
      const two = yield* socket(live)
      yield* until("two frames", () => one.heard.length + two.heard.length === 2)
      const three = yield* socket(live)
      yield* until("the refusal", () => three.failed)
      one.ws.close()
      yield* until("the free seat", () =>
        Effect.gen(function*() {
          const four = yield* socket(live)
          yield* until("an answer", () => four.failed || four.heard.length === 1)
          return four.heard.length === 1
        }))
    }))

  it.live("125: ends with «service restart» when the server does, and nobody holds it up, not even the deaf", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { live } = yield* Scope.provide(start("waiting", { perAddress: 1000 }), scope)
      const clients = yield* Effect.all(Array.from({ length: 300 }, () => socket(live)))
      yield* deaf(live, 10)
      yield* until("the first frames", () => clients.every(({ heard }) => heard.length === 1))
      const began = Date.now()
      yield* Scope.close(scope, Exit.void)
      yield* until("the closes", () => clients.every(({ closed }) => closed !== null))
      assert.deepStrictEqual([...new Set(clients.map(({ closed }) => closed))], [1012])
      assert.isBelow(Date.now() - began, 5000)
    }))
})

describe("the invoice's server-sent events", () => {
  const listen = (live: string, headers: Record<string, string> = {}) =>
    Effect.gen(function*() {
      const state = { text: "", ended: false, status: 0 }
      const abort = new AbortController()
      yield* Effect.addFinalizer(() => Effect.sync(() => abort.abort()))
      const read = async () => {
        const response = await fetch(`${live}/events`, { headers, signal: abort.signal })
        state.status = response.status
        const decoder = new TextDecoder()
        for await (const chunk of response.body ?? []) state.text += decoder.decode(chunk, { stream: true })
      }
      void read().catch(() => {}).finally(() => (state.ended = true))
      return state
    })

  it.live("say the same, each with its revision", () =>
    Effect.gen(function*() {
      const { live, world } = yield* start("waiting")
      const stream = yield* listen(live)
      yield* until("the first event", () => stream.text.includes('"state":"waiting"'))
      world.becomes(yield* told("paid"))
      yield* until("the second", () => stream.text.includes('"state":"paid"'))
      assert.match(stream.text, /^id: \S+\.waiting\S*\ndata: \{.*\}\n\nid: \S+\.paid\S*\ndata: /)
    }))

  it.live("go on from the last one seen", () =>
    Effect.gen(function*() {
      const { live } = yield* start("paid")
      const { revision } = yield* Effect.promise(async () =>
        (await fetch(`${live}/snapshot`)).json() as Promise<Snapshot>
      )
      const stream = yield* listen(live, { "last-event-id": revision })
      yield* until("the first event", () => stream.text.endsWith("\n\n"))
      assert.include(stream.text, '"snapshot":null')
    }))

  it.live("end with the server, and are refused to other origins", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { live } = yield* Scope.provide(start("waiting"), scope)
      const foreign = yield* listen(live, { origin: "https://evil.example" })
      const stream = yield* listen(live)
      yield* until("the first event", () => stream.text !== "" && foreign.status === 403)
      const began = Date.now()
      yield* Scope.close(scope, Exit.void)
      yield* until("the end", () => stream.ended)
      assert.isBelow(Date.now() - began, 3000)
    }))
})

describe("the invoice's snapshot", () => {
  it.live("is not sent again while it is the same", () =>
    Effect.gen(function*() {
      const { live, world } = yield* start("waiting")
      const ask = (etag = "") =>
        Effect.promise(async () => {
          const response = await fetch(`${live}/snapshot`, { headers: { "if-none-match": etag } })
          return { status: response.status, etag: response.headers.get("etag") ?? "", text: await response.text() }
        })
      const first = yield* ask()
      assert.strictEqual((JSON.parse(first.text) as Snapshot).state, "waiting")
      assert.deepStrictEqual(yield* ask(first.etag), { status: 304, etag: first.etag, text: "" })
      world.becomes(yield* told("paid"))
      const second = yield* ask(first.etag)
      assert.deepStrictEqual([second.status, (JSON.parse(second.text) as Snapshot).state], [200, "paid"])
    }))
})
