/** The tests of the scanner can fail: each of its decisions is spoilt in turn, and they have to notice. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { Noticed } from "../mutants/play.ts"
import { type Mutant, mutants } from "../mutants/scanner.ts"
import { freshDatabase } from "../support/database.ts"
import type { Play } from "../support/scannerModel.ts"

/** Several times as many histories as any of them was seen to need. */
const most = { memory: 6_000, postgres: 600 }
const seed = Number(process.env["SCANNER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

const play = Effect.fnUntraced(function*({ ledger, name, noticedBy, scanners = 1 }: Mutant) {
  const play: Play = { runs: most[ledger], scanners, seed }
  const url = ledger === "postgres" ? { MUTANT_DATABASE: Redacted.value(yield* freshDatabase) } : {}
  const { stdout } = yield* Effect.promise(() =>
    promisify(execFile)(process.execPath, ["--import", "./test/mutants/mutate.ts", "./test/mutants/play.ts"], {
      env: {
        ...process.env,
        ...url,
        MUTANT: name,
        MUTANT_BY: noticedBy ?? "histories",
        MUTANT_PLAY: JSON.stringify(play)
      },
      timeout: 600_000
    })
  )
  return JSON.parse(stdout) as Noticed | null
})

describe(`mutants of the scanner are noticed (seed ${seed}):`, () => {
  for (const mutant of mutants) {
    it.live(mutant.name, () =>
      Effect.scoped(Effect.gen(function*() {
        const noticed = yield* play(mutant)
        assert.isNotNull(noticed, `not noticed in ${most[mutant.ledger]} histories from seed ${seed}`)
        console.log(`${mutant.name}: noticed by ${mutant.noticedBy ?? "history"} ${noticed?.tries}: ${noticed?.of}`)
      })))
  }
})
