/** When a delivery that failed is tried again, and when both it and its endpoint are given up. */

/** How a try ended. `blocked`: we refused to go there. `too_large`: headers without end. */
export type Outcome = "success" | "http_error" | "timeout" | "dns" | "tls" | "connection" | "blocked" | "too_large"

/** What follows from an attempt. */
export type Verdict =
  | { readonly _tag: "Delivered" }
  | { readonly _tag: "Retry"; readonly afterSeconds: number }
  | { readonly _tag: "Exhausted" }

/** What the receiver did, as far as the schedule cares. */
export interface Answer {
  readonly outcome: Outcome
  /** The HTTP status; null where there was none. */
  readonly status: number | null
  readonly retryAfterSeconds: number | null
}

export interface RetrySchedule {
  /** Seconds to wait before each attempt; there are as many attempts as entries. Never falling. */
  readonly delays: ReadonlyArray<number>
  /** Added to a delay at most, as a share of it, so that what failed together does not return together. */
  readonly jitter: number
  /** Whoever is overloaded (429, or no answer in time) is left alone for at least so many seconds. */
  readonly overloadedSeconds: number
}

const minute = 60
const hour = 60 * minute

/** Twelve attempts over about 76 hours: a receiver that breaks on Friday evening is mended on Monday morning. */
export const standard: RetrySchedule = {
  delays: [
    0,
    5,
    30,
    2 * minute,
    10 * minute,
    30 * minute,
    2 * hour,
    5 * hour,
    10 * hour,
    14 * hour,
    20 * hour,
    24 * hour
  ],
  jitter: 0.2,
  overloadedSeconds: minute
}

/** `made`: attempts of this schedule so far, this one included. `random`: from 0 inclusive to 1 exclusive. */
export const verdict = (schedule: RetrySchedule, made: number, answer: Answer, random: number): Verdict => {
  if (answer.outcome === "success") return { _tag: "Delivered" }
  const delay = schedule.delays[made]
  // 410: whoever says that it is gone for good is not asked again.
  if (delay === undefined || answer.status === 410) return { _tag: "Exhausted" }
  const overloaded = answer.status === 429 || answer.outcome === "timeout"
  const base = overloaded ? Math.max(delay, schedule.overloadedSeconds) : delay
  const wished = Math.max(base * (1 + schedule.jitter * random), answer.retryAfterSeconds ?? 0)
  return { _tag: "Retry", afterSeconds: Math.min(wished, 2 * base) }
}

/** An unbroken run of failures of one endpoint. */
export interface Streak {
  readonly failures: number
  /** From the first failure to the last. */
  readonly seconds: number
}

/** Every attempt has failed for five days, and there were enough of them to be sure of it. */
export const isDead = ({ failures, seconds }: Streak): boolean => failures >= 10 && seconds >= 5 * 24 * hour
