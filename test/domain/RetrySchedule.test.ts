import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Answer, isDead, standard, verdict } from "#domain/RetrySchedule.ts"

const failed: Answer = { outcome: "http_error", status: 500, retryAfterSeconds: null }
const attempts = standard.delays.length
const day = 86_400

/** Seconds to the next attempt after so many; null when there is none. */
const wait = (made: number, answer: Partial<Answer> = {}, random = 0) => {
  const follows = verdict(standard, made, { ...failed, ...answer }, random)
  return follows._tag === "Retry" ? follows.afterSeconds : null
}

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const made = fc.integer({ min: 1, max: attempts - 1 })
const retryAfter = fc.option(fc.integer({ min: 0, max: 10_000_000 }))
const outcome = fc.constantFrom("http_error", "timeout", "dns", "tls", "connection", "blocked", "too_large")

describe("a delivery that failed", () => {
  it("is tried twelve times over some 76 hours", () => {
    const waits = Array.from({ length: attempts - 1 }, (_, i) => wait(i + 1) ?? 0)
    assert.deepStrictEqual(waits, [5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400])
    assert.strictEqual(Math.round(waits.reduce((a, b) => a + b, 0) / 3600), 76)
    assert.isNull(wait(attempts))
  })

  it("never waits less than it did before, whatever chance adds", () =>
    fc.assert(fc.property(made, random, random, (made, one, other) => {
      const next = wait(made + 1, {}, other)
      assert.isTrue(next === null || next >= (wait(made, {}, one) ?? 0))
    })))

  it("waits at least its delay and at most twice that, whatever the receiver says", () =>
    fc.assert(fc.property(made, random, retryAfter, outcome, (made, random, retryAfterSeconds, outcome) => {
      const base = Math.max(standard.delays[made] ?? 0, outcome === "timeout" ? 60 : 0)
      const seconds = wait(made, { outcome, retryAfterSeconds }, random) ?? -1
      assert.isTrue(seconds >= base && seconds <= 2 * base)
    })))

  it("takes the receiver's own word within those bounds", () => {
    assert.strictEqual(wait(4, { status: 503, retryAfterSeconds: 900 }), 900)
    assert.strictEqual(wait(4, { status: 503, retryAfterSeconds: 1 }), 600)
    assert.strictEqual(wait(4, { status: 503, retryAfterSeconds: day }), 1200)
  })

  it("leaves whoever is overloaded alone for a minute", () => {
    assert.strictEqual(wait(1, { status: 429 }), 60)
    assert.strictEqual(wait(1, { outcome: "timeout", status: null }), 60)
    assert.strictEqual(wait(1), 5)
  })

  it("is not tried again where the receiver is gone for good", () => assert.isNull(wait(1, { status: 410 })))
})

describe("an endpoint", () => {
  it("107: is given up when all has failed for five days, and often enough", () => {
    assert.isTrue(isDead({ failures: 10, seconds: 5 * day }))
    assert.isFalse(isDead({ failures: 9, seconds: 50 * day }))
    assert.isFalse(isDead({ failures: 1000, seconds: 5 * day - 1 }))
  })
})
