import { assert, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { databaseLayer } from "../support/database.ts"

it.effect("the suite's Postgres answers", () =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ n: number }>`select 1 as n`
    assert.strictEqual(row?.n, 1)
  }).pipe(Effect.provide(databaseLayer())))
