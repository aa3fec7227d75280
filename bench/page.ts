/** How soon a payer's page hears of an event, and what an open page costs the program in memory. */
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as net from "node:net"
import { performance } from "node:perf_hooks"
import { call } from "../test/support/demo.ts"
import { type Bench, load, median, quantile, rounded } from "./Bench.ts"
import { cpuOf, memoryOf, program } from "./processes.ts"

/** "ok" as a masked text frame, which says that a snapshot was read. Masked with zeros, it stays as it is. */
const ok = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x6f, 0x6b])

/** So many sockets may come from one address. */
const perAddress = 40

/** A page's socket, at its barest: hears frames, and says that it has. Answers after the first. */
const watch = (apiUrl: string, invoice: string, nth: number, hear: () => void) =>
  new Promise<net.Socket>((resolve, reject) => {
    const { hostname, port } = new URL(apiUrl)
    const seat = Math.floor(nth / perAddress)
    const socket = net.connect({
      host: hostname,
      port: Number(port),
      localAddress: `127.0.${1 + Math.floor(seat / 250)}.${1 + seat % 250}`
    })
    let upgraded = false
    socket.on("connect", () =>
      socket.write(
        `GET /v1/live/invoices/${invoice} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nupgrade: websocket\r\n`
          + `connection: Upgrade\r\nsec-websocket-version: 13\r\n`
          + `sec-websocket-key: ${randomBytes(16).toString("base64")}\r\n\r\n`
      ))
    socket.on("data", (chunk) => {
      if (!upgraded && !chunk.toString("latin1").startsWith("HTTP/1.1 101")) {
        reject(new Error(chunk.toString("latin1").slice(0, 100)))
      } else if (upgraded || chunk.includes('"serverTime"')) {
        socket.write(ok)
        hear()
        resolve(socket)
      }
      upgraded = true
    })
    socket.on("error", reject)
  })

const opened = async (demo: { readonly apiUrl: string; readonly apiKey: string }, count: number) => {
  const ids: Array<string> = []
  for (let nth = 0; nth < count; nth++) {
    const { body } = await call<{ id: string }>(demo, "POST", "/v1/invoices", {
      price: { amount: "25.00", currency: "EUR" }
    })
    ids.push(body.id)
  }
  return ids
}

const pages = 200

const latency: Bench = Effect.gen(function*() {
  const demo = yield* program()
  const ids = yield* Effect.promise(() => opened(demo, pages))
  const latencies = yield* Effect.promise(async () => {
    const sockets: Array<net.Socket> = []
    const taken: Array<number> = []
    for (const [nth, id] of ids.entries()) {
      let asked = Infinity
      sockets.push(
        await watch(demo.apiUrl, id, nth, () => {
          if (asked < Infinity) taken.push(performance.now() - asked)
          asked = Infinity
        })
      )
      asked = performance.now()
      await call(demo, "POST", `/v1/invoices/${id}/cancel`, {})
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
    for (const socket of sockets) socket.destroy()
    return taken
  })
  return [{
    bench: "page.latency",
    value: rounded(quantile(latencies, 0.99)),
    unit: "ms p99 from sending the request that cancels an invoice to the frame on its page's socket",
    p50Ms: rounded(median(latencies)),
    heard: latencies.length,
    of: pages,
    loadAverage: load()
  }]
})

const sockets = 10_000
const openedAtOnce = 50
/** A busy machine opens fewer; the figure says how many. */
const openingMilliseconds = 60_000
const looks = 10

const memory: Bench = Effect.gen(function*() {
  const demo = yield* program()
  const pid = demo.process.pid ?? 0
  const ids = yield* Effect.promise(() => opened(demo, 50))
  const open: Array<net.Socket> = []
  yield* Effect.addFinalizer(() => Effect.sync(() => open.forEach((socket) => socket.destroy())))
  const connect = async (from: number, count: number) => {
    const made = Array.from(
      { length: count },
      (_, i) => watch(demo.apiUrl, ids[(from + i) % ids.length] ?? "", from + i, () => undefined)
    )
    open.push(...await Promise.all(made))
  }
  // The first ones compile and cache what every later one uses.
  const first = perAddress * 10
  const held = async () => {
    let least = Infinity
    for (let look = 0; look < looks; look++) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      least = Math.min(least, memoryOf(pid))
    }
    return least
  }
  const { after, before, idle } = yield* Effect.promise(async () => {
    for (let from = 0; from < first; from += openedAtOnce) await connect(from, openedAtOnce)
    const before = await held()
    const begun = performance.now()
    for (let from = first; from < sockets && performance.now() - begun < openingMilliseconds; from += openedAtOnce) {
      await connect(from, openedAtOnce)
    }
    const cpu = cpuOf(pid)
    const after = await held()
    return { before, after, idle: cpuOf(pid) - cpu }
  })
  return [{
    bench: "sockets.memory",
    value: Math.round((after - before) / (open.length - first)),
    unit: "bytes of the program's memory for each open socket",
    sockets: open.length,
    megabytes: Math.round(after / 2 ** 20),
    cpuMsASecondWhileNothingHappens: Math.round(idle * 1000 / (looks * 500)),
    loadAverage: load()
  }]
})

export const benches: Readonly<Record<string, Bench>> = { "page.latency": latency, "sockets.memory": memory }
