/** The schema, in numbered steps. A step that has landed is never edited: the next change is the next number. */
import { Effect } from "effect"
import { Migrator, SqlClient } from "effect/sql"
import { eventStore } from "./migrations/0001_event_store.ts"
import { views } from "./migrations/0002_views.ts"
import { bus } from "./migrations/0003_bus.ts"
import { chain } from "./migrations/0004_chain.ts"
import { addresses } from "./migrations/0005_addresses.ts"
import { deliveries } from "./migrations/0006_deliveries.ts"

/** One statement after the other: the driver takes one at a time. */
const steps: Readonly<Record<string, ReadonlyArray<string>>> = {
  "0001_event_store": eventStore,
  "0002_views": views,
  "0003_bus": bus,
  "0004_chain": chain,
  "0005_addresses": addresses,
  "0006_deliveries": deliveries
}

const loader = Migrator.fromRecord(
  Object.fromEntries(
    Object.entries(steps).map(([name, statements]) => [
      name,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        for (const statement of statements) yield* sql.unsafe(statement)
      })
    ])
  )
)

/** Brings the database to today's schema. Safe to run at every start, by several processes at once. */
export const migrate = Migrator.make({})({ loader, table: "schema_migrations" }).pipe(
  Effect.catchIf(
    (error) => error._tag === "MigrationError" && error.kind === "Locked",
    () => Effect.logInfo("another process is migrating the database")
  )
)
