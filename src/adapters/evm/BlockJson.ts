/** Blocks and receipts as an EVM node writes them, and what must be true of them before any is believed. */
import { DateTime, Result, Schema } from "effect"
import { units } from "#domain/Amount.ts"
import type { Address, Chain } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"
import type { Block, Movement } from "#ports/ChainReader.ts"

const Hex = Schema.String.pipe(Schema.check(Schema.isPattern(/^0x[0-9a-fA-F]*$/)))
/** Heights and times: they fit into a number. Amounts do not, and are read as bigint. */
const Quantity = Schema.String.pipe(Schema.check(Schema.isPattern(/^0x[0-9a-fA-F]{1,13}$/)))

export const HeaderJson = Schema.Struct({ number: Quantity, hash: Hex, parentHash: Hex, timestamp: Quantity })

const TransactionJson = Schema.Struct({
  hash: Hex,
  from: Hex,
  /** Null for one that makes a contract. */
  to: Schema.optionalKey(Schema.NullOr(Hex)),
  value: Hex
})
const LogJson = Schema.Struct({
  address: Hex,
  topics: Schema.Array(Hex),
  data: Hex,
  blockHash: Hex,
  transactionHash: Hex,
  removed: Schema.optionalKey(Schema.Boolean)
})
export const ReceiptJson = Schema.Struct({
  transactionHash: Hex,
  blockHash: Hex,
  status: Schema.optionalKey(Schema.NullOr(Hex)),
  logsBloom: Schema.optionalKey(Schema.NullOr(Hex)),
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
  const fault = receipts.map((receipt) => faultOf(receipt, header.hash)).find((fault) => fault !== null)
  if (fault !== undefined && fault !== null) return Result.fail(fault)
  if (receipts.length !== block.transactions.length) {
    return Result.fail(`${receipts.length} receipts for ${block.transactions.length} transactions`)
  }
  const byHash = new Map(receipts.map((receipt) => [receipt.transactionHash.toLowerCase(), receipt]))
  if (byHash.size !== receipts.length) return Result.fail("two receipts of the same transaction")
  const coin = tokens.find(({ contract }) => contract === null)
  const contracts = new Map(tokens.map((token) => [token.contract, token]))
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

const faultOf = ({ blockHash, logs, logsBloom, transactionHash }: ReceiptJson, block: string): string | null => {
  const strange = (other: string) => other.toLowerCase() !== block
  if (strange(blockHash)) return `the receipt of ${transactionHash} is of another block`
  if (logs.some((log) => strange(log.blockHash) || log.transactionHash !== transactionHash || log.removed)) {
    return `a log of ${transactionHash} is of another block or transaction`
  }
  // Bits in the bloom come from logs. The other way round is not certain: some chains leave their system's logs out.
  return logs.length === 0 && logsBloom && !/^0x0*$/.test(logsBloom)
    ? `the logs of ${transactionHash} are missing`
    : null
}

const lower = (hex: string) => hex.toLowerCase() as Address
/** The last 20 bytes of a topic. */
const addressIn = (topic: string) => lower(`0x${topic.slice(-40)}`)
