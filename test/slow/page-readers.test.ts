/** Readers who let everything lie: a hundred on sockets and ten on server-sent events cost the others nothing. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import * as net from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { WebSocket } from "undici"
import type { Frame } from "#adapters/checkout/Live.ts"
import { buildWeb } from "../../scripts/build-web.ts"
import { makeWorld, serve, type World } from "../support/checkoutServer.ts"
import { atLength, invoiceId, stories, type Story } from "../support/payerStories.ts"
import { until } from "../support/until.ts"

beforeAll(() => buildWeb())

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void
/** Bytes held by this thread, garbage aside. */
const held = () => {
  collect()
  const { arrayBuffers, external, heapUsed } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

/** Asks, and then takes nothing off the wire. */
const deaf = (origin: string, request: string) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<net.Socket>((resolve) => {
        const { hostname, port } = new URL(origin)
        const client = net.connect(Number(port), hostname, () => {
          client.on("error", () => {})
          client.write(request)
          client.pause()
          resolve(client)
        })
      })
    ),
    (client) => Effect.sync(() => client.destroy())
  )
const path = `/v1/live/invoices/${invoiceId}`
const upgrade = `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
  "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
const subscribe = `GET ${path}/events HTTP/1.1\r\nhost: x\r\n\r\n`

/** One who reads everything at once, and how long the news took to come. */
const reader = Effect.fnUntraced(function*(origin: string, world: World, first: Story) {
  let version = 1000
  let heard: (frame: Frame) => void = () => {}
  const ws = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocket(`${origin.replace("http", "ws")}${path}`)),
    (ws) => Effect.sync(() => ws.close())
  )
  let frames = 0
  ws.onmessage = ({ data }) => {
    ws.send("ok")
    frames++
    heard(JSON.parse(String(data)) as Frame)
  }
  yield* until("the first frame", () => frames === 1)
  /** Milliseconds from each change to its frame. */
  return Effect.fnUntraced(function*(changes: number) {
    const took: Array<number> = []
    for (let i = 0; i < changes; i++) {
      const next = version++
      yield* Effect.promise(() =>
        new Promise<void>((resolve) => {
          const began = performance.now()
          heard = ({ snapshot }) => {
            if (snapshot?.version !== next) return
            took.push(performance.now() - began)
            resolve()
          }
          world.becomes({ ...first, details: { ...first.details, version: next } })
        })
      )
    }
    return took.sort((a, b) => a - b)
  })
})
const p99 = (sorted: ReadonlyArray<number>) => sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN

describe("who does not read", () => {
  it.live("122: on a hundred sockets, is read nothing for and sent nothing, and others hear as soon as before", () =>
    Effect.gen(function*() {
      const first = stories["choosing"]!(yield* DateTime.now)
      const world = makeWorld(first)
      const origin = yield* serve(world, { perAddress: 1000 })
      const changes = yield* reader(origin, world, first)
      yield* changes(500)
      const before = yield* changes(1000)
      yield* Effect.replicateEffect(deaf(origin, upgrade), 100)
      // Each gets its one frame, and owes the answer.
      yield* changes(100)
      const [bytes, reads] = [held(), world.reads()]
      const after = yield* changes(1000)
      const grown = held() - bytes
      console.log(
        `news to a reader, p99: ${p99(before).toFixed(1)} ms alone, ${
          p99(after).toFixed(1)
        } ms beside 100 who do not ` +
          `read; ${(grown / 1024).toFixed(0)} KB held more after 1,000 changes`
      )
      // One for the reader's own, and now and then a tick of the four seconds.
      assert.isAtMost(world.reads() - reads, 1100)
      assert.isAtMost(grown, 8 * 1024 * 1024)
      assert.isAtMost(p99(after), p99(before) * 3 + 10)
    }))

  it.live("122: on server-sent events, is sent no more once the wire is full, and nothing piles up for it", () =>
    Effect.gen(function*() {
      const first = atLength(stories["choosing"]!(yield* DateTime.now))
      const world = makeWorld(first)
      const origin = yield* serve(world, { perAddress: 1000 })
      const changes = yield* reader(origin, world, first)
      yield* Effect.replicateEffect(deaf(origin, subscribe), 10)
      // The kernel takes some megabytes for each before it says stop.
      let rounds = 0
      for (let reads = Number.POSITIVE_INFINITY; reads > 110 && rounds < 60; rounds++) {
        const before = world.reads()
        yield* changes(100)
        reads = world.reads() - before
      }
      const [bytes, reads] = [held(), world.reads()]
      const after = yield* changes(1000)
      const grown = held() - bytes
      console.log(
        `10 who do not read their events: full after ${rounds * 100} changes; then p99 ${p99(after).toFixed(1)} ms, ` +
          `${(grown / 1024).toFixed(0)} KB held more after 1,000 changes`
      )
      assert.isAtMost(world.reads() - reads, 1100)
      assert.isAtMost(grown, 8 * 1024 * 1024)
    }))
})
