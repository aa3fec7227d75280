/** Many pages that lose their server at one moment, and come back to it over time. */
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest"
import type { Frame } from "#adapters/checkout/Live.ts"
import { follow } from "../../../web/checkout/live.ts"

/** Of a shop's thousands: what counts is the share of them that comes at the same moment. */
const pages = 1000
const tenthMs = 100

/** What reaches the server, by tenth of a second since the last look. */
let arrivals = new Map<number, number>()
let isUp = true
let sockets: Array<Socket> = []

const arrives = () => {
  const tenth = Math.floor(Date.now() / tenthMs)
  arrivals.set(tenth, (arrivals.get(tenth) ?? 0) + 1)
}
const busiest = () => Math.max(0, ...arrivals.values())

class Socket {
  static readonly OPEN = 1
  readyState = 0
  onmessage: ((event: { readonly data: string }) => void) | null = null
  onclose: (() => void) | null = null
  constructor() {
    arrives()
    const frame: Frame = { serverTime: new Date().toISOString(), snapshot: null }
    setTimeout(() => {
      if (!isUp) return this.onclose?.()
      this.readyState = Socket.OPEN
      sockets.push(this)
      this.onmessage?.({ data: JSON.stringify(frame) })
    }, 5)
  }
  send() {}
  close() {
    this.readyState = 3
  }
}

class Events {
  onmessage: ((event: { readonly data: string }) => void) | null = null
  onerror: (() => void) | null = null
  constructor() {
    arrives()
    setTimeout(() => this.onerror?.(), 5)
  }
  close() {}
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
  vi.stubGlobal("WebSocket", Socket)
  vi.stubGlobal("EventSource", Events)
  vi.stubGlobal("location", new URL("https://pay.shop.example/i/x"))
  vi.stubGlobal("document", { hidden: false, addEventListener: () => {}, removeEventListener: () => {} })
  vi.stubGlobal("addEventListener", () => {})
  vi.stubGlobal("removeEventListener", () => {})
  vi.stubGlobal("fetch", async () => {
    arrives()
    throw new Error("the server is away")
  })
  arrivals = new Map()
  isUp = true
  sockets = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe("many pages on one server", () => {
  it("125: come back at moments of their own when it restarts, and all of them do", async () => {
    const links = new Map<number, string>()
    const stops = Array.from({ length: pages }, (_, page) =>
      follow({
        invoiceId: "inv_x",
        shown: () => "1.waiting",
        onFrame: () => {},
        onLink: (link) => links.set(page, link)
      }))
    await vi.advanceTimersByTimeAsync(100)
    assert.deepStrictEqual([sockets.length, links.size], [pages, pages])

    isUp = false
    arrivals = new Map()
    for (const socket of sockets.splice(0)) socket.onclose?.()
    // Away for six seconds: each page tries all three ways, and no moment of it is a storm.
    await vi.advanceTimersByTimeAsync(6000)
    assert.isAtLeast([...arrivals.values()].reduce((sum, n) => sum + n, 0), pages)
    assert.isAtMost(busiest(), pages / 3)

    isUp = true
    arrivals = new Map()
    await vi.advanceTimersByTimeAsync(30_000)
    assert.strictEqual(sockets.length, pages)
    assert.isAtMost(busiest(), pages / 5)
    for (const stop of stops) stop()
  })
})
