/** The connection pool, and what its failures mean to the rest of the house. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { SqlError } from "effect/sql"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { migrate } from "./Migrations.ts"

export interface Options {
  readonly url: Redacted.Redacted<string>
  readonly maxConnections?: number
  readonly applicationName?: string
}

export const layer = ({ applicationName = "checkout", maxConnections = 20, url }: Options) =>
  PgClient.layer({
    url,
    maxConnections,
    applicationName,
    startupParameters: { statement_timeout: "15000", idle_in_transaction_session_timeout: "60000" }
  })

/** The pool on a database that has today's schema. */
export const layerMigrated = (options: Options) => Layer.effectDiscard(migrate).pipe(Layer.provideMerge(layer(options)))

/**
 * A failure of the database is transient to its callers (503, with a time to come back), unless it says that our own
 * statement was wrong: that is a defect, and dies.
 */
export const unavailable = <A, E, R>(
  effect: Effect.Effect<A, E | SqlError.SqlError, R>
): Effect.Effect<A, Exclude<E, SqlError.SqlError> | StoreUnavailable, R> =>
  Effect.catchIf(effect, SqlError.isSqlError, (error) =>
    isOurs(error)
      ? Effect.die(error)
      : Effect.fail(new StoreUnavailable({ reason: error.reason._tag, retryAfterSeconds: 1 }))) as Effect.Effect<
      A,
      Exclude<E, SqlError.SqlError> | StoreUnavailable,
      R
    >

const isOurs = ({ reason }: SqlError.SqlError) =>
  ["SqlSyntaxError", "ConstraintError", "UniqueViolation"].includes(reason._tag) || isBadData(reason.cause)

/** Classes 21 and 22: two rows where there can be one, text that is no JSON, a zero byte. No retry will mend it. */
const isBadData = (cause: unknown) => cause instanceof Error && "code" in cause && /^2[12]/.test(String(cause.code))
