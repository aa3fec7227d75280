/** Deposit addresses in Postgres: derived ahead by whoever has time, and leased a few at a time by each process. */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, FiberMap, Layer, Schedule, Semaphore } from "effect"
import { AddressPool, type Deposit, WalletUnknown } from "#ports/AddressPool.ts"
import { type Account, Derivation } from "#ports/Derivation.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { wallets } from "#projections/Directory.ts"
import * as Database from "./Database.ts"

export interface Options {
  /** How long an address is set aside for a process. A killed process's addresses come back after this. */
  readonly leaseSeconds?: number
  /** How often lapsed leases are looked for. */
  readonly sweepSeconds?: number
}

/** Leased at a time: the first for a shop that opens an invoice now and then, the last for one that opens a thousand a second. */
const fewest = 2
const most = 64
/** Addresses that lie ready for a wallet, for each that its processes lease at a time. */
const aheadPerLease = 16
/** Derived in one go, about 10 ms of work; then others have their turn. */
const chunk = 16
/** Chunks derived for one caller. More are needed only if another wallet of the same account is far ahead. */
const chunksAtMost = 256
/** Lapsed leases brought back by one statement. */
const sweptAtOnce = 500

/** What a process holds of one wallet. */
interface Shelf {
  readonly wallet: string
  readonly account: Account
  /** Only one lease is taken at a time; who waits for it shares it. */
  readonly lock: Semaphore.Semaphore
  /** Lowest index first. */
  ready: Array<Deposit>
  waiting: number
  size: number
  filledAt: number
}

/** Needs `PgClient`, `Views`, where the wallets are, and `Derivation`. Two built on one database share its addresses. */
export const layer = ({ leaseSeconds = 600, sweepSeconds = 15 }: Options = {}) =>
  Layer.effect(
    AddressPool,
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const views = yield* Views
      const derivation = yield* Derivation
      const owner = crypto.randomUUID()
      const shelves = new Map<string, Shelf>()
      const deriving = yield* FiberMap.make<string>()
      const filling = yield* FiberMap.make<string>()
      const leaseMillis = leaseSeconds * 1000
      /** Until when each address is ours. Used a little before that at the latest: the invoice is still to be written. */
      const until = new WeakMap<Deposit, number>()
      const isOurs = (deposit: Deposit, now: number) => (until.get(deposit) ?? 0) - leaseMillis / 10 > now

      const shelfOf = Effect.fnUntraced(function*(wallet: string) {
        const row = yield* views.get(wallets, wallet)
        if (row === null) return yield* new WalletUnknown({ wallet })
        // Its checksum was verified when it was registered.
        const account = yield* Effect.orDie(Effect.fromResult(derivation.account(row.xpub)))
        const known = shelves.get(wallet)
        if (known !== undefined) return known
        const lock = Semaphore.makeUnsafe(1)
        const shelf: Shelf = { wallet, account, lock, ready: [], waiting: 0, size: fewest, filledAt: 0 }
        shelves.set(wallet, shelf)
        return shelf
      })

      const take = Effect.fnUntraced(function*(wallet: string) {
        const shelf = shelves.get(wallet) ?? (yield* shelfOf(wallet))
        const ready = next(shelf, yield* Clock.currentTimeMillis)
        if (ready !== null) {
          if (shelf.size > fewest && shelf.ready.length * 2 < shelf.size) yield* fillAhead(shelf)
          return ready
        }
        shelf.waiting++
        return yield* Semaphore.withPermit(shelf.lock, awaited(shelf)).pipe(
          Effect.ensuring(Effect.sync(() => shelf.waiting--))
        )
      })

      const next = (shelf: Shelf, now: number): Deposit | null => {
        for (;;) {
          const deposit = shelf.ready.shift()
          if (deposit === undefined) return null
          if (isOurs(deposit, now)) return deposit
        }
      }

      /** Whoever waited before us may have leased enough for us too. */
      const awaited = Effect.fnUntraced(function*(shelf: Shelf) {
        const shared = next(shelf, yield* Clock.currentTimeMillis)
        if (shared !== null) return shared
        yield* fill(shelf)
        const deposit = next(shelf, yield* Clock.currentTimeMillis)
        return deposit ?? (yield* new StoreUnavailable({ reason: "no deposit address is free", retryAfterSeconds: 1 }))
      })

      const fill = Effect.fnUntraced(function*(shelf: Shelf) {
        const now = yield* Clock.currentTimeMillis
        const busy = now - shelf.filledAt < 1000
        shelf.size = Math.min(most, Math.max(fewest, shelf.waiting, busy ? shelf.size * 2 : shelf.size >> 1))
        shelf.filledAt = now
        const wanted = shelf.size
        const first = yield* lease(shelf, wanted)
        if (first.length < wanted) yield* derive(shelf, wanted - first.length)
        const leased = first.length < wanted ? [...first, ...yield* lease(shelf, wanted - first.length)] : first
        for (const deposit of leased) until.set(deposit, now + leaseMillis)
        shelf.ready = [...shelf.ready, ...leased].toSorted((a, b) => a.index - b.index)
        yield* FiberMap.run(deriving, shelf.wallet, deriveAhead(shelf), { onlyIfMissing: true })
      })

      // Not waited for: whoever finds nothing fills the shelf then, and is told what went wrong.
      const fillAhead = (shelf: Shelf) =>
        FiberMap.run(
          filling,
          shelf.wallet,
          shelf.lock.withPermitsIfAvailable(1)(fill(shelf)).pipe(Effect.ignore),
          { onlyIfMissing: true }
        )

      const deriveAhead = (shelf: Shelf) =>
        derive(shelf, shelf.size * aheadPerLease).pipe(
          Effect.catch((error) => Effect.logWarning("no addresses could be derived ahead", error))
        )

      const lease = (shelf: Shelf, count: number) =>
        sql<Omit<Deposit, "wallet">>`
          update deposit.addresses set leased_by = ${owner}, leased_until = now() + make_interval(secs => ${leaseSeconds})
           where wallet = ${shelf.wallet} and index in (
             select index from deposit.addresses where wallet = ${shelf.wallet} and leased_until is null
              order by index limit ${count} for update skip locked)
          returning index, address`.pipe(
          Effect.map((rows) => rows.map((row): Deposit => ({ wallet: shelf.wallet, ...row }))),
          Database.unavailable
        )

      /** Derives until so many are free. Two processes may derive the same ones; each is kept once. */
      const derive = Effect.fnUntraced(function*({ account, wallet }: Shelf, free: number) {
        for (let round = 0; round < chunksAtMost; round++) {
          const [has] = yield* sql<{ next: number; free: bigint }>`
            select coalesce((select next_index from deposit.wallets where wallet = ${wallet}), 0) as next,
                   (select count(*) from (select from deposit.addresses
                     where wallet = ${wallet} and leased_until is null limit ${free}) f) as free`
          if (has === undefined || has.free >= free) return
          const children = Array.from({ length: chunk }, (_, i) => {
            const index = has.next + i
            return { index, address: account.addressAt(index) }
          }).filter(({ address }) => address !== null)
          yield* sql`
            with moved as (
              insert into deposit.wallets (wallet, next_index) values (${wallet}, ${has.next + chunk})
              on conflict (wallet) do update
                set next_index = greatest(deposit.wallets.next_index, excluded.next_index))
            insert into deposit.addresses (wallet, index, address)
            select ${wallet}, c.index, c.address
              from unnest(${children.map(({ index }) => index)}::int[],
                          ${children.map(({ address }) => address)}::text[]) c (index, address)
             where not exists (select from read.address_book b where b.key = c.address)
            on conflict do nothing`
          yield* Effect.yieldNow
        }
      }, Database.unavailable)

      /** Brings lapsed leases back, except of addresses that an invoice came to use: those are done with. */
      const sweep = sql<{ lapsed: bigint }>`
        with lapsed as (
          select wallet, index, address from deposit.addresses where leased_until < now()
           order by leased_until limit ${sweptAtOnce} for update skip locked),
        used as (
          delete from deposit.addresses a using lapsed l
           where a.wallet = l.wallet and a.index = l.index
             and exists (select from read.address_book b where b.key = l.address)),
        unused as (
          update deposit.addresses a set leased_by = null, leased_until = null from lapsed l
           where a.wallet = l.wallet and a.index = l.index
             and not exists (select from read.address_book b where b.key = l.address))
        select count(*) as lapsed from lapsed`.pipe(
        Effect.repeat({ until: ([swept]) => (swept?.lapsed ?? 0n) < sweptAtOnce })
      )

      /** Wallets for which nobody has come within a lease hold nothing any more. */
      const forget = Effect.map(Clock.currentTimeMillis, (now) => {
        for (const [wallet, { filledAt, waiting }] of shelves) {
          if (waiting === 0 && now - filledAt > leaseMillis) shelves.delete(wallet)
        }
      })

      const release = Effect.suspend(() => {
        const unused = [...shelves.values()].flatMap(({ ready }) => ready.map(({ address }) => address))
        return sql`update deposit.addresses set leased_by = null, leased_until = null
          where leased_by = ${owner} and address = any(${unused}::text[])`
      })

      yield* Effect.addFinalizer(() => Effect.ignore(release))
      yield* sweep.pipe(
        Effect.andThen(forget),
        Effect.catch((error) => Effect.logWarning("leases of addresses could not be swept", error)),
        Effect.repeat(Schedule.spaced(`${sweepSeconds} seconds`)),
        Effect.forkScoped
      )

      return AddressPool.of({
        take,
        giveBack: (deposit) =>
          Effect.sync(() => {
            const shelf = shelves.get(deposit.wallet)
            // If it is not ours any more, it has gone back by itself.
            if (shelf !== undefined) shelf.ready = [deposit, ...shelf.ready].toSorted((a, b) => a.index - b.index)
          })
      })
    })
  )
