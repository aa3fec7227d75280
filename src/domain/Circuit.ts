/** A host that does not answer is left alone for a while, and then asked by a single delivery: one probe, not N timeouts. */

export interface Circuit {
  /** Failures since it last answered. */
  readonly failures: number
  /** Milliseconds of the caller's clock; until then nothing is sent. */
  readonly openUntil: number
}

export const closed: Circuit = { failures: 0, openUntil: 0 }

/** Failures in a row after which it opens. */
const tolerated = 3
const shortestMs = 30_000
const longestMs = 300_000

/** Each probe that fails doubles the pause. Failures of sends that were under way when it opened change nothing. */
export const afterFailure = (circuit: Circuit, now: number): Circuit => {
  if (circuit.openUntil > now) return circuit
  const failures = circuit.failures + 1
  const pause = failures < tolerated ? 0 : Math.min(shortestMs * 2 ** (failures - tolerated), longestMs)
  return { failures, openUntil: now + pause }
}

/** How many sends may be in flight: none while it is open, one to probe, and then as many as `usual`. */
export const permits = ({ failures, openUntil }: Circuit, now: number, usual: number): number =>
  openUntil > now ? 0 : failures >= tolerated ? 1 : usual
