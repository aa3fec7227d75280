import { assert, describe, it } from "@effect/vitest"
import { afterFailure, closed, permits } from "#domain/Circuit.ts"

const start = 1_000_000
/** After so many failures, each at the moment when it was next allowed to try. */
const failed = (times: number) => {
  let now = start
  let circuit = closed
  for (let i = 0; i < times; i++) {
    circuit = afterFailure(circuit, now)
    if (i < times - 1) now = Math.max(now, circuit.openUntil)
  }
  return { circuit, now, pause: circuit.openUntil - now }
}

describe("a circuit", () => {
  it("bears two failures in a row", () => assert.strictEqual(permits(failed(2).circuit, start, 10), 10))

  it("opens at the third, for half a minute, and then lets a single probe through", () => {
    const { circuit, pause } = failed(3)
    assert.strictEqual(pause, 30_000)
    assert.deepStrictEqual(
      [0, 29_999, 30_000].map((later) => permits(circuit, start + later, 10)),
      [0, 0, 1]
    )
  })

  it("stays open twice as long after each probe that fails, up to five minutes", () =>
    assert.deepStrictEqual([3, 4, 5, 6, 7, 8, 60].map((times) => failed(times).pause / 1000), [
      30,
      60,
      120,
      240,
      300,
      300,
      300
    ]))

  it("is not opened further by what was under way when it opened", () => {
    const { circuit, now } = failed(3)
    assert.deepStrictEqual(afterFailure(circuit, now + 1), circuit)
  })
})
