/** What only a real database can show of the chain ledger: who waits for whom. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { DateTime, Deferred, Effect, Fiber } from "effect"
import { units } from "#domain/Amount.ts"
import { chains } from "#domain/Chain.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import type { Block } from "#ports/ChainReader.ts"
import { postgresLedger, Probe } from "../support/ledgers.ts"
import { address } from "../support/SimulatedChain.ts"
import { until } from "../support/until.ts"

const late = address(9)
const header = { number: 7, hash: "0x7", parentHash: "0x6", time: DateTime.makeUnsafe(0) }
const block: Block = {
  ...header,
  number: 8,
  hash: "0x8",
  parentHash: "0x7",
  movements: [{
    transaction: "0xa",
    position: -1,
    asset: "eth",
    decimals: 18,
    from: address(1),
    to: late,
    amount: units(1n)
  }]
}

layer(postgresLedger, { excludeTestServices: true })("the chain ledger in Postgres", (it) => {
  it.effect("lets a look-up wait for the block that is being written, and find what is in it", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const { backfill, begin, commit } = yield* ChainLedger
      const { published, register } = yield* Probe
      yield* begin("dev", { header, genesis: "0x0", finalized: 0 })

      const written = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const rules = { depths: chains.dev.confirmations, finalized: 0, window: 10 }
      const committing = yield* commit("dev", [block], rules).pipe(
        Effect.andThen(Deferred.succeed(written, undefined)),
        Effect.andThen(Deferred.await(goOn)),
        sql.withTransaction,
        Effect.forkChild
      )
      yield* Deferred.await(written)
      // Given out after the block's movements were compared with the address book, and before anybody can read them.
      yield* register(late, "test")
      const lookingUp = yield* Effect.forkChild(backfill([late]))
      yield* until(
        "the look-up waits",
        () =>
          Effect.map(
            sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
            (rows) => rows.length === 1
          )
      )
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(committing)
      yield* Fiber.join(lookingUp)
      assert.deepStrictEqual((yield* published).map(({ _tag }) => _tag), ["TransferSeen"])
    }))
})
