/** A chain that forks, with nodes that lag, forget and lie on demand, and what is true of it. */
import { DateTime, Effect, Result } from "effect"
import { type Address, type ChainId, chains } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"
import { transferIdOf } from "#domain/Observation.ts"
import {
  ChainInconsistent,
  type ChainReaderShape,
  ChainUnreachable,
  type ReadError,
  WrongChain
} from "#ports/ChainReader.ts"
import { type BlockJson, readable, type ReceiptJson } from "#adapters/evm/BlockJson.ts"
import { bloomOf } from "#adapters/evm/Bloom.ts"

export const address = (n: number) => `0x${n.toString(16).padStart(40, "0")}` as Address

/** What becomes of each transaction of the blocks that a reorg removes, in turn. */
export type Fate = "kept" | "dropped" | "failing"

/** What a node does until it is told otherwise. */
export type Fault =
  | { readonly kind: "none" }
  | { readonly kind: "lags"; readonly by: number }
  /** Stands on a branch that the others have left. */
  | { readonly kind: "left_behind" }
  /** Behind its address there are three: one is in order, one lags, and one was left behind. They answer in turn. */
  | { readonly kind: "balanced" }
  /** Is of another chain, which has blocks of all our heights, with money for the first address in each. */
  | { readonly kind: "stranger"; readonly chainId: "same" | "other" }
  | { readonly kind: "errs" }
  /** Knows no block by its number or hash. */
  | { readonly kind: "forgets" }
  /** Leaves out the last receipt of a block. */
  | { readonly kind: "truncates" }
  /** Leaves out of each receipt the logs with the last one's payee. (One of two that are alike cannot be missed.) */
  | { readonly kind: "clamps" }
  /** Sends the receipts that the block's transactions have on another branch, where they are on one. */
  | { readonly kind: "mixes" }

interface Transaction {
  readonly hash: string
  readonly kind: "coin" | "token"
  readonly to: ReadonlyArray<Address>
  readonly amount: number
}
interface Included {
  readonly transaction: Transaction
  readonly succeeded: boolean
}
interface SimulatedBlock extends Header {
  readonly included: ReadonlyArray<Included>
}

export type SimulatedChain = ReturnType<typeof make>

/** `salt` makes the blocks of one chain others than those of another. */
export const make = (chain: ChainId = "dev", salt = 0) => {
  let serial = salt
  let finalized = 0
  let waiting: Array<Included> = []
  let branch: Array<SimulatedBlock> = [blockAfter(null, [], 0)]
  /** Branches that were left, newest last. */
  const left: Array<ReadonlyArray<SimulatedBlock>> = []

  /** A coin goes to the first of them only: that is all one transaction can do. */
  const submit = (to: ReadonlyArray<Address>, kind: "coin" | "token", succeeded: boolean) => {
    const amount = ++serial
    const transaction = { hash: `0xt${amount}`, kind, to: kind === "coin" ? to.slice(0, 1) : to, amount }
    waiting.push({ transaction, succeeded })
  }

  const mine = () => {
    branch = [...branch, blockAfter(branch.at(-1) ?? null, waiting, ++serial)]
    waiting = []
  }

  /** Removes the last `depth` blocks and builds `length` others, with what is left of the transactions in the first. */
  const reorg = (depth: number, length: number, fates: ReadonlyArray<Fate>, reversed: boolean) => {
    const kept = Math.max(finalized + 1, branch.length - depth)
    if (kept === branch.length) return
    left.push(branch)
    const removed = branch.slice(kept).flatMap(({ included }) => included)
    const again = removed.flatMap((one, i) => {
      const fate = fates[i % Math.max(1, fates.length)] ?? "kept"
      return fate === "dropped" ? [] : [{ ...one, succeeded: one.succeeded && fate === "kept" }]
    })
    branch = branch.slice(0, kept)
    waiting = [...(reversed ? again.toReversed() : again), ...waiting]
    for (let i = 0; i < length; i++) mine()
  }

  /** The branches that nothing final speaks against. */
  const alternatives = () => left.filter((old) => old[finalized]?.hash === branch[finalized]?.hash)

  /** Goes back to a branch that was left, block for block with the same hashes. */
  const comeBack = (n: number) => {
    const again = alternatives()
    const chosen = again[n % Math.max(1, again.length)]
    if (chosen === undefined) return
    left.push(branch)
    const there = new Set(chosen.flatMap(({ included }) => included.map(({ transaction }) => transaction.hash)))
    const stranded = branch.flatMap(({ included }) => included)
    branch = [...chosen]
    waiting = [...stranded, ...waiting].filter(({ transaction }) => !there.has(transaction.hash))
  }

  const finalize = (below: number) => {
    finalized = Math.max(finalized, branch.length - 1 - below)
  }

  const unreachable = (reason: string) => Effect.fail(new ChainUnreachable({ chain, reason }))

  const node = () => {
    let fault: Fault = { kind: "none" }
    let leftBehindOn: ReadonlyArray<SimulatedBlock> = branch
    let asked = 0
    let meanwhile: { calls: number; readonly happens: Effect.Effect<void> } | null = null

    const lagging = (by: number) => branch.slice(0, Math.max(1, branch.length - by))
    /** The branch as whoever gives this answer sees it. */
    const seen = (): ReadonlyArray<SimulatedBlock> => {
      switch (fault.kind) {
        case "lags":
          return lagging(fault.by)
        case "left_behind":
          return leftBehindOn
        case "balanced":
          return [branch, lagging(2), alternatives().at(-1) ?? branch][asked % 3] ?? branch
        case "stranger":
          return branch.map(strange)
        default:
          return branch
      }
    }

    /** Between any two answers of the node the world may change. */
    const answer = <A, E = never>(ask: (seen: ReadonlyArray<SimulatedBlock>) => Effect.Effect<A, ReadError | E>) =>
      Effect.suspend(() => {
        asked++
        const happens = meanwhile !== null && --meanwhile.calls < 0 ? meanwhile.happens : Effect.void
        if (meanwhile !== null && meanwhile.calls < 0) meanwhile = null
        return Effect.andThen(
          happens,
          Effect.suspend(() => fault.kind === "errs" ? unreachable("it errs") : ask(seen()))
        )
      })

    const receiptsFor = (block: SimulatedBlock): ReadonlyArray<ReceiptJson> => {
      const receipts = receiptsOf(chain, block)
      switch (fault.kind) {
        case "truncates":
          return receipts.slice(0, -1)
        case "clamps":
          return receipts.map((receipt) => {
            const payee = receipt.logs.at(-1)?.topics[2]
            return { ...receipt, logs: receipt.logs.filter(({ topics }) => topics[2] !== payee) }
          })
        case "mixes": {
          const others = left.flatMap((old) => old.slice(finalized + 1)).filter(({ hash }) => hash !== block.hash)
          const elsewhere = new Map(
            others.flatMap((other) => receiptsOf(chain, other)).map((receipt) => [receipt.transactionHash, receipt])
          )
          return receipts.map((receipt) => elsewhere.get(receipt.transactionHash) ?? receipt)
        }
        default:
          return receipts
      }
    }

    const reader: ChainReaderShape = {
      chain,
      verify: answer(() => {
        const expected = chains[chain].chainId
        return fault.kind === "stranger" && fault.chainId === "other"
          ? Effect.fail(new WrongChain({ chain, expected, actual: 1 }))
          : Effect.void
      }),
      head: answer((seen) => Effect.succeed(headerOf(seen.at(-1) ?? genesis))),
      headerAt: (number) =>
        answer((seen) => {
          const block = fault.kind === "forgets" && number > 0 ? undefined : seen[number]
          return Effect.succeed(block === undefined ? null : headerOf(block))
        }),
      block: (hash) =>
        answer((seen) => {
          const block = seen.find((block) => block.hash === hash)
          if (block === undefined || fault.kind === "forgets") return unreachable(`it does not know ${hash}`)
          const read = readable(chains[chain], jsonOf(chain, block), receiptsFor(block))
          return Result.isSuccess(read)
            ? Effect.succeed(read.success)
            : Effect.fail(new ChainInconsistent({ chain, reason: read.failure }))
        }),
      // A node that lags, or that was left behind, has not heard of anything final beyond what it shares with the rest.
      finalized: answer((seen) => {
        if (fault.kind === "stranger") return Effect.succeed(headerOf(seen.at(-1) ?? genesis))
        const shared = seen.findLastIndex((block, i) => branch[i]?.hash === block.hash)
        return Effect.succeed(headerOf(branch[Math.min(finalized, shared)] ?? genesis))
      })
    }
    return {
      reader,
      setFault: (next: Fault) => {
        fault = next
        leftBehindOn = alternatives().at(-1) ?? branch
      },
      /** Something happens after so many more answers of the node. */
      during: (calls: number, happens: Effect.Effect<void>) => {
        meanwhile = { calls, happens }
      },
      settle: () => {
        meanwhile = null
        fault = { kind: "none" }
      },
      /** The height up to which it has another chain than the one that is final; null where it has the same. */
      contradictsUpTo: () =>
        fault.kind === "left_behind" && leftBehindOn[finalized]?.hash !== branch[finalized]?.hash
          ? leftBehindOn.length - 1
          : null,
      /** Questions put to the node so far. */
      asked: () => asked
    }
  }

  return {
    /** One more that sees the same chain. */
    node,
    ...node(),
    submit,
    mine,
    reorg,
    comeBack,
    finalize,
    head: () => branch.at(-1) ?? genesis,
    finalized: () => finalized,
    /** Ground truth: every transfer that stands on the branch above a height. */
    transfers: (above: number) =>
      branch.slice(above + 1).flatMap(({ hash, included, number }) =>
        included.flatMap(({ succeeded, transaction: { hash: transaction, kind, to } }) =>
          succeeded
            ? to.map((to, position) => ({
              transferId: transferIdOf(chain, transaction, kind === "coin" ? -1 : position),
              to,
              hash,
              number
            }))
            : []
        )
      )
  }
}

const payer = address(0xfee)
const blockAfter = (
  parent: SimulatedBlock | null,
  included: ReadonlyArray<Included>,
  serial: number
): SimulatedBlock => {
  const number = parent === null ? 0 : parent.number + 1
  return {
    number,
    hash: `0xb${number}.${serial}`,
    parentHash: parent?.hash ?? "0x0",
    time: DateTime.makeUnsafe(number * 2_000),
    included
  }
}
const genesis = blockAfter(null, [], 0)

const strange = ({ hash, number, parentHash, time }: SimulatedBlock): SimulatedBlock => ({
  number,
  hash: `${hash}.strange`,
  parentHash: `${parentHash}.strange`,
  time,
  included: [{
    transaction: { hash: `0xstrange${number}`, kind: "coin", to: [address(1)], amount: 1 },
    succeeded: true
  }]
})

const headerOf = ({ included: _included, ...header }: SimulatedBlock): Header => header

// As a node writes it, so that what we make of it is made by our own reader.

const hex = (value: number) => `0x${value.toString(16)}`
const word = (value: number | Address) => `0x${BigInt(value).toString(16).padStart(64, "0")}`
const transferTopic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
const tokenOf = (chain: ChainId): Address =>
  chains[chain].tokens.find(({ contract }) => contract !== null)?.contract ?? payer

const jsonOf = (chain: ChainId, { hash, included, number, parentHash, time }: SimulatedBlock): BlockJson => ({
  number: hex(number),
  hash,
  parentHash,
  timestamp: hex(time.epochMilliseconds / 1000),
  transactions: included.map(({ transaction: { amount, hash, kind, to } }) => ({
    hash,
    from: payer,
    to: kind === "coin" ? to[0] ?? null : tokenOf(chain),
    value: hex(kind === "coin" ? amount : 0)
  }))
})

const receiptsOf = (chain: ChainId, { hash: blockHash, included }: SimulatedBlock): ReadonlyArray<ReceiptJson> =>
  included.map(({ succeeded, transaction: { amount, hash: transactionHash, kind, to } }) => {
    const paid = kind === "token" && succeeded ? to : []
    const logs = paid.map((to) => ({
      address: tokenOf(chain),
      topics: [transferTopic, word(payer), word(to)],
      data: word(amount),
      blockHash,
      transactionHash
    }))
    return {
      transactionHash,
      blockHash,
      status: hex(succeeded ? 1 : 0),
      logs,
      logsBloom: `0x${bloomOf(logs).toString(16)}`
    }
  })
