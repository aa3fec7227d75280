/** Plays random histories until one fails, in a process whose sources `mutate.ts` has changed. Prints which one failed. */
import { Effect, Layer, Redacted } from "effect"
import { memoryLedger, postgresEmptied, postgresLedgerOn } from "../support/ledgers.ts"
import { firstFailure } from "../support/scannerModel.ts"

const { MUTANT_DATABASE: url, MUTANT_RUNS: runs, MUTANT_SCANNERS: scanners, MUTANT_SEED: seed } = process.env
const play = { runs: Number(runs), scanners: Number(scanners), seed: Number(seed) }

const failure = await Effect.runPromise(
  url === undefined
    ? Effect.promise(() => firstFailure(play, memoryLedger))
    : Effect.scoped(Effect.gen(function*() {
      const context = yield* Layer.build(postgresLedgerOn(Redacted.make(url)))
      const empty = yield* Effect.provideContext(postgresEmptied, context)
      return yield* Effect.promise(() => firstFailure(play, empty))
    }))
)
process.stdout.write(JSON.stringify(failure))
