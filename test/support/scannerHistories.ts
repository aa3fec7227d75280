/** The suite of random histories, for a few of them and for many. SCANNER_SEED plays the same ones again. */
import { it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { memoryLedger, postgresEmptied, postgresLedger } from "./ledgers.ts"
import { histories } from "./scannerModel.ts"

export interface Runs {
  readonly memory: number
  readonly postgres: number
  /** As many again with two scanners of the same chain at once. */
  readonly twoInMemory: number
  readonly twoOnPostgres: number
}

/** Never twice: another try would play other histories, and forget the one that failed. */
const once = { timeout: 900_000, retry: 0 }
const alone = (runs: number) => `publishes exactly what stands on the chain, in ${runs} histories`
const together = (runs: number) => `33: two of them never both write, in ${runs} histories`

export const historiesOn = ({ memory, postgres, twoInMemory, twoOnPostgres }: Runs) => {
  it.live(alone(memory), () => histories({ runs: memory }, memoryLedger), once)
  it.live(together(twoInMemory), () => histories({ runs: twoInMemory, scanners: 2 }, memoryLedger), once)

  layer(postgresLedger, { excludeTestServices: true })("on Postgres", (it) => {
    const onPostgres = (runs: number, scanners: number) =>
      Effect.flatMap(postgresEmptied, (empty) => histories({ runs, scanners }, empty))
    it.effect(alone(postgres), () => onPostgres(postgres, 1), once)
    it.effect(together(twoOnPostgres), () => onPostgres(twoOnPostgres, 2), once)
  })
}
