/**
 * Plays random histories, or the ledger's contract, until one fails, in a process whose sources `mutate.ts` has changed.
 * Prints what failed and after how many tries; null where nothing did.
 */
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type { ChainLedger } from "#ports/ChainLedger.ts"
import { chainLedgerContract } from "../contracts/ChainLedger.contract.ts"
import { memoryLedger, postgresEmptied, postgresLedgerOn, type Probe } from "../support/ledgers.ts"
import { firstFailure, type Play } from "../support/scannerModel.ts"

export interface Noticed {
  readonly tries: number
  readonly of: string
}

const { MUTANT_BY: by, MUTANT_DATABASE: url, MUTANT_PLAY: play = "" } = process.env

const contract = Effect.fnUntraced(function*(empty: Layer.Layer<ChainLedger | Probe>) {
  const tests: Array<{ readonly what: string; readonly test: Effect.Effect<unknown, unknown, ChainLedger | Probe> }> =
    []
  chainLedgerContract((what, test) => tests.push({ what, test }))
  for (const [i, { test, what }] of tests.entries()) {
    const exit = yield* Effect.exit(Effect.provide(test, Layer.mergeAll(empty, TestClock.layer()), { local: true }))
    if (exit._tag === "Failure") return { tries: i + 1, of: `it ${what}` }
  }
  return null
})

const notice = (empty: Layer.Layer<ChainLedger | Probe>) =>
  by === "contract" ? contract(empty) : Effect.promise(() => firstFailure(JSON.parse(play) as Play, empty))

const noticed: Noticed | null = await Effect.runPromise(
  url === undefined
    ? notice(memoryLedger)
    : Effect.scoped(Effect.gen(function*() {
      const context = yield* Layer.build(postgresLedgerOn(Redacted.make(url)))
      return yield* notice(yield* Effect.provideContext(postgresEmptied, context))
    }))
)
process.stdout.write(JSON.stringify(noticed))
