import { layer } from "@effect/vitest"
import { Effect } from "effect"
import { clearPostgres, postgresLedger } from "../support/ledgers.ts"
import { chainLedgerContract } from "./ChainLedger.contract.ts"

layer(postgresLedger)(
  "ChainLedger: postgres",
  (it) => chainLedgerContract((what, test) => it.effect(what, () => Effect.andThen(clearPostgres, test)))
)
