/** What the scanner says of a chain. Messages on `integrations`; consumers act once per (transfer, kind, block hash). */
import { Schema } from "effect"
import { BaseUnits } from "./Amount.ts"
import { Address, AssetId, type Chain, ChainId, chains, Level } from "./Chain.ts"
import * as Id from "./Id.ts"
import { Block } from "./Invoice.ts"
import { Instant } from "./Money.ts"

/** `chain:transaction:position`: the position is the log's inside its transaction, −1 for the coin itself. */
export const transferIdOf = (chain: ChainId, transaction: string, position: number) =>
  `${chain}:${transaction}:${position}`

/**
 * The id under which merchants know the payment that a transfer is: the same for ever, and in every process. Of 128
 * bits, 96 are the transaction's; a hash is random enough that the chain and the position fit beside them.
 */
export const paymentIdOf = (transferId: string): string => {
  const [chain = "", transaction = "", position = "0"] = transferId.split(":")
  const known = chains[chain as ChainId] as Chain | undefined
  const hex = (value: number) => (value & 0xffff).toString(16).padStart(4, "0")
  return Id.fromUuid(
    "pay",
    transaction.slice(2, 26).padStart(24, "0") + hex(known?.chainId ?? 0) + hex(Number(position) + 1)
  )
}

export const Observation = Schema.TaggedUnion({
  TransferSeen: {
    chain: ChainId,
    transferId: Schema.String,
    asset: AssetId,
    decimals: Schema.Int,
    to: Address,
    from: Address,
    amount: BaseUnits,
    transaction: Schema.String,
    block: Block
  },
  TransferConfirmed: {
    chain: ChainId,
    transferId: Schema.String,
    to: Address,
    level: Level,
    blockHash: Schema.String,
    at: Instant
  },
  TransferOrphaned: {
    chain: ChainId,
    transferId: Schema.String,
    to: Address,
    blockHash: Schema.String,
    wasConfirmed: Schema.Boolean,
    at: Instant
  },
  /** At most one a second and chain: what "3 of 12" on the page is counted from. */
  HeadAdvanced: { chain: ChainId, number: Schema.Int, time: Instant, finalized: Schema.Int },
  ChainReorged: { chain: ChainId, depth: Schema.Int, fromHash: Schema.String, toHash: Schema.String, at: Instant },
  ScannerHalted: { chain: ChainId, reason: Schema.String, at: Instant }
})
export type Observation = typeof Observation.Type

/** Messages about one address keep their order; those about a whole chain go by the chain. */
export const keyOf = (observation: Observation): string =>
  "to" in observation ? `${observation.chain}:${observation.to}` : observation.chain
