/** A receiver that accepts and never answers, with ten thousand notices waiting for it, beside one that is well. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Layer } from "effect"
import * as http from "node:http"
import * as net from "node:net"
import * as PostgresDeliveries from "#adapters/postgres/Deliveries.ts"
import * as WebhookEgress from "#adapters/webhooks/Egress.ts"
import * as Sender from "#adapters/webhooks/Sender.ts"
import { newId } from "#commands/NewId.ts"
import { parseNetwork } from "#domain/EgressPolicy.ts"
import { Deliveries } from "#ports/Deliveries.ts"
import * as Delivering from "#processes/Delivering.ts"
import { merchantId } from "../support/examples.ts"
import { databaseLayer } from "../support/database.ts"
import { until } from "../support/until.ts"
import { owe, register, webhooksOn } from "../support/webhooks.ts"

const world = () => webhooksOn(PostgresDeliveries.layer.pipe(Layer.provide(databaseLayer())))

const backlog = 10_000
const inOneGo = 1000
const perEndpoint = 10
/** Of a request: its head and a body of two bytes. */
const requestBytes = 1024

const listening = (server: net.Server, cut: () => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          cut()
        })
    ),
    () => `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/`
  )

/** Counts what it is given, and says nothing. */
const silent = Effect.gen(function*() {
  const sockets = new Set<net.Socket>()
  const seen = { most: 0, accepted: 0, bytes: 0 }
  const server = net.createServer((socket) => {
    sockets.add(socket)
    seen.accepted++
    seen.most = Math.max(seen.most, sockets.size)
    socket.on("data", (chunk) => (seen.bytes += chunk.length))
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket))
  })
  const url = yield* listening(server, () => sockets.forEach((socket) => socket.destroy()))
  return { seen, url }
})

/** Answers at once, and tells whoever waits for a notice that it came. */
const healthy = Effect.gen(function*() {
  const arrivals = new Map<string, Deferred.Deferred<void>>()
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => {
      const arrived = arrivals.get(String(request.headers["webhook-id"]))
      if (arrived !== undefined) Deferred.doneUnsafe(arrived, Effect.void)
      response.writeHead(204).end()
    })
  })
  const url = yield* listening(server, () => server.closeAllConnections())
  return { arrivals, url }
})

const loopback = parseNetwork("127.0.0.0/8")
const policy = { allow: loopback === null ? [] : [loopback], ports: "any", plain: true } as const

const oweAll = Effect.fnUntraced(function*(endpointId: string) {
  const deliveries = yield* Deliveries
  const to = [{ endpointId, skip: false, ordered: false }]
  const occurredAt = yield* DateTime.now
  const notice = { merchantId, mode: "live" as const, type: "invoice.settled", invoiceId: null, body: "{}", occurredAt }
  for (let done = 0; done < backlog; done += inOneGo) {
    const ids = yield* Effect.replicateEffect(newId({ prefix: "evt", evergreen: false }), inOneGo)
    yield* deliveries.owe(ids.map((id) => ({ notification: { ...notice, id }, to })))
  }
})

/** Milliseconds from owing a notice to its arrival; infinite after a while. */
const timeTo = Effect.fnUntraced(function*(
  endpointId: string,
  arrivals: Map<string, Deferred.Deferred<void>>
) {
  const id = yield* newId({ prefix: "evt", evergreen: false })
  const arrived = yield* Deferred.make<void>()
  arrivals.set(id, arrived)
  const begun = performance.now()
  yield* owe([endpointId], { id })
  yield* Effect.timeoutOption(Deferred.await(arrived), "3 seconds")
  return (yield* Deferred.isDone(arrived)) ? performance.now() - begun : Infinity
})

const part = (values: ReadonlyArray<number>, share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Infinity
const summary = (values: ReadonlyArray<number>) => ({ p50: part(values, 0.5), p95: part(values, 0.95) })

/** A worker with an endpoint that is well, and one that hangs as soon as it is owed something. */
const pair = Effect.fnUntraced(function*(options: Delivering.Options, patience: Sender.Options = {}) {
  const dead = yield* silent
  const well = yield* healthy
  const deadId = (yield* register("dead.example", { url: dead.url })).id
  const wellId = (yield* register("well.example", { url: well.url })).id
  const sender = Sender.layer(patience).pipe(Layer.provide(WebhookEgress.layer(policy)))
  yield* Layer.build(Delivering.layer(options).pipe(Layer.provide(sender)))
  return {
    seen: dead.seen,
    times: (looks: number) => Effect.replicateEffect(timeTo(wellId, well.arrivals), looks),
    hang: Effect.andThen(oweAll(deadId), until("it hangs", () => dead.seen.accepted >= perEndpoint)),
    tries: Effect.gen(function*() {
      const { attempts, list } = yield* Deliveries
      const tried = yield* list({ merchantId, mode: "live", endpointId: deadId, limit: backlog })
      const perQuery = 1000
      const pages = Array.from({ length: backlog / perQuery }, (_, i) => tried.slice(i * perQuery, (i + 1) * perQuery))
      return (yield* Effect.forEach(pages, (page) => attempts(page.map(({ id }) => id)))).flat().length
    })
  }
})

/** The time of the healthy one by itself, and beside the one that hangs. */
const compared = Effect.fnUntraced(function*(options: Delivering.Options, looks: number) {
  const { hang, seen, times } = yield* pair(options)
  yield* times(looks)
  const alone = summary(yield* times(looks))
  yield* hang
  return { alone, besides: summary(yield* times(looks)), seen }
})

/** What cannot be told from the noise of a busy machine. */
const unmoved = ({ alone, besides }: Record<"alone" | "besides", { readonly p50: number; readonly p95: number }>) =>
  besides.p50 < 2 * alone.p50 + 10 && besides.p95 < 2 * alone.p95 + 100

describe("108: an endpoint that accepts and never answers, with ten thousand notices waiting", () => {
  it.live(
    "delays the others by nothing that could be measured, and holds ten sockets at the most",
    () =>
      Effect.gen(function*() {
        const { seen, ...figures } = yield* compared({}, 200)
        assert.isTrue(unmoved(figures), JSON.stringify(figures))
        assert.isTrue(seen.most <= perEndpoint, `${seen.most} sockets`)
        assert.isTrue(seen.bytes <= seen.accepted * requestBytes, `${seen.bytes} bytes in ${seen.accepted} requests`)
      }).pipe(Effect.scoped, Effect.provide(world())),
    120_000
  )

  it.live("is left alone once it was silent too often", () =>
    Effect.gen(function*() {
      const deadline = 500
      const { hang, seen, times, tries } = yield* pair({}, { deadline })
      yield* hang
      yield* until("the first ones have failed", () => Effect.map(tries, (count) => count >= perEndpoint))
      // Meanwhile the worker has had work, and the silent one could have failed several times over.
      const begun = performance.now()
      while (performance.now() - begun < 4 * deadline) yield* times(10)
      assert.isTrue(seen.accepted <= perEndpoint, `${seen.accepted} requests`)
    }).pipe(Effect.scoped, Effect.provide(world())), 120_000)

  it.live(
    "would starve the others, were there no limit for one endpoint: so much can these tests see",
    () =>
      Effect.gen(function*() {
        const { alone, besides } = yield* compared({ perEndpoint: 64, total: 64 }, 5)
        assert.isFalse(unmoved({ alone, besides }), JSON.stringify({ alone, besides }))
      }).pipe(Effect.scoped, Effect.provide(world())),
    120_000
  )
})
