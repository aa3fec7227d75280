/** The bounds of what a merchant may accept unasked. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { defaultPolicy, Policy } from "#domain/Policy.ts"

const stored = Schema.encodeSync(Policy)(defaultPolicy)
const accepts = (overrides: Readonly<Record<string, unknown>>) => {
  const asked: unknown = { ...stored, ...overrides }
  return Result.isSuccess(Schema.decodeUnknownResult(Policy)(asked))
}

describe("a policy", () => {
  it("of ours is one", () => assert.isTrue(accepts({})))

  it.each(["toleranceBasisPoints", "excessBasisPoints", "maxRateMoveBasisPoints"])(
    "50: keeps %s between nothing and all",
    (field) =>
      assert.deepStrictEqual(
        [-1, 0, 10_000, 10_001, 0.5, Number.NaN, "50"].map((share) => accepts({ [field]: share })),
        [false, true, true, false, false, false, false]
      )
  )

  it.each(["graceSeconds", "lateWithinSeconds", "extendSeconds", "stuckSeconds"])(
    "50: keeps %s between nothing and thirty days",
    (field) =>
      assert.deepStrictEqual(
        [-1, 0, 2_592_000, 2_592_001, Number.POSITIVE_INFINITY].map((seconds) => accepts({ [field]: seconds })),
        [false, true, true, false, false]
      )
  )

  it("50: tolerates no negative amount", () =>
    assert.deepStrictEqual(["-1", "0", "5"].map((toleranceMinor) => accepts({ toleranceMinor })), [false, true, true]))
})
