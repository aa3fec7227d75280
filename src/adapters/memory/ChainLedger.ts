/** The chain ledger in maps. For tests, and for trying the scanner without a database. */
import { Context, DateTime, Effect, Layer, Semaphore } from "effect"
import { type Address, atLeast, type ChainId, chains, type Level } from "#domain/Chain.ts"
import { type Header, sureUpTo } from "#domain/Headers.ts"
import { Observation, transferIdOf } from "#domain/Observation.ts"
import { ChainLedger, type Cursor, CursorMoved, type Depths } from "#ports/ChainLedger.ts"
import type { Block, Movement } from "#ports/ChainReader.ts"
import { Views } from "#ports/Views.ts"
import { addressBook } from "#projections/Directory.ts"

/** Everything the ledger has published, in order. */
export class Published extends Context.Service<Published, Effect.Effect<ReadonlyArray<Observation>>>()(
  "checkout/adapters/memory/Published"
) {}

interface Transfer {
  readonly movement: Movement
  readonly block: Block
  readonly level: Level | null
}

interface Ledger {
  cursor: Cursor
  checkedAt: DateTime.Utc
  /** The canonical branch, within the window. */
  readonly blocks: Map<number, Block>
  readonly transfers: Map<string, Transfer>
}

const { ChainReorged, HeadAdvanced, ScannerHalted, TransferConfirmed, TransferOrphaned, TransferSeen } =
  Observation.cases

const make = Effect.gen(function*() {
  const views = yield* Views
  const one = Semaphore.makeUnsafe(1)
  const ledgers = new Map<ChainId, Ledger>()
  const published: Array<Observation> = []

  const isWatched = (chain: ChainId, address: Address) =>
    Effect.map(views.get(addressBook, address), (row) => row?.mode === chains[chain].mode)

  const see = Effect.fnUntraced(function*(
    chain: ChainId,
    { transfers }: Ledger,
    block: Block,
    only?: ReadonlyArray<Address>
  ) {
    for (const movement of block.movements) {
      const transferId = transferIdOf(chain, movement.transaction, movement.position)
      if (only?.includes(movement.to) === false) continue
      if (transfers.has(transferId) || !(yield* isWatched(chain, movement.to))) continue
      transfers.set(transferId, { movement, block, level: null })
      const { position: _position, ...what } = movement
      const { hash, number, time } = block
      published.push(TransferSeen.make({ chain, transferId, ...what, block: { hash, number, time } }))
    }
  })

  const confirm = (chain: ChainId, { cursor, transfers }: Ledger, depths: Depths, at: DateTime.Utc) => {
    const heights = sureUpTo(cursor.number, cursor.finalized, depths)
    for (const [transferId, transfer] of transfers) {
      const { block: { hash, number }, level: before, movement: { to } } = transfer
      const level = (["final", "default", "small"] as const).find((level) => number <= heights[level])
      if (level === undefined || (before !== null && atLeast(before, level))) continue
      transfers.set(transferId, { ...transfer, level })
      published.push(TransferConfirmed.make({ chain, transferId, to, level, blockHash: hash, at }))
    }
  }

  /** The ledger as the caller knows it, or nothing is done. */
  const at = (chain: ChainId, hash: string | undefined) =>
    Effect.suspend(() => {
      const ledger = ledgers.get(chain)
      return ledger === undefined || ledger.cursor.hash !== hash || ledger.cursor.halted !== null
        ? Effect.fail(new CursorMoved({ chain }))
        : Effect.succeed(ledger)
    })

  const moveTo = (ledger: Ledger, { hash, number, parentHash, time }: Header, finalized: number) => {
    ledger.cursor = {
      ...ledger.cursor,
      hash,
      number,
      parentHash,
      time,
      finalized: Math.max(finalized, ledger.cursor.finalized)
    }
  }

  const commit = Effect.fnUntraced(function*(
    chain: ChainId,
    blocks: ReadonlyArray<Block>,
    { depths, finalized, window }: Parameters<ChainLedger["Service"]["commit"]>[2]
  ) {
    const ledger = yield* at(chain, blocks[0]?.parentHash)
    const now = yield* DateTime.now
    for (const block of blocks) {
      ledger.blocks.set(block.number, block)
      yield* see(chain, ledger, block)
      moveTo(ledger, block, finalized)
    }
    ledger.checkedAt = now
    confirm(chain, ledger, depths, now)
    const floor = Math.min(ledger.cursor.finalized, ledger.cursor.number - window)
    for (const number of ledger.blocks.keys()) if (number < floor) ledger.blocks.delete(number)
  })

  const rollBack = Effect.fnUntraced(function*(chain: ChainId, from: string, to: Header) {
    const ledger = yield* at(chain, from)
    if (to.number < ledger.cursor.finalized) return yield* new CursorMoved({ chain })
    const now = yield* DateTime.now
    for (const [transferId, { block, level, movement }] of ledger.transfers) {
      if (block.number <= to.number) continue
      ledger.transfers.delete(transferId)
      published.push(TransferOrphaned.make({
        chain,
        transferId,
        to: movement.to,
        blockHash: block.hash,
        wasConfirmed: level !== null,
        at: now
      }))
    }
    const depth = ledger.cursor.number - to.number
    for (const number of ledger.blocks.keys()) if (number > to.number) ledger.blocks.delete(number)
    if (!ledger.blocks.has(to.number)) ledger.blocks.set(to.number, { ...to, movements: [] })
    moveTo(ledger, to, ledger.cursor.finalized)
    published.push(ChainReorged.make({ chain, depth, fromHash: from, toHash: to.hash, at: now }))
  })

  const change = (chain: ChainId, how: (ledger: Ledger) => void) =>
    one.withPermit(Effect.sync(() => {
      const ledger = ledgers.get(chain)
      if (ledger !== undefined) how(ledger)
    }))

  const ledger = ChainLedger.of({
    cursor: (chain) => Effect.sync(() => ledgers.get(chain)?.cursor ?? null),
    headerAt: (chain, number) => Effect.sync(() => ledgers.get(chain)?.blocks.get(number) ?? null),
    begin: (chain, { header, ...start }) =>
      Effect.flatMap(DateTime.now, (checkedAt) => {
        if (ledgers.has(chain)) return Effect.fail(new CursorMoved({ chain }))
        const cursor = { ...header, ...start, halted: null }
        const blocks = new Map([[header.number, { ...header, movements: [] }]])
        ledgers.set(chain, { cursor, checkedAt, blocks, transfers: new Map() })
        return Effect.void
      }),
    commit: (chain, blocks, rules) => one.withPermit(commit(chain, blocks, rules)),
    rollBack: (chain, from, to) => one.withPermit(rollBack(chain, from, to)),
    checked: (chain, hash, { depths, finalized }) =>
      one.withPermit(Effect.gen(function*() {
        const ledger = yield* at(chain, hash)
        const now = yield* DateTime.now
        ledger.checkedAt = now
        moveTo(ledger, ledger.cursor, finalized)
        confirm(chain, ledger, depths, now)
      })),
    announce: (chain) =>
      change(chain, ({ cursor: { finalized, number, time } }) => {
        published.push(HeadAdvanced.make({ chain, number, time, finalized }))
      }),
    halt: (chain, hash, reason) =>
      one.withPermit(Effect.gen(function*() {
        const ledger = yield* at(chain, hash)
        ledger.cursor = { ...ledger.cursor, halted: reason }
        published.push(ScannerHalted.make({ chain, reason, at: yield* DateTime.now }))
      })),
    resume: (chain) =>
      change(chain, (ledger) => {
        ledger.cursor = { ...ledger.cursor, halted: null }
      }),
    backfill: (addresses) =>
      one.withPermit(Effect.gen(function*() {
        for (const [chain, ledger] of ledgers) {
          for (const block of ledger.blocks.values()) yield* see(chain, ledger, block, addresses)
        }
      })),
    heights: Effect.sync(() =>
      [...ledgers].map(([chain, { checkedAt, cursor: { finalized, halted, number, time } }]) => ({
        chain,
        number,
        time,
        finalized,
        checkedAt,
        halted
      }))
    )
  })
  return Context.make(ChainLedger, ledger).pipe(Context.add(Published, Effect.sync(() => [...published])))
})

export const layer = Layer.effectContext(make)
