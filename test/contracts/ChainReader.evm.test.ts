import { Effect, Layer } from "effect"
import type { Hex } from "viem"
import * as EvmReader from "#adapters/evm/ChainReader.ts"
import { failingContract, furnished, payment } from "../support/anvil.ts"
import { chainReaderContract, Told } from "./ChainReader.contract.ts"

chainReaderContract(
  "evm",
  Layer.effect(
    Told,
    Effect.gen(function*() {
      const { client, contracts, url } = yield* furnished
      const [account] = yield* Effect.promise(() => client.getAddresses())
      if (account === undefined) return yield* Effect.die("the node has no account")
      yield* Effect.promise(() => client.setAutomine(false))
      yield* Effect.promise(() => client.setCode(failingContract))
      const mine = Effect.promise(() => client.mine({ blocks: 1 }))
      return {
        reader: EvmReader.make({ chain: "dev", url }),
        pay: (what, to, succeeds = true) =>
          Effect.promise(() =>
            client.sendTransaction({
              account,
              gas: 500_000n,
              ...payment(what === "coin" ? null : contracts.usdc as Hex, to as ReadonlyArray<Hex>, succeeds)
            })
          ),
        mine,
        reorg: Effect.promise(() => client.request({ method: "anvil_reorg" as never, params: [1, []] as never })).pipe(
          Effect.andThen(mine)
        )
      }
    })
  )
)
