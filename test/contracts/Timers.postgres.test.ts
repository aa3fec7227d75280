import { PgClient } from "@effect/sql-pg"
import { assert, layer as describeWith } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import * as PostgresTimers from "#adapters/postgres/Timers.ts"
import { Timers } from "#ports/Timers.ts"
import { databaseLayer } from "../support/database.ts"
import { until } from "../support/until.ts"
import { timersContract } from "./Timers.contract.ts"

// Each timer under test is alone in its database.
timersContract("postgres", Layer.suspend(() => PostgresTimers.layer.pipe(Layer.provide(databaseLayer()))))

describeWith(PostgresTimers.layer.pipe(Layer.provideMerge(databaseLayer())), { excludeTestServices: true })(
  "Timers: postgres, beyond the contract",
  (it) => {
    const due = (id: string, millis: number) =>
      Effect.map(DateTime.now, (now) => ({ id, dueAt: DateTime.add(now, { milliseconds: millis }), about: null }))

    it.effect("are set with the ambient transaction, or not at all", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { run, set } = yield* Timers
        const rung: Array<string> = []
        yield* run(({ id }) => Effect.as(Effect.sync(() => rung.push(id)), null))
        yield* set([yield* due("a", 0)]).pipe(
          Effect.andThen(Effect.fail("changed my mind")),
          sql.withTransaction,
          Effect.ignore
        )
        yield* sql.withTransaction(set([yield* due("b", 0)]))
        yield* until("it rings", () => rung.length > 0)
        assert.deepStrictEqual(rung, ["b"])
      }))

    it.effect("are shared by several processes: each of a thousand rings once", () =>
      Effect.gen(function*() {
        const { run, set } = yield* Timers
        const rung: Array<string> = []
        const ids = Array.from({ length: 1000 }, (_, i) => `t${i}`)
        yield* set(yield* Effect.forEach(ids, (id) => due(id, 0)))
        for (const _ of [1, 2, 3]) {
          yield* run(({ id }) => Effect.andThen(Effect.yieldNow, Effect.as(Effect.sync(() => rung.push(id)), null)))
        }
        yield* until("all have rung", () => rung.length >= 1000)
        assert.strictEqual(new Set(rung).size, 1000)
        assert.strictEqual(rung.length, 1000)
      }))

    it.effect("ring elsewhere when the process that claimed them died", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { run, set } = yield* Timers
        const rung: Array<string> = []
        yield* set([yield* due("abandoned", -1000)])
        // What is left of a claim that has half a second to go.
        yield* sql`
          update es.timers set rings_at = clock_timestamp() + interval '500 milliseconds', revision = revision + 1
           where id = 'abandoned'`
        yield* run(({ id }) => Effect.as(Effect.sync(() => rung.push(id)), null))
        yield* until("it rings", () => rung.length === 1)
      }))

    it.effect("do not hold each other up when two transactions set the same ones in another order", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { set } = yield* Timers
        const [a, b] = [yield* due("x", 60_000), yield* due("y", 60_000)]
        const many = (order: Parameters<typeof set>[0]) => sql.withTransaction(set(order))
        yield* Effect.forEach(
          Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? [a, b] : [b, a]),
          many,
          { concurrency: 8 }
        )
      }))
  }
)
