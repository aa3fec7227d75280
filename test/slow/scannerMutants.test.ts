/** The random histories can fail: each decision of the scanner is spoilt in turn, and they have to notice. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { type Mutant, mutants } from "../mutants/scanner.ts"
import { freshDatabase } from "../support/database.ts"

/** Several times as many as any of them was seen to need. */
const most = { memory: 6_000, postgres: 600 }
const seed = Number(process.env["SCANNER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

const play = Effect.fnUntraced(function*({ ledger, name, scanners = 1 }: Mutant) {
  const url = ledger === "postgres" ? { MUTANT_DATABASE: Redacted.value(yield* freshDatabase) } : {}
  const { stdout } = yield* Effect.promise(() =>
    promisify(execFile)(process.execPath, ["--import", "./test/mutants/mutate.ts", "./test/mutants/play.ts"], {
      env: {
        ...process.env,
        ...url,
        MUTANT: name,
        MUTANT_RUNS: String(most[ledger]),
        MUTANT_SCANNERS: String(scanners),
        MUTANT_SEED: String(seed)
      },
      timeout: 600_000
    })
  )
  return JSON.parse(stdout) as { readonly histories: number; readonly of: string } | null
})

describe("the histories of a scanner notice", () => {
  for (const mutant of mutants) {
    it.live(mutant.name, () =>
      Effect.scoped(Effect.gen(function*() {
        const failure = yield* play(mutant)
        assert.isNotNull(failure, `not noticed in ${most[mutant.ledger]} histories from seed ${seed}`)
        console.log(`${mutant.name}: ${failure?.histories} histories, ${failure?.of} (seed ${seed})`)
      })))
  }
})
