/** A Postgres of its own for one bench, with the durability it has in production. */
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import * as EmbeddedPostgres from "#adapters/embedded/Postgres.ts"

/** The URL of an empty database that is gone when the scope closes. */
export const freshServer = Effect.gen(function*() {
  const folder = fs.mkdtempSync(path.join(tmpdir(), "checkout-bench-"))
  fs.chmodSync(folder, 0o755)
  yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true })))
  const server = yield* EmbeddedPostgres.start({ folder: path.join(folder, "postgres") })
  return Redacted.make(`${server}/postgres`)
})
