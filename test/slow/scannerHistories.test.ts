/** The same histories as in `test/processes/Scanner.histories.test.ts`, and many more of them. */
import { describe } from "@effect/vitest"
import { historiesOn } from "../support/scannerHistories.ts"

describe("a scanner, whatever happens", () =>
  historiesOn({ memory: 10_000, postgres: 400, twoInMemory: 2_000, twoOnPostgres: 400 }))
