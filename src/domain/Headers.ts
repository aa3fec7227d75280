/** Where a block belongs that a node speaks of, and how sure it makes what lies below. The scanner fetches; this decides. */
import type { DateTime } from "effect"
import type { Chain, Level } from "./Chain.ts"

export interface Header {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  readonly time: DateTime.Utc
}

/**
 * `same`: nothing new. `ahead`: there are blocks to read. `behind`: the node is short of what it told us before, on our
 * own branch. `fork`: at its head's height we have another block, so it stands on another branch.
 */
export type Placement = "same" | "ahead" | "behind" | "fork"

/** Places a node's head. `ours` is our own block at the head's height; null where we have none. */
export const place = (head: Header, tip: Header, ours: Header | null): Placement => {
  if (head.hash === tip.hash) return "same"
  if (head.number > tip.number) return "ahead"
  // A head below everything we remember is a node that lags far behind: no branch of which we could know.
  return ours === null || ours.hash === head.hash ? "behind" : "fork"
}

/** As many of the blocks as follow each other from the tip, hash by hash. */
export const linked = <Block extends Header>(tip: Header, blocks: ReadonlyArray<Block>): ReadonlyArray<Block> => {
  const broken = blocks.findIndex((block, i) => block.parentHash !== (blocks[i - 1] ?? tip).hash)
  return broken === -1 ? blocks : blocks.slice(0, broken)
}

/**
 * The height below which nothing changes any more: what the node calls final, or the depth that stands in for its word
 * where it has no such notion or has stopped moving. It never falls, whatever the node says.
 */
export const finalHeight = (known: number, tag: number | null, head: number, finalDepth: number): number =>
  Math.max(known, tag ?? 0, head - finalDepth)

/** The heights up to which a transfer is at least as sure as each level. A final one is sure at every level. */
export const sureUpTo = (
  tip: number,
  finalized: number,
  { default: usual, small }: Chain["confirmations"]
): Readonly<Record<Level, number>> => {
  const final = Math.min(tip, finalized)
  const byDefault = Math.max(final, tip - usual + 1)
  return { final, default: byDefault, small: Math.max(byDefault, tip - small + 1) }
}
