/** The chain that the scanner's random histories are played on reads like a real one. */
import { Effect, Layer } from "effect"
import * as SimulatedChain from "../support/SimulatedChain.ts"
import { chainReaderContract, Told } from "./ChainReader.contract.ts"

chainReaderContract(
  "simulated",
  Layer.suspend(() => {
    const sim = SimulatedChain.make()
    return Layer.succeed(Told, {
      reader: sim.reader,
      pay: (what, to, succeeds = true) => Effect.sync(() => sim.submit(to, what, succeeds)),
      mine: Effect.sync(sim.mine),
      reorg: Effect.sync(() => sim.reorg(1, 2, ["dropped"], false))
    })
  })
)
