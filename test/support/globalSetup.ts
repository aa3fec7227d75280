/**
 * One Postgres for the whole suite: the one TEST_DATABASE_URL names, else the embedded one in a temporary folder.
 * It holds a migrated template, from which every test file gets a database of its own (see `database.ts`).
 */
import { Effect, Exit, Redacted, Scope } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { TestProject } from "vitest/node"
import * as EmbeddedPostgres from "#adapters/embedded/Postgres.ts"
import { migrateTemplate } from "./database.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
  }
}

export default async function setup(project: TestProject) {
  const scope = Effect.runSync(Scope.make())
  const folder = fs.mkdtempSync(path.join(tmpdir(), "checkout-test-"))
  fs.chmodSync(folder, 0o755)
  const settings = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "300" }
  const start = EmbeddedPostgres.start({ folder: path.join(folder, "postgres"), settings })
  const given = process.env["TEST_DATABASE_URL"]
  const url = given ?? await Effect.runPromise(Effect.provideService(start, Scope.Scope, scope))
  await Effect.runPromise(migrateTemplate(Redacted.make(url)))
  project.provide("postgresUrl", url)
  return async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
