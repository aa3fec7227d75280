/** A chain that forks, forgets and lies on demand, and what is true of it. */
import { DateTime, Effect } from "effect"
import { units } from "#domain/Amount.ts"
import type { Address, ChainId } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"
import { transferIdOf } from "#domain/Observation.ts"
import {
  type Block,
  ChainInconsistent,
  type ChainReaderShape,
  ChainUnreachable,
  type Movement,
  type ReadError
} from "#ports/ChainReader.ts"

export const address = (n: number) => `0x${n.toString(16).padStart(40, "0")}` as Address

/** What becomes of each transaction of the blocks that a reorg removes, in turn. */
export type Fate = "kept" | "dropped" | "failing"

/** What the node does until it is told otherwise. */
export type Fault =
  | { readonly kind: "none" }
  | { readonly kind: "lags"; readonly by: number }
  /** Stands on a branch that the others have left. */
  | { readonly kind: "left_behind" }
  | { readonly kind: "errs" }
  /** Knows no block by its number or hash. */
  | { readonly kind: "forgets" }
  /** Its receipts are incomplete, which the reader notices. */
  | { readonly kind: "truncates" }

interface Transaction {
  readonly hash: string
  readonly movements: ReadonlyArray<Movement>
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
  let fault: Fault = { kind: "none" }
  let leftBehindOn: ReadonlyArray<SimulatedBlock> = branch
  let asked = 0
  let meanwhile: { calls: number; happens: () => void } | null = null

  const submit = (to: ReadonlyArray<Address>, kind: "coin" | "token", succeeded: boolean) => {
    const hash = `0xt${++serial}`
    const movements = to.map((address, i): Movement => ({
      transaction: hash,
      position: kind === "coin" ? -1 : i,
      asset: kind === "coin" ? "eth" : "usdc",
      decimals: kind === "coin" ? 18 : 6,
      from: payer,
      to: address,
      amount: units(BigInt(serial))
    }))
    waiting.push({ transaction: { hash, movements }, succeeded })
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

  const seenByNode = (): ReadonlyArray<SimulatedBlock> => {
    switch (fault.kind) {
      case "lags":
        return branch.slice(0, Math.max(1, branch.length - fault.by))
      case "left_behind":
        return leftBehindOn
      default:
        return branch
    }
  }

  const unreachable = (reason: string) => Effect.fail(new ChainUnreachable({ chain, reason }))

  /** Between any two answers of the node the world may change. */
  const answer = <A>(ask: (seen: ReadonlyArray<SimulatedBlock>) => Effect.Effect<A, ReadError>) =>
    Effect.suspend(() => {
      asked++
      if (meanwhile !== null && --meanwhile.calls < 0) {
        const { happens } = meanwhile
        meanwhile = null
        happens()
      }
      return fault.kind === "errs" ? unreachable("it errs") : ask(seenByNode())
    })

  const reader: ChainReaderShape = {
    chain,
    verify: answer(() => Effect.void),
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
        if (fault.kind === "truncates" && block.included.length > 0) {
          return Effect.fail(new ChainInconsistent({ chain, reason: "receipts are missing" }))
        }
        return Effect.succeed(readable(block))
      }),
    // A node that lags, or that was left behind, has not heard of anything final beyond what it shares with the rest.
    finalized: answer((seen) => {
      const shared = seen.findLastIndex((block, i) => branch[i]?.hash === block.hash)
      return Effect.succeed(Math.min(finalized, shared))
    })
  }

  return {
    reader,
    submit,
    mine,
    reorg,
    comeBack,
    finalize,
    setFault: (next: Fault) => {
      fault = next
      leftBehindOn = alternatives().at(-1) ?? branch
    },
    /** Something happens after so many more answers of the node. */
    during: (calls: number, happens: () => void) => {
      meanwhile = { calls, happens }
    },
    settle: () => {
      meanwhile = null
      fault = { kind: "none" }
    },
    head: () => branch.at(-1) ?? genesis,
    finalized: () => finalized,
    /** Questions put to the node so far. */
    asked: () => asked,
    /** Ground truth: every transfer that stands on the branch above a height. */
    transfers: (above: number) =>
      branch.slice(above + 1).map(readable).flatMap(({ hash, movements, number }) =>
        movements.map(({ position, to, transaction }) => ({
          transferId: transferIdOf(chain, transaction, position),
          to,
          hash,
          number
        }))
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

const headerOf = ({ included: _included, ...header }: SimulatedBlock): Header => header

/** As a reader reports it: what failed moved nothing. */
const readable = ({ included, ...header }: SimulatedBlock): Block => ({
  ...header,
  movements: included.flatMap(({ succeeded, transaction }) => succeeded ? transaction.movements : [])
})
