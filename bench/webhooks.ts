/** How many webhooks go out, how soon, and what it costs the others when one receiver hangs. */
import { DateTime, Effect, Layer, Redacted } from "effect"
import * as http from "node:http"
import * as net from "node:net"
import { performance } from "node:perf_hooks"
import * as Vault from "#adapters/crypto/Vault.ts"
import * as Database from "#adapters/postgres/Database.ts"
import * as Deliveries from "#adapters/postgres/Deliveries.ts"
import * as EventStore from "#adapters/postgres/EventStore.ts"
import * as Views from "#adapters/postgres/Views.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { Endpoints } from "#commands/Endpoints.ts"
import { newId } from "#commands/NewId.ts"
import * as Merchant from "#domain/Merchant.ts"
import { Deliveries as DeliveriesPort } from "#ports/Deliveries.ts"
import { Egress } from "#ports/Egress.ts"
import { addressBook, endpoints } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { type Bench, load, median, quantile, rounded } from "./Bench.ts"
import { freshServer } from "./database.ts"
import { opener } from "./opening.ts"
import { child, spending } from "./processes.ts"

const vaultKey = Buffer.alloc(32, 7).toString("base64")

/** A receiver that answers at once, and remembers when it first heard of each invoice. */
const receiver = Effect.gen(function*() {
  const heard = new Map<string, number>()
  const server = http.createServer((request, response) => {
    let body = ""
    request.on("data", (chunk: Buffer) => (body += chunk.toString()))
    request.on("end", () => {
      const { data } = JSON.parse(body) as { data: { invoiceId?: string } }
      if (data.invoiceId !== undefined && !heard.has(data.invoiceId)) heard.set(data.invoiceId, performance.now())
      response.writeHead(204).end()
    })
  })
  return { heard, url: yield* listening(server, () => server.closeAllConnections()) }
})

/** A receiver that accepts and never says a word. */
const hangs = Effect.gen(function*() {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket)).resume()
  })
  return yield* listening(server, () => sockets.forEach((socket) => socket.destroy()))
})

const listening = (server: net.Server, cut: () => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))),
      () =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            cut()
          })
        )
    ),
    () => `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/hooks`
  )

/** A shop with this endpoint, and a way to open invoices in its name. */
const shop = Effect.fnUntraced(function*(url: string) {
  const { register } = yield* Endpoints
  const merchantId = Merchant.MerchantId.make(yield* newId(Merchant.aggregate))
  const asked = { url, mode: "test", types: null, ordering: "unordered" } as const
  const { outcome } = yield* register(asked, { tenant: merchantId, actor: "bench" })
  const open = yield* opener({ merchantId, mode: "test" })
  return { endpointId: outcome.id, merchantId, open: Effect.map(open, ({ id }) => id) }
})

const world = Effect.gen(function*() {
  const url = yield* freshServer
  const ports = Layer.mergeAll(
    EventStore.layer,
    Views.layer,
    Deliveries.layer,
    Vault.layer([Redacted.make(vaultKey)]),
    Layer.succeed(Egress, { vet: Effect.succeed }),
    Layer.succeed(StrongProjections, [invoiceDetails, addressBook, endpoints])
  ).pipe(Layer.provide(Database.layerMigrated({ url, maxConnections: 16 })))
  const context = yield* Layer.build(
    Endpoints.layer.pipe(Layer.provideMerge(Dispatch.layer), Layer.provideMerge(ports))
  )
  const { pid } = yield* child("deliverer.ts", [Redacted.value(url), vaultKey])
  return { context, pid }
})

/** Opens so many invoices a second; answers with each one's time from the commit to the receipt, in milliseconds. */
const told = Effect.fnUntraced(function*<E>(
  rate: number,
  milliseconds: number,
  open: Effect.Effect<string, E>,
  heard: ReadonlyMap<string, number>
) {
  const opened: Array<{ readonly id: string; readonly at: number }> = []
  const one = Effect.map(open, (id) => void opened.push({ id, at: performance.now() }))
  const begun = performance.now()
  const all = rate * milliseconds / 1000
  yield* Effect.scoped(Effect.gen(function*() {
    for (let nth = 0; nth < all; nth++) {
      while (begun + nth * 1000 / rate > performance.now()) yield* Effect.sleep("1 millis")
      yield* Effect.forkScoped(one)
    }
    while (opened.length < all) yield* Effect.sleep("5 millis")
  }))
  const deadline = performance.now() + 30_000
  while (!opened.every(({ id }) => heard.has(id)) && performance.now() < deadline) yield* Effect.sleep("10 millis")
  const last = Math.max(...opened.map(({ id }) => heard.get(id) ?? Infinity))
  return {
    latencies: opened.map(({ at, id }) => (heard.get(id) ?? Infinity) - at),
    rate: all * 1000 / (last - begun)
  }
})

const stepMilliseconds = 5000

const throughput: Bench = Effect.gen(function*() {
  const { context, pid } = yield* world
  const { heard, url } = yield* receiver
  const { open } = yield* Effect.provideContext(shop(url), context)
  yield* told(100, 3000, open, heard)
  let best = { rate: 0, p50: 0, p99: 0, cpu: 0 }
  for (let rate = 100; rate < 5000; rate = Math.round(rate * 1.25)) {
    const { cpu, result } = yield* Effect.promise(() =>
      spending(pid, () => Effect.runPromise(told(rate, stepMilliseconds, open, heard)))
    )
    const p99 = quantile(result.latencies, 0.99)
    if (p99 > 2000) break
    best = { rate: result.rate, p50: median(result.latencies), p99, cpu: cpu / (rate * stepMilliseconds / 1000) }
  }
  return [{
    bench: "webhooks.throughput",
    value: Math.round(best.rate),
    unit: "deliveries a second to one endpoint with p99 < 2 s from the commit of the event to the receipt",
    p50Ms: rounded(best.p50),
    p99Ms: rounded(best.p99),
    delivererCpuMsEach: rounded(best.cpu),
    loadAverage: load()
  }]
})

const queued = 2000
const hangingRounds = 3
const healthyRate = 100
const healthyMilliseconds = 8000

const hanging: Bench = Effect.gen(function*() {
  const { context, pid: _ } = yield* world
  const { heard, url } = yield* receiver
  const silent = yield* hangs
  const healthy = yield* Effect.provideContext(shop(url), context)
  const dead = yield* Effect.provideContext(shop(silent), context)
  const { owe, shelve } = yield* Effect.provideContext(DeliveriesPort, context)
  const backlog = Effect.gen(function*() {
    const notices = yield* Effect.replicateEffect(
      Effect.gen(function*() {
        const notification = {
          id: yield* newId({ prefix: "evt", evergreen: false }),
          merchantId: dead.merchantId,
          mode: "test" as const,
          type: "invoice.created",
          invoiceId: null,
          body: "{}",
          occurredAt: yield* DateTime.now
        }
        return { notification, to: [{ endpointId: dead.endpointId, skip: false, ordered: false }] }
      }),
      queued
    )
    yield* owe(notices)
  })
  const p99 = Effect.map(
    told(healthyRate, healthyMilliseconds, healthy.open, heard),
    ({ latencies }) => ({ p50: median(latencies), p99: quantile(latencies, 0.99) })
  )
  yield* p99
  const pairs: Array<readonly [{ p50: number; p99: number }, { p50: number; p99: number }]> = []
  for (let round = 0; round < hangingRounds; round++) {
    const without = yield* p99
    yield* backlog
    const besides = yield* p99
    yield* shelve(dead.endpointId)
    pairs.push([besides, without])
  }
  const middle = (of: (pair: typeof pairs[number]) => number) => rounded(median(pairs.map(of)))
  return [{
    bench: "webhooks.hanging",
    value: middle(([besides, without]) => besides.p99 / without.p99),
    unit: `× p99 of a healthy endpoint at ${healthyRate} a second, while another hangs with ${queued} queued`,
    hangingP99Ms: middle(([besides]) => besides.p99),
    aloneP99Ms: middle(([, without]) => without.p99),
    hangingP50Ms: middle(([besides]) => besides.p50),
    aloneP50Ms: middle(([, without]) => without.p50),
    rounds: hangingRounds,
    loadAverage: load()
  }]
})

export const benches: Readonly<Record<string, Bench>> = {
  "webhooks.throughput": throughput,
  "webhooks.hanging": hanging
}
