/** What the scanner has read of the chains: a hash-linked window of blocks, and the transfers that concern us. */
import { Context, type DateTime, type Effect, Schema } from "effect"
import type { Address, Chain, ChainId } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"
import type { Block } from "./ChainReader.ts"
import type { StoreUnavailable } from "./EventStore.ts"

/** The last block that was read. */
export interface Cursor extends Header {
  /** Never rises above what was read, and never falls. */
  readonly finalized: number
  /** Hash of the chain's block 0, by which it is known again. */
  readonly genesis: string
  /** Why reading stopped; null while it goes on. */
  readonly halted: string | null
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

/** Another scanner of this chain got there first, or it was halted: nothing was written. Read the cursor again. */
export class CursorMoved extends Schema.TaggedError<CursorMoved>()("CursorMoved", { chain: Schema.String }) {}

/** Depths at which a transfer is reported as this sure. `final` goes by the finalized height. */
export type Depths = Chain["confirmations"]

/**
 * Every change is one transaction, guarded by the cursor (compare and set), and publishes its observations with it.
 * Watched is every address in the address book whose invoice is of the chain's mode.
 * What every implementation owes is in `test/contracts/ChainLedger.contract.ts`.
 */
export class ChainLedger extends Context.Service<ChainLedger, {
  readonly cursor: (chain: ChainId) => Effect.Effect<Cursor | null, StoreUnavailable>
  /** Our own canonical block at a height; null outside the window. */
  readonly headerAt: (chain: ChainId, number: number) => Effect.Effect<Header | null, StoreUnavailable>
  /** The block after which reading begins, on a chain we never read: what it holds, or what lies before, is not ours. */
  readonly begin: (
    chain: ChainId,
    start: { readonly header: Header; readonly genesis: string; readonly finalized: number }
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /**
   * Appends blocks that follow the cursor and each other: remembers who received what in them, records and publishes
   * transfers to watched addresses, confirms those that are now deep enough (telling the surest level only), and
   * forgets what is both final and `window` blocks deep.
   */
  readonly commit: (
    chain: ChainId,
    blocks: ReadonlyArray<Block>,
    rules: { readonly depths: Depths; readonly finalized: number; readonly window: number }
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /**
   * Orphans every block above `to`, and the transfers in them. `from` is the cursor's hash as the caller knows it.
   * `to` is ours, or a block from before the beginning: then reading begins there anew. What is final stays, even where
   * the caller does not know yet that it is.
   */
  readonly rollBack: (
    chain: ChainId,
    from: string,
    to: Header
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /** Publishes where the cursor stands. */
  readonly announce: (chain: ChainId) => Effect.Effect<void, StoreUnavailable>
  /**
   * The node was asked and had no block after `at`, the cursor's hash. What is final may have risen; what was found late
   * is confirmed, too.
   */
  readonly checked: (
    chain: ChainId,
    at: string,
    rules: { readonly depths: Depths; readonly finalized: number }
  ) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /** Stops the reading of a chain at the cursor's hash `at`, and publishes why. */
  readonly halt: (chain: ChainId, at: string, reason: string) => Effect.Effect<void, StoreUnavailable | CursorMoved>
  /** An operator says that the reason is gone. */
  readonly resume: (chain: ChainId) => Effect.Effect<void, StoreUnavailable>
  /**
   * Looks addresses up in the blocks of the window, for those that were given out after their block had been read.
   * Waits for a commit under way, so that between the two no transfer falls through. Repeated, it changes nothing.
   */
  readonly backfill: (addresses: ReadonlyArray<Address>) => Effect.Effect<void, StoreUnavailable>
  readonly heights: Effect.Effect<ReadonlyArray<Height>, StoreUnavailable>
}>()("checkout/ports/ChainLedger") {}
