import { Effect, Layer } from "effect"
import * as MemoryBus from "#adapters/memory/Bus.ts"
import { busContract, Writing } from "./Bus.contract.ts"

const writing = Layer.effect(Writing, Effect.map(MemoryBus.Publish, (publish) => ({ publish })))

busContract("memory", Layer.provideMerge(writing, MemoryBus.layer))
