import { Layer } from "effect"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import { eventStoreContract } from "./EventStore.contract.ts"

eventStoreContract("memory", Layer.merge(MemoryEventStore.layer, MemoryViews.layer))
