/** Blocks and receipts as an EVM node writes them, and what must be true of them before any is believed. */
import { DateTime, Result, Schema } from "effect"
import { units } from "#domain/Amount.ts"
import type { Address, Chain } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"
import type { Block, Movement } from "#ports/ChainReader.ts"
import { bloomOf, within } from "./Bloom.ts"

/** Hex of so many digits. What is longer than its kind is refused here, and not by whoever has to store it. */
const hex = (digits: string) =>
  Schema.String.pipe(Schema.check(Schema.isPattern(new RegExp(`^0x[0-9a-fA-F]{${digits}}$`))))
/** A height, an id, a time: it fits into a number. Amounts do not, and are read as bigint. */
export const Quantity = hex("1,13")
/** Below 2³¹, as the ledger counts blocks. */
const Height = Schema.String.pipe(Schema.check(Schema.isPattern(/^0x([0-9a-fA-F]{1,7}|[0-7][0-9a-fA-F]{7})$/)))
/** In seconds; ten digits are enough for 30,000 years. */
const Time = hex("1,10")
const Word = hex("64")
const Account = hex("40")

export const HeaderJson = Schema.Struct({ number: Height, hash: Word, parentHash: Word, timestamp: Time })

const TransactionJson = Schema.Struct({
  hash: Word,
  from: Account,
  /** Null for one that makes a contract. */
  to: Schema.optionalKey(Schema.NullOr(Account)),
  value: hex("1,64")
})
const LogJson = Schema.Struct({
  address: Account,
  topics: Schema.Array(Word),
  data: hex("0,"),
  blockHash: Word,
  transactionHash: Word,
  removed: Schema.optionalKey(Schema.Boolean)
})
export const ReceiptJson = Schema.Struct({
  transactionHash: Word,
  blockHash: Word,
  status: Schema.optionalKey(Schema.NullOr(hex("1,64"))),
  logsBloom: Schema.optionalKey(Schema.NullOr(hex("1,512"))),
  logs: Schema.Array(LogJson)
})
export type ReceiptJson = typeof ReceiptJson.Type
export const BlockJson = Schema.Struct({ ...HeaderJson.fields, transactions: Schema.Array(TransactionJson) })
export type BlockJson = typeof BlockJson.Type

export const headerOf = ({ hash, number, parentHash, timestamp }: typeof HeaderJson.Type): Header => ({
  number: Number(number),
  hash: hash.toLowerCase(),
  parentHash: parentHash.toLowerCase(),
  time: DateTime.makeUnsafe(Number(timestamp) * 1000)
})

/** keccak256 of Transfer(address,address,uint256). ERC-721 has the same one, with a fourth topic. */
const transferTopic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

/**
 * The block with what moved in it, or in what it contradicts itself. Receipts can come from another node of the same
 * provider, of which any may lag, so every one of them has to name this block.
 */
export const readable = (
  { tokens }: Pick<Chain, "tokens">,
  block: BlockJson,
  receipts: ReadonlyArray<ReceiptJson>
): Result.Result<Block, string> => {
  const header = headerOf(block)
  const coin = tokens.find(({ contract }) => contract === null)
  const contracts = new Map(tokens.flatMap((token) => token.contract === null ? [] : [[token.contract, token]]))
  for (const receipt of receipts) {
    const fault = strangerIn(receipt, header.hash) ?? bloomFault(receipt, contracts)
    if (fault !== null) return Result.fail(fault)
  }
  if (receipts.length !== block.transactions.length) {
    return Result.fail(`${receipts.length} receipts for ${block.transactions.length} transactions`)
  }
  const byHash = new Map(receipts.map((receipt) => [receipt.transactionHash.toLowerCase(), receipt]))
  if (byHash.size !== receipts.length) return Result.fail("two receipts of the same transaction")
  const movements: Array<Movement> = []
  for (const { from, hash, to, value } of block.transactions) {
    const transaction = hash.toLowerCase()
    const receipt = byHash.get(transaction)
    if (receipt === undefined) return Result.fail(`no receipt for ${transaction}`)
    const amount = units(BigInt(value))
    if (coin !== undefined && amount > 0n && to && receipt.status === "0x1") {
      const { asset, decimals } = coin
      movements.push({ transaction, position: -1, asset, decimals, from: lower(from), to: lower(to), amount })
    }
    receipt.logs.forEach(({ address, data, topics }, position) => {
      const token = contracts.get(lower(address))
      const [topic, sender, recipient] = topics
      if (token === undefined || topics.length !== 3 || data.length !== 66 || !sender || !recipient) return
      if (topic?.toLowerCase() !== transferTopic || BigInt(data) === 0n) return
      movements.push({
        transaction,
        position,
        asset: token.asset,
        decimals: token.decimals,
        from: addressIn(sender),
        to: addressIn(recipient),
        amount: units(BigInt(data))
      })
    })
  }
  return Result.succeed({ ...header, movements })
}

/** A receipt or log that names another block or transaction than it came with. */
const strangerIn = ({ blockHash, logs, transactionHash }: ReceiptJson, block: string): string | null => {
  const strange = (other: string) => other.toLowerCase() !== block
  if (strange(blockHash)) return `the receipt of ${transactionHash} is of another block`
  return logs.some((log) => strange(log.blockHash) || log.transactionHash !== transactionHash || log.removed)
    ? `a log of ${transactionHash} is of another block or transaction`
    : null
}

/**
 * Where the receipt's filter speaks of a token of ours, each of its bits has to come from a log, and each log of such a
 * token has to be in it. Not so the logs of others: some chains leave their system's out. No filter is no word at all.
 */
const bloomFault = ({ logs, logsBloom, transactionHash }: ReceiptJson, ours: ReadonlyMap<Address, unknown>) => {
  const bloom = BigInt(logsBloom ?? 0)
  if (bloom === 0n) return null
  const about = [...ours.keys()].some((contract) => within(transferOf(contract), bloom))
  if ((about || logs.length === 0) && !within(bloom, bloomOf(logs))) return `the logs of ${transactionHash} are missing`
  return logs.some((log) => ours.has(lower(log.address)) && !within(bloomOf([log]), bloom))
    ? `a log of ${transactionHash} is not in its bloom`
    : null
}
const transferOf = (contract: Address) => bloomOf([{ address: contract, topics: [transferTopic] }])

const lower = (hex: string) => hex.toLowerCase() as Address
/** The last 20 bytes of a topic. */
const addressIn = (topic: string) => lower(`0x${topic.slice(-40)}`)
