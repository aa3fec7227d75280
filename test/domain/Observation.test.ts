import { assert, describe, it } from "@effect/vitest"
import { keyOf, Observation, transferIdOf } from "#domain/Observation.ts"
import { address, at, hash, sighting } from "../support/examples.ts"

const { ChainReorged, TransferOrphaned, TransferSeen } = Observation.cases
const { detectedAt: _, market: __, ...seen } = sighting()

describe("an observation", () => {
  it("of a transfer keeps its place among those of the same address", () => {
    const to = address("aa")
    const orphaned = TransferOrphaned.make({
      chain: "base",
      transferId: seen.transferId,
      to,
      blockHash: hash("b0"),
      wasConfirmed: false,
      at: at("10:06")
    })
    assert.strictEqual(keyOf(TransferSeen.make({ ...seen, to })), `base:${to}`)
    assert.strictEqual(keyOf(orphaned), `base:${to}`)
  })

  it("of a chain keeps its place among those of the chain", () =>
    assert.strictEqual(
      keyOf(ChainReorged.make({ chain: "base", depth: 1, fromHash: hash("b0"), toHash: hash("b1"), at: at("10:06") })),
      "base"
    ))

  it("decision 13: tells two transfers of one transaction apart, and those of other chains", () =>
    assert.deepStrictEqual(
      [transferIdOf("base", "0xa1", 0), transferIdOf("base", "0xa1", -1), transferIdOf("polygon", "0xa1", 0)],
      ["base:0xa1:0", "base:0xa1:-1", "polygon:0xa1:0"]
    ))
})
