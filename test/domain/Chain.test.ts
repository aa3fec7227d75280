/** The registry of chains is consistent, and levels are ordered. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { Address, atLeast, ChainId, chains, depthOf, Level, tokenOf } from "#domain/Chain.ts"

const all = Object.values(chains)

describe("the registry of chains", () => {
  it.each(all)("$id: asks for more blocks the surer it wants to be, and keeps more than it may lose", (chain) => {
    const { small, default: usual } = chain.confirmations
    assert.isTrue(1 <= small && small <= usual && usual <= chain.finalDepth && chain.finalDepth < chain.window)
  })

  it.each(all)("$id: has one coin of its own, and each asset and contract once", ({ tokens }) => {
    assert.strictEqual(tokens.filter(({ contract }) => contract === null).length, 1)
    assert.strictEqual(new Set(tokens.map(({ asset }) => asset)).size, tokens.length)
    assert.strictEqual(new Set(tokens.map(({ contract }) => contract)).size, tokens.length)
  })

  it.each(all)("$id: has contracts whose addresses are compared as lower-case text", ({ tokens }) => {
    for (const { contract } of tokens) {
      assert.isTrue(contract === null || Result.isSuccess(Schema.decodeResult(Address)(contract)))
    }
  })

  it("names each chain by its own id and number", () => {
    assert.deepStrictEqual(Object.keys(chains), [...ChainId.literals])
    for (const id of ChainId.literals) assert.strictEqual(chains[id].id, id)
    assert.strictEqual(new Set(all.map(({ chainId }) => chainId)).size, all.length)
  })

  it("1: knows a token by chain and contract, so that the same asset has other decimals elsewhere", () => {
    assert.strictEqual(tokenOf({ chain: "base", asset: "usdc" })?.decimals, 6)
    assert.strictEqual(tokenOf({ chain: "bnb", asset: "usdc" })?.decimals, 18)
    assert.isUndefined(tokenOf({ chain: "base", asset: "usdt" }))
  })
})

describe("a level", () => {
  it("decision 23: is reached by itself and by those above it", () =>
    assert.deepStrictEqual(
      Level.literals.map((required) => Level.literals.filter((reached) => atLeast(reached, required))),
      [["small", "default", "final"], ["default", "final"], ["final"]]
    ))

  it("decision 23: is a number of blocks on each chain", () =>
    assert.deepStrictEqual(Level.literals.map((level) => depthOf("ethereum", level)), [2, 12, 96]))
})
