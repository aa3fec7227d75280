import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { memoryLedger } from "../support/ledgers.ts"
import { chainLedgerContract } from "./ChainLedger.contract.ts"

describe("ChainLedger: memory", () =>
  chainLedgerContract((what, test) => it.effect(what, () => Effect.provide(test, memoryLedger))))
