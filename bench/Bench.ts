/** What a bench is, and how two ways are compared fairly on a machine that does other things too. */
import { Effect, type Scope } from "effect"
import { loadavg } from "node:os"
import { performance } from "node:perf_hooks"

/** One number, and what is needed to believe it. */
export interface Figure {
  readonly bench: string
  readonly value: number
  readonly unit: string
  readonly [detail: string]: number | string | boolean
}

/** Answers with its figures. Whatever it starts is gone when its scope closes. */
export type Bench = Effect.Effect<ReadonlyArray<Figure>, unknown, Scope.Scope>

export interface Measured {
  /** Operations a second. */
  readonly rate: number
  /** Milliseconds below which 95 of 100 operations took. */
  readonly p95: number
}

/** Keeps `callers` callers busy for so many milliseconds. */
export const loaded = <E>(
  callers: number,
  milliseconds: number,
  operation: Effect.Effect<unknown, E>
): Effect.Effect<Measured, E> =>
  Effect.gen(function*() {
    const latencies: Array<number> = []
    const begun = performance.now()
    const caller = Effect.gen(function*() {
      while (performance.now() - begun < milliseconds) {
        const start = performance.now()
        yield* operation
        latencies.push(performance.now() - start)
      }
    })
    yield* Effect.all(Array.from({ length: callers }, () => caller), { concurrency: "unbounded", discard: true })
    const elapsed = performance.now() - begun
    return { rate: latencies.length * 1000 / elapsed, p95: quantile(latencies, 0.95) }
  })

export interface Held extends Measured {
  readonly p50: number
  readonly p99: number
  readonly failed: number
}

/** More under way at once is a queue that only grows: what is due then counts as failed. */
const mostUnderWay = 2000

/**
 * Begins so many operations a second, whether or not those before are done, as strangers do. An operation's time runs
 * from when it was due: one that could not be begun in time has waited, too. Answers when all are done.
 */
export const steady = async (
  rate: number,
  milliseconds: number,
  operation: (nth: number) => Promise<unknown>
): Promise<Held> => {
  const latencies: Array<number> = []
  const underWay = new Set<Promise<unknown>>()
  const all = Math.floor(rate * milliseconds / 1000)
  let failed = 0
  const begun = performance.now()
  for (let nth = 0; nth < all;) {
    const due = begun + nth * 1000 / rate
    if (due > performance.now()) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      continue
    }
    if (underWay.size >= mostUnderWay) failed++
    else {
      const done = operation(nth).then(
        () => void latencies.push(performance.now() - due),
        () => void failed++
      ).finally(() => underWay.delete(done))
      underWay.add(done)
    }
    nth++
  }
  await Promise.all(underWay)
  return {
    rate: latencies.length * 1000 / (performance.now() - begun),
    p50: quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    p99: quantile(latencies, 0.99),
    failed
  }
}

/** Runs both ways in turn, so that whatever else the machine does falls on both; after one round to warm up. */
export const interleaved = <A, B, E, F>(rounds: number, a: Effect.Effect<A, E>, b: Effect.Effect<B, F>) =>
  Effect.gen(function*() {
    yield* a
    yield* b
    return yield* Effect.replicateEffect(Effect.all([a, b]), rounds)
  })

export const median = (values: ReadonlyArray<number>) => quantile(values, 0.5)

export const quantile = (values: ReadonlyArray<number>, part: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN

export const rounded = (value: number, digits = 2) => Number(value.toFixed(digits))

/** How busy the machine was in the last minute, this bench included: what a rate is worth depends on it. */
export const load = () => rounded(loadavg()[0] ?? 0)
