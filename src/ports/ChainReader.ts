/** A chain as its node tells it. Everything a node says is untrusted until it has been checked against the rest. */
import { Context, type Effect, Schema } from "effect"
import type { BaseUnits } from "#domain/Amount.ts"
import type { Address, AssetId, ChainId } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"

/** Money that moved in a block, of an asset on our list; whose it is, the reader does not know. */
export interface Movement {
  readonly transaction: string
  /** Index of the log inside its transaction; −1 for the coin itself. */
  readonly position: number
  readonly asset: AssetId
  readonly decimals: number
  readonly from: Address
  readonly to: Address
  readonly amount: BaseUnits
}

export interface Block extends Header {
  readonly movements: ReadonlyArray<Movement>
}

/** The node is away, slow, overloaded or does not know the block (yet, or any more). Trying again may help. */
export class ChainUnreachable extends Schema.TaggedError<ChainUnreachable>()("ChainUnreachable", {
  chain: Schema.String,
  reason: Schema.String
}) {}

/** The node contradicts itself: receipts that do not match the block, a hash that is another's, missing logs. */
export class ChainInconsistent extends Schema.TaggedError<ChainInconsistent>()("ChainInconsistent", {
  chain: Schema.String,
  reason: Schema.String
}) {}

/** The node serves another chain than it was hired for. Nothing of it may be believed. */
export class WrongChain extends Schema.TaggedError<WrongChain>()("WrongChain", {
  chain: Schema.String,
  expected: Schema.Int,
  actual: Schema.Int
}) {}

export type ReadError = ChainUnreachable | ChainInconsistent

/** What every implementation owes is in `test/contracts/ChainReader.contract.ts`. */
export interface ChainReaderShape {
  readonly chain: ChainId
  /** Fails unless the node is on the right chain. Called at the start, after an outage, and before anything is undone. */
  readonly verify: Effect.Effect<void, WrongChain | ReadError>
  readonly head: Effect.Effect<Header, ReadError>
  /** The header the node has at this height now; null above its head. */
  readonly headerAt: (number: number) => Effect.Effect<Header | null, ReadError>
  /** The whole block of exactly this hash, complete and consistent, or a failure. */
  readonly block: (hash: string) => Effect.Effect<Block, ReadError>
  /** The newest block the node calls final. Null where it has no such notion. */
  readonly finalized: Effect.Effect<Header | null, ReadError>
}

/** The readers of all configured chains. */
export class ChainReaders extends Context.Service<ChainReaders, ReadonlyMap<ChainId, ChainReaderShape>>()(
  "checkout/ports/ChainReaders"
) {}
