/** Whatever chain, node and process do, what was published adds up to what stands on the chain. */
import type { PgClient } from "@effect/sql-pg"
import { describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { ChainLedger } from "#ports/ChainLedger.ts"
import { clearPostgres, memoryLedger, postgresLedger, type Probe } from "../support/ledgers.ts"
import { histories } from "../support/scannerModel.ts"

/** SCANNER_HISTORIES plays more of them, SCANNER_SEED the same ones again. */
const runs = Number(process.env["SCANNER_HISTORIES"] ?? 200)
const patience = 600_000

describe("with the ledger in memory", () => {
  it.live("publishes exactly what stands on the chain", () => histories(runs, memoryLedger), patience)
})

layer(postgresLedger, { excludeTestServices: true })("with the ledger in Postgres", (it) => {
  it.effect("publishes exactly what stands on the chain", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<ChainLedger | Probe | PgClient.PgClient>()
      const empty = Layer.effectDiscard(clearPostgres).pipe(Layer.provideMerge(Layer.succeedContext(context)))
      yield* histories(Math.ceil(runs / 10), empty)
    }), patience)
})
