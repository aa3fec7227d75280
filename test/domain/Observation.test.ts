import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { ChainId, chains } from "#domain/Chain.ts"
import { paymentIdOf, transferIdOf } from "#domain/Observation.ts"

const transfer = fc.record({
  chain: fc.constantFrom(...ChainId.literals),
  transaction: fc.stringMatching(/^0x[0-9a-f]{64}$/),
  position: fc.integer({ min: -1, max: 2000 })
})

describe("a payment's id", () => {
  it("is the same for the same transfer, and another for every other one of its transaction", () =>
    fc.assert(fc.property(transfer, fc.integer({ min: -1, max: 2000 }), ({ chain, position, transaction }, other) => {
      const id = paymentIdOf(transferIdOf(chain, transaction, position))
      assert.match(id, /^pay_[0-7][0-9a-hjkmnp-tv-z]{25}$/)
      assert.strictEqual(id === paymentIdOf(transferIdOf(chain, transaction, other)), position === other)
    })))

  it("differs between chains that carry the same transaction", () => {
    const ids = ChainId.literals.map((chain) => paymentIdOf(transferIdOf(chain, `0x${"a1".repeat(32)}`, 0)))
    assert.strictEqual(new Set(ids).size, Object.keys(chains).length)
  })
})
