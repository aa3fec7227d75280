/** What `POST /v1/invoices` carries, and what one costs: the program in a process of its own, loaded from this one. */
import { Effect, Redacted } from "effect"
import { Pool } from "undici"
import { call, type Demo } from "../test/support/demo.ts"
import { type Bench, load, median, rounded, steady } from "./Bench.ts"
import { freshServer } from "./database.ts"
import { child, program, spending } from "./processes.ts"

const connections = 64
const goalP95 = 200

/** As a shop's cart would ask. */
const asked = JSON.stringify({
  price: { amount: "64.00", currency: "EUR" },
  orderId: "1234",
  description: "Espresso set: four cups, one pot",
  metadata: { cart: "c-81", customer: "7731" }
})

/** Opens an invoice over connections that stay open; rejects on anything but 201. */
const opener = (url: string, apiKey?: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Pool(url, { connections, pipelining: 1 })),
      (pool) => Effect.promise(() => pool.destroy())
    ),
    (pool) => async () => {
      const { body, statusCode } = await pool.request({
        method: "POST",
        path: "/v1/invoices",
        headers: {
          "content-type": "application/json",
          ...apiKey !== undefined && { authorization: `Bearer ${apiKey}` }
        },
        body: asked
      })
      await body.dump()
      if (statusCode !== 201) throw new Error(`answered ${statusCode}`)
    }
  )

/** The demo's own receiver would make each invoice two requests to the program. */
const withoutWebhooks = async (demo: Demo) => {
  const { body } = await call<{ data: ReadonlyArray<{ id: string }> }>(demo, "GET", "/v1/webhook-endpoints")
  for (const { id } of body.data) await call(demo, "DELETE", `/v1/webhook-endpoints/${id}`)
}

const warmUp = (open: () => Promise<unknown>) => steady(100, 4000, open)

const first = 100
const stepUp = 1.15
const stepMilliseconds = 5000

/** Steps up until the rate is not held any more. */
const create: Bench = Effect.gen(function*() {
  const demo = yield* program()
  const open = yield* opener(demo.apiUrl, demo.apiKey)
  const pid = demo.process.pid ?? 0
  yield* Effect.promise(() => withoutWebhooks(demo))
  yield* Effect.promise(() => warmUp(open))
  const step = (rate: number) => Effect.promise(() => spending(pid, () => steady(rate, stepMilliseconds, open)))
  yield* step(first)
  let best: Effect.Success<ReturnType<typeof step>> | null = null
  let opened = 0
  for (let rate = first; rate < 20_000; rate = Math.round(rate * stepUp)) {
    const next = yield* step(rate)
    opened += rate * stepMilliseconds / 1000
    const { failed, p95, rate: reached } = next.result
    if (failed > 0 || p95 > goalP95 || reached < 0.95 * rate) break
    best = next
  }
  const unit = "invoices a second held with p95 < 200 ms"
  if (best === null) return [{ bench: "http.create-invoice", value: 0, unit, loadAverage: load() }]
  const { p50, p95, p99, rate } = best.result
  return [{
    bench: "http.create-invoice",
    value: Math.round(rate),
    unit,
    p50Ms: rounded(p50),
    p95Ms: rounded(p95),
    p99Ms: rounded(p99),
    programCpuMsEach: rounded(best.cpu / (rate * stepMilliseconds / 1000)),
    openedBefore: opened,
    connections,
    loadAverage: load()
  }]
})

const rounds = 5
const compareAt = 150
const compareMilliseconds = 4000

const cpu: Bench = Effect.gen(function*() {
  const database = yield* freshServer
  const demo = yield* program()
  const baseline = yield* child("fastify.ts", [Redacted.value(database)])
  yield* Effect.promise(() => withoutWebhooks(demo))
  const ours = { pid: demo.process.pid ?? 0, open: yield* opener(demo.apiUrl, demo.apiKey) }
  const theirs = { pid: baseline.pid, open: yield* opener(baseline.ready) }
  const each = async ({ open, pid }: typeof ours) => {
    const { cpu } = await spending(pid, () => steady(compareAt, compareMilliseconds, open))
    return cpu / (compareAt * compareMilliseconds / 1000)
  }
  const idle = yield* Effect.promise(() =>
    spending(ours.pid, () => new Promise((resolve) => setTimeout(resolve, compareMilliseconds)))
  )
  const pairs: Array<readonly [number, number]> = []
  yield* Effect.promise(async () => {
    await warmUp(ours.open)
    await warmUp(theirs.open)
    for (let round = 0; round < rounds; round++) pairs.push([await each(ours), await each(theirs)])
  })
  return [{
    bench: "http.cpu-vs-fastify",
    value: rounded(median(pairs.map(([ours, theirs]) => ours / theirs))),
    unit: "× CPU a request, the program to a bare Fastify with pg",
    programCpuMsEach: rounded(median(pairs.map(([ours]) => ours))),
    fastifyCpuMsEach: rounded(median(pairs.map(([, theirs]) => theirs))),
    programIdleCpuMsASecond: rounded(idle.cpu * 1000 / compareMilliseconds),
    perSecond: compareAt,
    rounds,
    loadAverage: load()
  }]
})

export const benches: Readonly<Record<string, Bench>> = { "http.create-invoice": create, "http.cpu-vs-fastify": cpu }
