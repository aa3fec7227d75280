/** The embedded development chain: kept, taken over, furnished, stopped. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { erc20Abi, type Hex } from "viem"
import { chains } from "#domain/Chain.ts"
import * as Anvil from "#adapters/embedded/Anvil.ts"
import { clientOf, furnished, temporaryFolder } from "../support/anvil.ts"

const isRunning = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("the embedded development chain", () => {
  it.live("goes on with the same blocks after a restart", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const before = yield* Effect.scoped(Effect.gen(function*() {
        const { pid, url } = yield* Anvil.start({ folder })
        yield* Anvil.deployDevContracts(url)
        const client = clientOf(url)
        yield* Effect.promise(() => client.mine({ blocks: 3 }))
        return { pid, block: yield* Effect.promise(() => client.getBlock()) }
      }))
      assert.isFalse(isRunning(before.pid))
      const { url } = yield* Anvil.start({ folder })
      const client = clientOf(url)
      const after = yield* Effect.promise(() => client.getBlock({ blockNumber: before.block.number }))
      assert.strictEqual(after.hash, before.block.hash)
      const genesis = yield* Effect.promise(() => client.getBlock({ blockNumber: 0n }))
      const first = yield* Effect.promise(() => client.getBlock({ blockNumber: 1n }))
      assert.strictEqual(first.parentHash, genesis.hash)
    }))

  it.live("takes over a node that outlived its process", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const killed = yield* Scope.make()
      const first = yield* Effect.provideService(Anvil.start({ folder }), Scope.Scope, killed)
      const second = yield* Effect.scoped(Anvil.start({ folder }))
      assert.deepStrictEqual(second, first)
      assert.isFalse(isRunning(first.pid))
      yield* Scope.close(killed, Exit.void)
    }))

  it.live("starts anew beside the note of a node that is gone", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const gone = { url: "http://127.0.0.1:1", port: 1, pid: process.pid }
      fs.writeFileSync(path.join(folder, "anvil.json"), JSON.stringify(gone))
      const { port } = yield* Anvil.start({ folder })
      assert.notStrictEqual(port, 1)
      assert.isTrue(isRunning(process.pid))
    }))

  it.live("has the tokens and price feeds where the registry says, however often they are deployed", () =>
    Effect.gen(function*() {
      const { client, contracts, url } = yield* furnished
      assert.deepStrictEqual(yield* Anvil.deployDevContracts(url), contracts)
      for (const { asset, contract, decimals } of chains.dev.tokens) {
        if (contract === null) continue
        assert.strictEqual(contract, contracts[asset as "usdc" | "dai"])
        const read = { address: contract as Hex, abi: erc20Abi, functionName: "decimals" } as const
        assert.strictEqual(yield* Effect.promise(() => client.readContract(read)), decimals)
      }
      assert.strictEqual(yield* Effect.promise(() => client.getTransactionCount({ address: owner })), 4)
    }))

  it.live("says why it could not start", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      fs.writeFileSync(path.join(folder, "state.json"), "not a state")
      const failure = yield* Effect.flip(Anvil.start({ folder }))
      assert.strictEqual(failure.doing, "start")
      assert.include(failure.reason, "state")
    }))
})

const owner = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
