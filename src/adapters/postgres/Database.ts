/** The connection pool, and what its failures mean to the rest of the house. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { SqlError } from "effect/sql"
import * as net from "node:net"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { migrate } from "./Migrations.ts"

export interface Options {
  readonly url: Redacted.Redacted<string>
  readonly maxConnections?: number
  readonly applicationName?: string
  /** How long a statement may take before the server ends it. */
  readonly statementSeconds?: number
  /** After so much silence within a transaction the server takes it for abandoned, and frees what it locked. */
  readonly idleTransactionSeconds?: number
}

export const layer = (
  { applicationName = "checkout", idleTransactionSeconds = 60, maxConnections = 20, statementSeconds = 15, url }:
    Options
) =>
  PgClient.layer({
    url,
    maxConnections,
    applicationName,
    stream: () => watched(Redacted.value(url), (statementSeconds + 5) * 1000),
    startupParameters: {
      statement_timeout: `${statementSeconds * 1000}`,
      idle_in_transaction_session_timeout: `${idleTransactionSeconds * 1000}`
    }
  })

/**
 * A connection that breaks when a question stays unanswered for longer than the server itself would let it: a server
 * that fell silent without a word would else be waited for until the kernel gives up, a quarter of an hour later.
 * Over TLS the answers cannot be told apart here, and only the kernel's patience counts.
 */
const watched = (url: string, patience: number) => {
  const { hostname, port, searchParams } = new URL(url)
  const host = decodeURIComponent(searchParams.get("host") ?? hostname).replace(/^\[(.*)\]$/, "$1") || "localhost"
  const number = Number(searchParams.get("port") ?? port) || 5432
  const socket = host.startsWith("/")
    ? net.connect({ path: `${host}/.s.PGSQL.${number}` })
    : net.connect({ host, port: number, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 })
  if (!/^(disable)?$/.test(searchParams.get("sslmode") ?? "")) return socket
  let asked = 0
  socket.on("data", () => (asked = socket.bytesWritten))
  socket.setTimeout(patience, () => {
    if (socket.bytesWritten > asked) socket.destroy(new Error(`the database has not answered for ${patience} ms`))
  })
  return socket
}

/** The pool on a database that has today's schema. */
export const layerMigrated = (options: Options) => Layer.effectDiscard(migrate).pipe(Layer.provideMerge(layer(options)))

/**
 * A failure of the database is transient to its callers (503, with a time to come back), unless it says that our own
 * statement was wrong: that is a defect, and dies.
 */
export const unavailable = <A, E, R>(
  effect: Effect.Effect<A, E | SqlError.SqlError, R>
): Effect.Effect<A, Exclude<E, SqlError.SqlError> | StoreUnavailable, R> =>
  Effect.catchIf(withRollbacks(effect), SqlError.isSqlError, (error) =>
    isOurs(error)
      ? Effect.die(error)
      : Effect.fail(
        new StoreUnavailable({ reason: stateOf(error) ?? error.reason._tag, retryAfterSeconds: 1 })
      )) as Effect.Effect<A, Exclude<E, SqlError.SqlError> | StoreUnavailable, R>

/** A transaction whose connection is gone dies of not being able to roll back: that is an outage like any other. */
const withRollbacks = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchDefect(effect, (defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect))

/** What the server called the failure, in five letters; undefined where it had no say in it. */
const stateOf = ({ reason: { cause } }: SqlError.SqlError) =>
  cause instanceof Error && "code" in cause && /^[0-9A-Z]{5}$/.test(String(cause.code)) ? String(cause.code) : undefined

/** Classes 21 and 22: two rows where there can be one, text that is no JSON, a zero byte. No retry will mend it. */
const isOurs = (error: SqlError.SqlError) =>
  ["SqlSyntaxError", "ConstraintError", "UniqueViolation"].includes(error.reason._tag) ||
  /^2[12]/.test(stateOf(error) ?? "")

/**
 * Whether whatever is asked now would fare no better: nobody answers, or the server is full (53), stopping or starting
 * (57P), cannot read its disk (58), or is a copy that takes no writes (25006).
 */
export const isAway = (error: SqlError.SqlError) =>
  ["ConnectionError", "AuthenticationError", "AuthorizationError", "LockTimeoutError", "StatementTimeoutError"]
    .includes(error.reason._tag) || /^(53|57P|58|25006)/.test(stateOf(error) ?? "")
