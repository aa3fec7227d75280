/** The worker on Postgres, with the real sender and a real receiver: what only those can show. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { Webhook } from "standardwebhooks"
import * as PostgresDeliveries from "#adapters/postgres/Deliveries.ts"
import * as WebhookEgress from "#adapters/webhooks/Egress.ts"
import * as Sender from "#adapters/webhooks/Sender.ts"
import { parseNetwork } from "#domain/EgressPolicy.ts"
import { Deliveries } from "#ports/Deliveries.ts"
import * as Delivering from "#processes/Delivering.ts"
import { databaseLayer } from "../support/database.ts"
import { until } from "../support/until.ts"
import { deliveriesOf, owe, register, webhooksOn } from "../support/webhooks.ts"

const world = () => webhooksOn(PostgresDeliveries.layer.pipe(Layer.provide(databaseLayer())))

interface Received {
  readonly headers: Record<string, string>
  readonly body: string
}

/** A shop on this machine, and a sender that may reach it. */
const shop = Effect.gen(function*() {
  const received: Array<Received> = []
  const server = http.createServer((request, response) => {
    let body = ""
    request.on("data", (chunk: Buffer) => body += chunk.toString())
    request.on("end", () => {
      received.push({ headers: request.headers as Record<string, string>, body })
      response.writeHead(204).end()
    })
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const loopback = parseNetwork("127.0.0.0/8")
  const policy = { allow: loopback === null ? [] : [loopback], ports: [port], plain: true }
  const sender = Sender.layer().pipe(Layer.provide(WebhookEgress.layer(policy)))
  return { received, url: `http://127.0.0.1:${port}/`, sender }
})

const deliveredTo = (id: string) =>
  Effect.map(deliveriesOf(id), (all) => all.length > 0 && all.every(({ status }) => status === "delivered"))

describe("the worker on Postgres", () => {
  it.live("hears of new work at once, and does not wait for its next look", () =>
    Effect.gen(function*() {
      const { received, sender, url } = yield* shop
      const { id, secret } = yield* register("shop.example", { url })
      yield* Layer.build(Delivering.layer({ longestNap: "1 minute" }).pipe(Layer.provide(sender)))
      // The first may be owed before the worker listens, and be found by its first look.
      yield* owe([id])
      yield* until("the first arrives", () => received.length === 1)
      for (let i = 2; i < 12; i++) {
        yield* owe([id], { body: JSON.stringify({ i }) })
        yield* until("the next arrives", () => received.length === i)
      }
      for (const { body, headers } of received) {
        assert.deepStrictEqual(new Webhook(secret).verify(body, headers), JSON.parse(body))
      }
    }).pipe(Effect.scoped, Effect.provide(world())))

  it.live("104: sends again, under the same id, what a killed process had sent but not written down", () =>
    Effect.gen(function*() {
      const { received, sender, url } = yield* shop
      const { id } = yield* register("shop.example", { url })
      const deliveries = yield* Deliveries
      const killed = Layer.succeed(Deliveries, { ...deliveries, record: () => Effect.interrupt })
      const notice = yield* owe([id])
      const worker = Delivering.layer({ leaseSeconds: 1 })
      yield* Effect.scoped(Effect.andThen(
        Layer.build(worker.pipe(Layer.provide([sender, killed]))),
        until("it arrives", () => received.length === 1)
      ))
      assert.isFalse(yield* deliveredTo(id))
      yield* Layer.build(worker.pipe(Layer.provide(sender)))
      yield* until("it is delivered", () => deliveredTo(id))
      assert.deepStrictEqual(
        received.map(({ headers }) => [headers["webhook-id"], headers["webhook-attempt"]]),
        [[notice.id, "1"], [notice.id, "2"]]
      )
    }).pipe(Effect.scoped, Effect.provide(world())))

  it.effect("118: goes by the database's clock, and signs with its time", () =>
    Effect.gen(function*() {
      const { received, sender, url } = yield* shop
      const { id } = yield* register("shop.example", { url })
      yield* owe([id])
      assert.strictEqual((yield* DateTime.now).epochMilliseconds, 0, "the worker believes it is 1970")
      yield* Layer.build(Delivering.layer().pipe(Layer.provide(sender)))
      yield* TestClock.withLive(until("it is delivered", () => deliveredTo(id)))
      const [request] = received
      const skew = Date.now() / 1000 - Number(request?.headers["webhook-timestamp"])
      assert.isTrue(skew >= 0 && skew < 60)
    }).pipe(Effect.scoped, Effect.provide(world())))
})
