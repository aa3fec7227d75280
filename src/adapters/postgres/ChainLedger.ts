/** The chain ledger in Postgres: three to four short statements a block, all of them behind the cursor's row lock. */
import { PgClient } from "@effect/sql-pg"
import { DateTime, Effect, Layer, Schema } from "effect"
import type { Statement } from "effect/sql"
import { randomUUID } from "node:crypto"
import { units } from "#domain/Amount.ts"
import { type Address, type AssetId, type ChainId, chains, type Level } from "#domain/Chain.ts"
import { type Header, sureUpTo } from "#domain/Headers.ts"
import { keyOf, Observation, transferIdOf } from "#domain/Observation.ts"
import type { Message } from "#ports/Bus.ts"
import { ChainLedger, CursorMoved, type Depths } from "#ports/ChainLedger.ts"
import type { Block } from "#ports/ChainReader.ts"
import { unavailable } from "./Database.ts"
import { publish } from "./Outbox.ts"

interface HeaderRow {
  readonly number: number
  readonly hash: string
  readonly parent_hash: string
  readonly time: Date
}
interface CursorRow extends HeaderRow {
  readonly chain: ChainId
  readonly finalized: number
  readonly genesis: string
  readonly halted: string | null
  readonly checked_at: Date
}
interface TransferRow {
  readonly chain: ChainId
  readonly transaction: string
  readonly position: number
  readonly asset: AssetId
  readonly decimals: number
  readonly sender: Address
  readonly recipient: Address
  readonly amount: string
  readonly number: number
  readonly block_hash: string
  readonly block_time: Date
  readonly level: number
}

/** As the column `level` counts them; 0 is none of them. */
const levels: ReadonlyArray<Level | undefined> = [undefined, "small", "default", "final"]

const { ChainReorged, HeadAdvanced, ScannerHalted, TransferConfirmed, TransferOrphaned, TransferSeen } =
  Observation.cases

const make = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient

  const transaction = <A, E>(effect: Effect.Effect<A, E, PgClient.PgClient>) =>
    sql.withTransaction(effect).pipe(Effect.provideService(PgClient.PgClient, sql), unavailable)

  const tell = (observations: ReadonlyArray<Observation>) =>
    observations.length === 0
      ? Effect.void
      : Effect.flatMap(DateTime.now, (now) => publish(observations.map(messageOf(now))))

  /**
   * Writes down which of the movements `here` go to watched addresses, and answers with those that did not stand in
   * that block already.
   */
  const see = (here: Statement.Fragment) =>
    Effect.map(
      sql<TransferRow>`
        with ${here}
        insert into chain.transfers as known (chain, transaction, position, asset, decimals, sender, recipient, amount,
                                              number, block_hash, block_time)
        select here.chain, here.transaction, here.position, here.asset, here.decimals, here.sender, here.recipient,
               here.amount, here.number, here.block_hash, here.block_time
          from here
          join read.address_book book on book.key = here.recipient
          join unnest(${names}::text[], ${modes}::text[]) ours(chain, mode)
            on ours.chain = here.chain and ours.mode = book.data->>'mode'
        on conflict (chain, transaction, position) do update
           set number = excluded.number, block_hash = excluded.block_hash, block_time = excluded.block_time,
               amount = excluded.amount, level = 0, orphaned = false
         where known.orphaned or known.block_hash <> excluded.block_hash
        returning *`,
      (rows) => rows.toSorted(byPlace).map(seen)
    )

  const confirm = (chain: ChainId, tip: number, finalized: number, depths: Depths, now: DateTime.Utc) => {
    const upTo = sureUpTo(tip, finalized, depths)
    return Effect.map(
      sql<TransferRow>`
        update chain.transfers
           set level = case when number <= ${upTo.final} then 3 when number <= ${upTo.default} then 2 else 1 end
         where chain = ${chain} and not orphaned and level < 3
           and (level = 0 and number <= ${upTo.small} or level = 1 and number <= ${upTo.default}
                or level = 2 and number <= ${upTo.final})
        returning *`,
      (rows) => rows.toSorted(byPlace).map(confirmed(now))
    )
  }

  const commit = Effect.fnUntraced(function*(
    chain: ChainId,
    blocks: ReadonlyArray<Block>,
    { depths, finalized, window }: Parameters<ChainLedger["Service"]["commit"]>[2]
  ) {
    const now = yield* DateTime.now
    const [first, last] = [blocks[0], blocks.at(-1)]
    if (first === undefined || last === undefined) return
    const [moved] = yield* sql<{ readonly finalized: number }>`
      with moved as (
        update chain.cursors
           set number = ${last.number}, hash = ${last.hash}, parent_hash = ${last.parentHash}, time = ${dateOf(last)},
               finalized = greatest(finalized, ${finalized}), checked_at = ${DateTime.toDateUtc(now)}
         where chain = ${chain} and hash = ${first.parentHash} and halted is null
        returning finalized, least(finalized, number - ${window}::int) as floor
      ), read as (
        insert into chain.blocks (chain, number, hash, parent_hash, time)
        select ${chain}, block.* from moved, unnest(
          ${blocks.map(({ number }) => number)}::int[], ${blocks.map(({ hash }) => hash)}::text[],
          ${blocks.map(({ parentHash }) => parentHash)}::text[], ${blocks.map(isoOf)}::timestamptz[]) block
        on conflict (chain, hash) do update set orphaned = false
      ), forgotten as (
        delete from chain.blocks using moved where chain = ${chain} and number < floor
      ), forgotten_movements as (
        delete from chain.movements using moved where chain = ${chain} and number < floor
      )
      select finalized from moved`
    if (moved === undefined) return yield* new CursorMoved({ chain })

    // A statement of its own, so that its snapshot is taken behind the row lock: an address that a back-fill looked up
    // before this block is in the book by now, and one that comes later waits for us and finds the movements.
    const sightings = blocks.some(({ movements }) => movements.length > 0) ?
      yield* see(sql`
      here as (
        select ${chain}::text as chain, movement.* from unnest(${movementsOf(blocks)})
          movement(number, block_hash, block_time, transaction, position, asset, decimals, sender, recipient, amount)
      ), kept as (
        insert into chain.movements (chain, number, block_hash, transaction, position, asset, decimals, sender,
                                     recipient, amount)
        select chain, number, block_hash, transaction, position, asset, decimals, sender, recipient, amount from here
        on conflict do nothing
      )`) :
      []
    yield* tell([...sightings, ...(yield* confirm(chain, last.number, moved.finalized, depths, now))])
  })

  /** As arrays, one for each column: one statement for any number of them. */
  const movementsOf = (blocks: ReadonlyArray<Block>) => {
    const all = blocks.flatMap((block) => block.movements.map((movement) => ({ block, movement })))
    const column = <A extends string | number>(of: (one: typeof all[number]) => A) => all.map(of)
    return sql`
      ${column(({ block }) => block.number)}::int[], ${column(({ block }) => block.hash)}::text[],
      ${column(({ block }) => isoOf(block))}::timestamptz[], ${column(({ movement }) => movement.transaction)}::text[],
      ${column(({ movement }) => movement.position)}::int[], ${column(({ movement }) => movement.asset)}::text[],
      ${column(({ movement }) => movement.decimals)}::int[], ${column(({ movement }) => movement.from)}::text[],
      ${column(({ movement }) => movement.to)}::text[], ${column(({ movement }) => String(movement.amount))}::numeric[]`
  }

  const rollBack = Effect.fnUntraced(function*(chain: ChainId, from: string, to: Header) {
    const now = yield* DateTime.now
    const [was] = yield* sql<{ readonly number: number }>`
      with was as (
        select number from chain.cursors
         where chain = ${chain} and hash = ${from} and finalized <= ${to.number} and halted is null for update
      ), moved as (
        update chain.cursors
           set number = ${to.number}, hash = ${to.hash}, parent_hash = ${to.parentHash}, time = ${dateOf(to)}
          from was where chain = ${chain}
      ), orphaned as (
        update chain.blocks set orphaned = true from was where chain = ${chain} and blocks.number > ${to.number}
      ), base as (
        insert into chain.blocks (chain, number, hash, parent_hash, time)
        select ${chain}, ${to.number}::int, ${to.hash}, ${to.parentHash}, ${dateOf(to)}::timestamptz from was
        on conflict (chain, hash) do nothing
      )
      select number from was`
    if (was === undefined) return yield* new CursorMoved({ chain })
    const gone = yield* sql<TransferRow>`
      with gone as (
        select chain, transaction, position, level from chain.transfers
         where chain = ${chain} and not orphaned and level < 3 and number > ${to.number} for update
      )
      update chain.transfers t set orphaned = true from gone
       where (t.chain, t.transaction, t.position) = (gone.chain, gone.transaction, gone.position)
      returning t.*`
    const reorged = ChainReorged.make({
      chain,
      depth: was.number - to.number,
      fromHash: from,
      toHash: to.hash,
      at: now
    })
    yield* tell([...gone.toSorted(byPlace).map(orphaned(now)), reorged])
  })

  return ChainLedger.of({
    cursor: (chain) =>
      Effect.map(
        sql<CursorRow>`select * from chain.cursors where chain = ${chain}`,
        ([row]) => row === undefined ? null : { ...headerOf(row), ...factsOf(row) }
      ).pipe(unavailable),
    headerAt: (chain, number) =>
      Effect.map(
        sql<HeaderRow>`select * from chain.blocks where chain = ${chain} and number = ${number} and not orphaned`,
        ([row]) => row === undefined ? null : headerOf(row)
      ).pipe(unavailable),
    begin: (chain, { finalized, genesis, header }) =>
      Effect.gen(function*() {
        const [begun] = yield* sql`
          with begun as (
            insert into chain.cursors (chain, number, hash, parent_hash, time, finalized, genesis, checked_at)
            values (${chain}, ${header.number}, ${header.hash}, ${header.parentHash}, ${dateOf(header)}, ${finalized},
                    ${genesis}, ${DateTime.toDateUtc(yield* DateTime.now)})
            on conflict do nothing returning chain, number, hash, parent_hash, time
          )
          insert into chain.blocks (chain, number, hash, parent_hash, time) select * from begun returning chain`
        if (begun === undefined) return yield* new CursorMoved({ chain })
      }).pipe(unavailable),
    commit: (chain, blocks, rules) => transaction(commit(chain, blocks, rules)),
    rollBack: (chain, from, to) => transaction(rollBack(chain, from, to)),
    checked: (chain, at, { depths, finalized }) =>
      transaction(Effect.gen(function*() {
        const now = yield* DateTime.now
        const [row] = yield* sql<CursorRow>`
          update chain.cursors
             set checked_at = ${DateTime.toDateUtc(now)}, finalized = greatest(finalized, ${finalized}::int)
           where chain = ${chain} and hash = ${at} and halted is null
          returning *`
        if (row === undefined) return yield* new CursorMoved({ chain })
        yield* tell(yield* confirm(chain, row.number, row.finalized, depths, now))
      })),
    announce: (chain) =>
      transaction(Effect.gen(function*() {
        const [row] = yield* sql<CursorRow>`select * from chain.cursors where chain = ${chain}`
        if (row === undefined) return
        const { finalized, number, time } = row
        yield* tell([HeadAdvanced.make({ chain, number, time: DateTime.fromDateUnsafe(time), finalized })])
      })),
    halt: (chain, at, reason) =>
      transaction(Effect.gen(function*() {
        const [halted] = yield* sql`
          update chain.cursors set halted = ${reason}
           where chain = ${chain} and hash = ${at} and halted is null
          returning chain`
        if (halted === undefined) return yield* new CursorMoved({ chain })
        yield* tell([ScannerHalted.make({ chain, reason, at: yield* DateTime.now })])
      })),
    resume: (chain) =>
      sql`update chain.cursors set halted = null where chain = ${chain}`.pipe(Effect.asVoid, unavailable),
    backfill: (addresses) =>
      transaction(Effect.gen(function*() {
        // Held to the end: a block must not be taken away between our finding a transfer in it and our writing it down.
        yield* sql`select chain from chain.cursors order by chain for no key update`
        yield* tell(
          yield* see(sql`
            here as (
              select m.*, b.time as block_time from chain.movements m
                join chain.blocks b on b.chain = m.chain and b.hash = m.block_hash and not b.orphaned
               where m.recipient = any(${[...addresses]}::text[])
            )`)
        )
      })),
    heights: Effect.map(
      sql<CursorRow>`select * from chain.cursors order by chain`,
      (rows) =>
        rows.map(({ chain, checked_at, finalized, halted, number, time }) => ({
          chain,
          number,
          time: DateTime.fromDateUnsafe(time),
          finalized,
          checkedAt: DateTime.fromDateUnsafe(checked_at),
          halted
        }))
    ).pipe(unavailable)
  })
})

export const layer = Layer.effect(ChainLedger, make)

const names = Object.keys(chains)
const modes = Object.values(chains).map(({ mode }) => mode)

const dateOf = ({ time }: Header) => DateTime.toDateUtc(time)
const isoOf = ({ time }: Header) => DateTime.formatIso(time)
const headerOf = ({ hash, number, parent_hash, time }: HeaderRow): Header => ({
  number,
  hash,
  parentHash: parent_hash,
  time: DateTime.fromDateUnsafe(time)
})
const factsOf = ({ finalized, genesis, halted }: CursorRow) => ({ finalized, genesis, halted })

/** In the order of the chain, as far as it matters to one address. */
const byPlace = (a: TransferRow, b: TransferRow) =>
  a.number - b.number || a.transaction.localeCompare(b.transaction) || a.position - b.position

const transferOf = ({ chain, position, transaction }: TransferRow) => ({
  chain,
  transferId: transferIdOf(chain, transaction, position)
})

const seen = (row: TransferRow): Observation =>
  TransferSeen.make({
    ...transferOf(row),
    asset: row.asset,
    decimals: row.decimals,
    to: row.recipient,
    from: row.sender,
    amount: units(BigInt(row.amount)),
    transaction: row.transaction,
    block: { number: row.number, hash: row.block_hash, time: DateTime.fromDateUnsafe(row.block_time) }
  })

const confirmed = (at: DateTime.Utc) => (row: TransferRow): Observation =>
  TransferConfirmed.make({
    ...transferOf(row),
    to: row.recipient,
    level: levels[row.level] ?? "small",
    blockHash: row.block_hash,
    at
  })

const orphaned = (at: DateTime.Utc) => (row: TransferRow): Observation =>
  TransferOrphaned.make({
    ...transferOf(row),
    to: row.recipient,
    blockHash: row.block_hash,
    wasConfirmed: row.level > 0,
    at
  })

const encode = Schema.encodeSync(Observation)

/** The id is new each time: the same block can be orphaned and come back, and then all of it is said again. */
const messageOf = (recordedAt: DateTime.Utc) => (observation: Observation): Message => ({
  topic: "integrations",
  key: keyOf(observation),
  id: randomUUID(),
  type: observation._tag,
  schemaVersion: 1,
  body: encode(observation),
  headers: {},
  recordedAt
})
