/** Whatever chain, node and process do, what was published adds up to what stands on the chain. */
import { describe } from "@effect/vitest"
import { historiesOn } from "../support/scannerHistories.ts"

describe("a scanner, whatever happens", () =>
  historiesOn({ memory: 1_000, postgres: 25, twoInMemory: 200, twoOnPostgres: 25 }))
