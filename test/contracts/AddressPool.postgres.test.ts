import { PgClient } from "@effect/sql-pg"
import { assert, layer as describeWith } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schedule, Scope } from "effect"
import * as PostgresAddressPool from "#adapters/postgres/AddressPool.ts"
import { toUuid } from "#domain/Id.ts"
import { AddressPool, type Deposit } from "#ports/AddressPool.ts"
import { databaseLayer } from "../support/database.ts"
import { invoiceId, merchantId } from "../support/examples.ts"
import { addressPoolContract, indexes, registeredWallets } from "./AddressPool.contract.ts"

addressPoolContract("postgres", PostgresAddressPool.layer().pipe(Layer.provide(databaseLayer())))

/** A process's own pool, and the scope that its end closes. */
const aProcess = (options: PostgresAddressPool.Options = {}) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    // However a test ends, nothing may go on asking a database that is gone.
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const layer = Layer.fresh(PostgresAddressPool.layer(options)).pipe(Layer.provide(registeredWallets))
    const pool = Context.get(yield* Layer.build(layer).pipe(Scope.provide(scope)), AddressPool)
    return { take: pool.take, giveBack: pool.giveBack, stop: Scope.close(scope, Exit.void) }
  })

const takes = (pool: Effect.Success<ReturnType<typeof aProcess>>, wallet: string, count: number) =>
  Effect.all(Array.from({ length: count }, () => pool.take(wallet)), { concurrency: "unbounded" })

/** What an invoice leaves behind that came to use the address. */
const use = ({ address, index, wallet }: Deposit) =>
  Effect.flatMap(
    PgClient.PgClient,
    (sql) =>
      sql`insert into read.address_book (key, tenant, stream, version, data, created_at, updated_at)
      values (${address}, ${toUuid(merchantId)}::uuid, ${toUuid(invoiceId)}::uuid, 1,
              ${sql.json({ address, wallet, index })}, now(), now())`
  )

const rowsLeft = (wallet: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    sql<{ index: number; leased: boolean }>`
      select index, leased_until is not null as leased from deposit.addresses where wallet = ${wallet} order by index`)

/** Asks again until it is so; the test's own time limit is the end of patience. */
const eventually = <A, E, R>(question: Effect.Effect<A, E, R>, isSo: (answer: A) => boolean) =>
  Effect.repeat(question, { until: isSo, schedule: Schedule.spaced("50 millis") })

describeWith(databaseLayer(), { excludeTestServices: true })("the pool in Postgres", (it) => {
  it.effect("shares its addresses between two processes", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* aProcess(), yield* aProcess()]
      const deposits = (yield* Effect.all([takes(one, "wal_shared", 100), takes(other, "wal_shared", 100)], {
        concurrency: 2
      })).flat()
      assert.strictEqual(new Set(indexes(deposits)).size, 200)
      // Neither leaves more behind than it had leased at a time.
      assert.isBelow(Math.max(...indexes(deposits)), 200 + 2 * 64)
    }))

  it.effect("returns at once what a process that ends had not used", () =>
    Effect.gen(function*() {
      const one = yield* aProcess()
      yield* takes(one, "wal_ended", 1)
      yield* one.stop
      const leased = (yield* rowsLeft("wal_ended")).filter((row) => row.leased)
      assert.deepStrictEqual(leased.map(({ index }) => index), [0])
    }))

  it.effect("returns what a killed process had leased, once the lease has lapsed", () =>
    Effect.gen(function*() {
      const killed = yield* aProcess({ leaseSeconds: 1, sweepSeconds: 600 })
      const lost = yield* takes(killed, "wal_killed", 20)
      const alive = yield* aProcess({ leaseSeconds: 600, sweepSeconds: 0.05 })
      const found = yield* eventually(
        Effect.map(alive.take("wal_killed"), ({ index }) => index),
        (index) => index === 0
      )
      assert.include(indexes(lost), found)
    }))

  it.effect("never gives out again what an invoice has, and keeps no row of it", () =>
    Effect.gen(function*() {
      const gone = yield* aProcess({ leaseSeconds: 1, sweepSeconds: 600 })
      const [used, unused] = yield* takes(gone, "wal_used", 2)
      assert.deepStrictEqual([used?.index, unused?.index], [0, 1])
      if (used === undefined) return
      yield* use(used)
      const alive = yield* aProcess({ sweepSeconds: 0.05 })
      yield* eventually(rowsLeft("wal_used"), (rows) => rows.every(({ index, leased }) => index > 0 && !leased))
      assert.strictEqual((yield* alive.take("wal_used")).index, 1)
    }))

  it.effect("does not derive again what was used and is gone", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const one = yield* aProcess()
      const [used] = yield* takes(one, "wal_restored", 1)
      if (used === undefined) return
      yield* use(used)
      yield* one.stop
      // As after a restore of an older pool beside a newer address book.
      yield* sql`delete from deposit.addresses where wallet = 'wal_restored'`
      yield* sql`delete from deposit.wallets where wallet = 'wal_restored'`
      assert.strictEqual((yield* (yield* aProcess()).take("wal_restored")).index, 1)
    }))

  it.effect("leases more at a time for a wallet in demand, and few for one that is not", () =>
    Effect.gen(function*() {
      const pool = yield* aProcess()
      yield* takes(pool, "wal_quiet", 1)
      const leased = (wallet: string) => Effect.map(rowsLeft(wallet), (rows) => rows.filter((row) => row.leased).length)
      assert.strictEqual(yield* leased("wal_quiet"), 2)
      yield* takes(pool, "wal_busy", 150)
      assert.isAtLeast(yield* leased("wal_busy"), 150)
      assert.isAtMost(yield* leased("wal_busy"), 150 + 64)
    }))
})
