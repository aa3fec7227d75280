/** The server's time in the browser. The device's own clock is never asked: it may be wrong by hours. */
import { useEffect, useState } from "preact/hooks"

/** The server's time when it last spoke, and the device's stopwatch at that moment. */
export interface Clock {
  readonly serverMs: number
  readonly at: number
}

export const clockAt = (serverTime: string): Clock => ({
  serverMs: Date.parse(serverTime),
  at: typeof performance === "undefined" ? 0 : performance.now()
})

/** Ticks every second while somebody can see it. On the server, and until the page has come to life, it stands. */
export const useNow = (clock: Clock): number => {
  const [elapsed, setElapsed] = useState(0)
  useEffect(() => {
    const tick = () => setElapsed(performance.now() - clock.at)
    let timer: ReturnType<typeof setInterval> | undefined
    const watch = () => {
      clearInterval(timer)
      if (document.hidden) return
      tick()
      timer = setInterval(tick, 1000)
    }
    watch()
    document.addEventListener("visibilitychange", watch)
    return () => {
      clearInterval(timer)
      document.removeEventListener("visibilitychange", watch)
    }
  }, [clock])
  return clock.serverMs + elapsed
}
