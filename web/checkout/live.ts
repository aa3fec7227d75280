/** Keeps the page current: a WebSocket, else server-sent events, else asking; and back up when that is possible. */
import type { Frame } from "#adapters/checkout/Live.ts"
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"

/** How the page hears of changes right now. */
export type Link = "socket" | "events" | "polling"

export interface Follow {
  readonly invoiceId: string
  /** The revision that is shown: what the server need not send again. */
  readonly shown: () => string
  readonly onFrame: (frame: Frame) => void
  readonly onLink: (link: Link, reachable: boolean) => void
}

/** A way that frames come in by themselves. `ended` resolves when it is broken. */
interface Carrier {
  readonly close: () => void
  readonly ended: Promise<void>
}

/** A way that has brought nothing by then is given up. */
const openWithinMs = 3000
/** The server gives a sign of life every fifteen seconds. */
const silentAfterMs = 40_000
const pollEveryMs = 3000
const retryMs = { first: 1500, most: 30_000 }

/** A server that restarts loses all its pages at one moment: they are not to come back at one moment. */
const spread = (ms: number) => ms * (0.25 + 1.5 * Math.random())

/** Starts to follow; the answer stops it. */
export const follow = ({ invoiceId, onFrame, onLink, shown }: Follow): () => void => {
  const path = `/v1/live/invoices/${invoiceId}`
  let stopped = false
  let carrier: Carrier | null = null
  let wake = () => {}
  let etag: string | null = null
  let poller: ReturnType<typeof setTimeout> | undefined

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const poll = async () => {
    clearTimeout(poller)
    let reachable = true
    try {
      const headers: Record<string, string> = etag === null ? {} : { "if-none-match": etag }
      const signal = AbortSignal.timeout(8000)
      const response = await fetch(`${path}/snapshot`, { headers, cache: "no-store", signal })
      if (response.ok) {
        const snapshot = await response.json() as Snapshot
        etag = response.headers.get("etag")
        onFrame({ serverTime: snapshot.serverTime, snapshot })
      }
      // A stopwatch stands still while its device sleeps: even where nothing is new, the time is.
      const serverTime = response.headers.get("server-time")
      if (response.status === 304 && serverTime !== null) onFrame({ serverTime, snapshot: null })
    } catch {
      reachable = false
      // A way that still seems open is not: the device has lost its network and does not know it yet.
      const lost = carrier
      lost?.close()
      await lost?.ended
    }
    if (stopped || carrier !== null) return
    onLink("polling", reachable)
    clearTimeout(poller)
    poller = setTimeout(() => void poll(), spread(pollEveryMs))
  }

  /** Opens a way and waits for its first frame; null if none comes in time. */
  const open = (start: (heard: (text: string) => void, broken: () => void) => () => void) =>
    new Promise<Carrier | null>((resolve) => {
      let watchdog: ReturnType<typeof setTimeout>
      let end = () => {}
      const ended = new Promise<void>((done) => (end = done))
      let close = () => {}
      const broken = () => {
        clearTimeout(watchdog)
        close()
        end()
        resolve(null)
      }
      const heard = (text: string) => {
        clearTimeout(watchdog)
        watchdog = setTimeout(broken, silentAfterMs)
        resolve({ close: broken, ended })
        onFrame(JSON.parse(text) as Frame)
      }
      watchdog = setTimeout(broken, openWithinMs)
      try {
        close = start(heard, broken)
      } catch {
        // Some browsers forbid a way, or lack it, by throwing.
        broken()
      }
    })

  const openSocket = () =>
    open((heard, broken) => {
      const { host, protocol } = location
      const scheme = protocol === "https:" ? "wss:" : "ws:"
      const socket = new WebSocket(`${scheme}//${host}${path}?since=${encodeURIComponent(shown())}`)
      socket.onmessage = ({ data }) => {
        heard(String(data))
        // The server sends no more until it knows that this one was read.
        if (socket.readyState === WebSocket.OPEN) socket.send("ok")
      }
      socket.onclose = broken
      return () => socket.close()
    })

  const openEvents = () =>
    open((heard, broken) => {
      const source = new EventSource(`${path}/events?since=${encodeURIComponent(shown())}`)
      source.onmessage = ({ data }) => heard(String(data))
      source.onerror = broken
      return () => source.close()
    })

  const carry = (next: Carrier, link: Link) => {
    carrier?.close()
    carrier = next
    clearTimeout(poller)
    onLink(link, true)
    void next.ended.then(() => {
      if (carrier !== next) return
      carrier = null
      if (!stopped) setTimeout(() => wake(), spread(retryMs.first))
    })
  }

  const run = async () => {
    let retry = retryMs.first
    while (!stopped) {
      const socket = await openSocket()
      if (socket !== null) {
        carry(socket, "socket")
        retry = retryMs.first
        await socket.ended
        // Until `carry` says that it is our turn.
        await pause(retryMs.most)
        continue
      }
      if (stopped) return
      if (carrier === null) {
        void poll()
        const events = await openEvents()
        if (events !== null) carry(events, "events")
      }
      await pause(spread(retry))
      retry = Math.min(retry * 2, retryMs.most)
    }
  }

  const refresh = () => {
    if (document.hidden) return
    void poll()
    wake()
  }
  document.addEventListener("visibilitychange", refresh)
  addEventListener("online", refresh)
  addEventListener("offline", refresh)
  void run()

  return () => {
    stopped = true
    document.removeEventListener("visibilitychange", refresh)
    removeEventListener("online", refresh)
    removeEventListener("offline", refresh)
    clearTimeout(poller)
    carrier?.close()
    wake()
  }
}
