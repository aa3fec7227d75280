/** A worker loses its database and nothing else: no answer, no goodbye. It lets go, another takes over, and nothing is done twice. */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import * as net from "node:net"
import * as PostgresBus from "#adapters/postgres/Bus.ts"
import * as Database from "#adapters/postgres/Database.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { newId } from "#commands/NewId.ts"
import { Bus, type Group, type Message } from "#ports/Bus.ts"
import { EventStore } from "#ports/EventStore.ts"
import { freshDatabase } from "../support/database.ts"
import { until } from "../support/until.ts"

/** A wire to the server that can be cut so that neither end notices. */
const wire = (url: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    const target = new URL(Redacted.value(url))
    const { hostname, port } = target
    const ends = new Set<net.Socket>()
    let whole = true
    const server = net.createServer((near) => {
      const far = net.connect(Number(port), hostname)
      for (const [from, to] of [[near, far], [far, near]] as const) {
        ends.add(from)
        from.on("data", (data) => whole && to.write(data))
        from.on("error", () => undefined)
        from.on("close", () => whole && to.destroy())
      }
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    const remove = Effect.sync(() => {
      for (const end of ends) end.destroy()
      server.close()
    })
    yield* Effect.addFinalizer(() => remove)
    target.host = `127.0.0.1:${(server.address() as net.AddressInfo).port}`
    return { url: Redacted.make(target.toString()), cut: Effect.sync(() => (whole = false)), remove }
  })

const worker = (url: Redacted.Redacted<string>) =>
  Layer.build(
    Layer.mergeAll(PostgresBus.layer({ leaseSeconds: 1 }), PostgresEventStore.layer).pipe(
      Layer.provideMerge(Database.layer({ url, maxConnections: 8, statementSeconds: 1, idleTransactionSeconds: 2 })),
      Layer.fresh
    )
  )

const group: Group = { name: "counting", topic: "domain-events", consumers: 2, batch: 1, tries: 3 }

it.live(
  "159: a worker cut off from its database alone lets go in time, and another does its work once",
  () =>
    Effect.gen(function*() {
      const url = yield* freshDatabase
      const { cut, remove, url: through } = yield* wire(url)
      const [lonely, other] = [yield* worker(through), yield* worker(url)]
      const sql = yield* Effect.provide(PgClient.PgClient, other)
      yield* sql`create table counted (id text, by text)`
      const tenant = yield* newId({ prefix: "mer", evergreen: true })
      const append = Effect.gen(function*() {
        const { append } = yield* EventStore
        const stream = yield* newId({ prefix: "inv", evergreen: false })
        return yield* append({
          stream,
          category: "invoice",
          tenant,
          expected: 0,
          events: [{ type: "Noted", schemaVersion: 1, data: {} }],
          at: yield* DateTime.now,
          meta: { command: "Test", actor: "test" },
          rows: []
        })
      })
      yield* Effect.provide(append, other)

      // The lonely one is in the midst of its work, with its write made and not committed, when the wire is cut.
      let struck = false
      const count = (by: string) => (messages: ReadonlyArray<Message>) =>
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          for (const { id } of messages) yield* sql`insert into counted values (${id}, ${by})`
          if (by !== "lonely") return
          yield* cut
          struck = true
        })
      const consume = (by: string) =>
        Effect.flatMap(Bus, ({ consume }) =>
          Effect.flatMap(Effect.context<PgClient.PgClient>(), (context) =>
            consume(group, (messages) =>
              Effect.orDie(Effect.provide(count(by)(messages), context)))))
      // Connections that stand already are the ones on which an answer can be waited for in vain.
      const mine = yield* Effect.provide(PgClient.PgClient, lonely)
      yield* Effect.replicateEffect(mine`select pg_sleep(0.1)`, 8, { concurrency: 8 })
      yield* Effect.provide(consume("lonely"), lonely)
      yield* until("it is at work", () =>
        struck)
      const before = performance.now()
      const failure = yield* Effect.flip(Effect.provide(append, lonely))
      assert.strictEqual(failure._tag, "StoreUnavailable")
      assert.isBelow(performance.now() - before, 12_000)

      yield* Effect.provide(consume("other"), other)
      const counted = sql<{ by: string }>`select by from counted`
      yield* until("the other has done it", () => Effect.map(counted, (rows) => rows.length > 0))
      assert.deepStrictEqual(yield* counted, [{ by: "other" }])
      // Else its orderly end would wait in vain on every connection that it still believes in.
      yield* remove
    }),
  60_000
)

it.live("135: a transaction whose connection breaks is an outage, and no defect", () =>
  Effect.gen(function*() {
    const url = yield* freshDatabase
    const database = yield* Layer.build(Database.layer({ url, maxConnections: 1 }))
    const sql = yield* Effect.provide(PgClient.PgClient, database)
    const broken = sql.withTransaction(sql`select pg_terminate_backend(pg_backend_pid())`)
    assert.strictEqual((yield* Effect.flip(Database.unavailable(broken)))._tag, "StoreUnavailable")
    assert.strictEqual((yield* Database.unavailable(sql`select 1`)).length, 1, "and the pool heals")
  }))
