/** A migrated database for each test file, gone when the file is done. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { inject } from "vitest"
import * as Database from "#adapters/postgres/Database.ts"

const template = "checkout_template"

const at = (server: string, name: string) => {
  const url = new URL(server)
  url.pathname = `/${name}`
  return Redacted.make(url.toString())
}

const admin = (server: string) => Database.layer({ url: at(server, "postgres"), maxConnections: 1 })

/** Months in which tests live besides today's: the TestClock's first, and that of the examples. */
const months = ["1970-01-01", "2026-03-01"]

/** Makes the template anew, so that it has today's schema. */
export const migrateTemplate = (server: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    yield* sql.unsafe(`drop database if exists ${template}`)
    yield* sql.unsafe(`create database ${template}`)
    const prepared = Layer.effectDiscard(
      Effect.flatMap(PgClient.PgClient, (sql) =>
        Effect.forEach(months, (month) => sql`select es.ensure_partitions(1, ${month}::timestamptz)`))
    )
    const migrated = Database.layerMigrated({ url: at(Redacted.value(server), template), maxConnections: 1 })
    yield* Effect.scoped(Layer.build(Layer.provide(prepared, migrated)))
  }).pipe(Effect.provide(admin(Redacted.value(server))))

/** The URL of a fresh database, dropped when the scope closes. */
export const freshDatabase = Effect.gen(function*() {
  const server = inject("postgresUrl")
  const name = `t_${randomBytes(8).toString("hex")}`
  const run = (statement: string) =>
    Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(statement)).pipe(Effect.provide(admin(server)), Effect.orDie)
  yield* Effect.acquireRelease(
    run(`create database ${name} template ${template}`),
    () => run(`drop database if exists ${name} with (force)`)
  )
  return at(server, name)
})

/** The pool on a fresh database. */
export const databaseLayer = (options: { readonly maxConnections?: number } = {}) =>
  Layer.unwrap(Effect.map(freshDatabase, (url) => Database.layer({ url, ...options })))
