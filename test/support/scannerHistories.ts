/** The suite of random histories, for a few of them and for many. SCANNER_SEED plays the same ones again. */
import { it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { memoryLedger, postgresEmptied, postgresLedger } from "./ledgers.ts"
import { histories } from "./scannerModel.ts"

const patience = 900_000

export const historiesOn = (runs: { readonly memory: number; readonly postgres: number }) => {
  it.live(
    `publishes exactly what stands on the chain, in ${runs.memory} histories with the ledger in memory`,
    () => histories({ runs: runs.memory }, memoryLedger),
    patience
  )

  layer(postgresLedger, { excludeTestServices: true })("with the ledger in Postgres", (it) => {
    const onPostgres = (scanners: number) =>
      Effect.flatMap(postgresEmptied, (empty) => histories({ runs: runs.postgres, scanners }, empty))
    it.effect(
      `publishes exactly what stands on the chain, in ${runs.postgres} histories`,
      () => onPostgres(1),
      patience
    )
    it.effect(
      `33: two scanners of one chain never both write, in ${runs.postgres} histories`,
      () => onPostgres(2),
      patience
    )
  })
}
