/** What the scanner has read of the chains: a hash-linked window of blocks, and the transfers that concern us. */
import { Context, type DateTime, type Effect, Schema } from "effect"
import type { Address, ChainId, Level } from "#domain/Chain.ts"
import type { StoreUnavailable } from "./EventStore.ts"
import type { Block, Header } from "./ChainReader.ts"

export interface Cursor extends Header {
  readonly finalized: number
}

/** How far a chain has been read, for all who ask: the page's confirmations, the expiry of invoices, `ready`. */
export interface Height {
  readonly chain: ChainId
  readonly number: number
  readonly time: DateTime.Utc
  readonly finalized: number
  /** When the cursor last moved, or the node last agreed that it need not. */
  readonly checkedAt: DateTime.Utc
  readonly halted: string | null
}

/** Another scanner of this chain got there first: nothing was written. Read the cursor again. */
export class CursorMoved extends Schema.TaggedError<CursorMoved>()("CursorMoved", { chain: Schema.String }) {}

/** Depths below which a transfer is reported as this sure. `final` goes by the finalized height. */
export type Depths = Readonly<Record<Exclude<Level, "final">, number>>

/**
 * Every change is one transaction, guarded by the cursor (compare and set), and publishes its observations with it.
 * What every implementation owes is in `test/contracts/ChainLedger.contract.ts`.
 */
export class ChainLedger extends Context.Service<ChainLedger, {
  readonly cursor: (chain: ChainId) => Effect.Effect<Cursor | null, StoreUnavailable>
  /** Our own canonical block at a height; null outside the window. */
  readonly headerAt: (chain: ChainId, number: number) => Effect.Effect<Header | null, StoreUnavailable>
  /** The first block of a chain we never read: nothing before it is ours. */
  readonly begin: (
    chain: ChainId,
    header: Header,
    finalized: number
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /**
   * Appends a block that follows the cursor: remembers who received what in it, records and publishes transfers to
   * watched addresses, confirms those that are now deep enough, and forgets what fell out of the window.
   */
  readonly commit: (
    chain: ChainId,
    block: Block,
    rules: { readonly depths: Depths; readonly finalized: number; readonly window: number }
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /** Orphans every block above `to`, and the transfers in them. `from` is the cursor's hash as the caller knows it. */
  readonly rollBack: (
    chain: ChainId,
    from: string,
    to: Header
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /** The finalized height rose although no block came. It never falls. */
  readonly finalize: (chain: ChainId, finalized: number, depths: Depths) => Effect.Effect<void, StoreUnavailable>
  /** The node was asked and had nothing new. */
  readonly checked: (chain: ChainId) => Effect.Effect<void, StoreUnavailable>
  readonly halt: (chain: ChainId, reason: string) => Effect.Effect<void, StoreUnavailable>
  /** An operator says that the reason is gone. */
  readonly resume: (chain: ChainId) => Effect.Effect<void, StoreUnavailable>
  /**
   * Looks an address up in the blocks of the window, for one that was given out after its block had been read.
   * Waits for a commit under way, so that between the two no transfer falls through.
   */
  readonly backfill: (address: Address) => Effect.Effect<void, StoreUnavailable>
  readonly heights: Effect.Effect<ReadonlyArray<Height>, StoreUnavailable>
}>()("checkout/ports/ChainLedger") {}
