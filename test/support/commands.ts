/** The command side on memory: streams, receipts, strong read models, and deposit addresses of real wallets. */
import { Layer } from "effect"
import * as Derivation from "#adapters/evm/Derivation.ts"
import * as MemoryAddressPool from "#adapters/memory/AddressPool.ts"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { addressBook, apiKeys, endpoints, merchants, wallets } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"

export const strongProjections = Layer.succeed(
  StrongProjections,
  [merchants, wallets, apiKeys, endpoints, addressBook, invoiceDetails]
)

/** Anew each time it is built. */
export const memoryCommands = Dispatch.layer.pipe(
  Layer.provide(strongProjections),
  Layer.provideMerge(MemoryAddressPool.layer),
  Layer.provideMerge(Layer.mergeAll(MemoryEventStore.layer, MemoryViews.layer, Derivation.layer))
)
