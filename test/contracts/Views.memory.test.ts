import { Layer } from "effect"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import { viewsContract } from "./Views.contract.ts"

viewsContract("memory", Layer.merge(MemoryEventStore.layer, MemoryViews.layer))
