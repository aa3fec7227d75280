/** Streams in Postgres. Appends that arrive while a statement is under way are written together by the next one. */
import { PgClient } from "@effect/sql-pg"
import { DateTime, Effect, Exit, Layer, Schedule } from "effect"
import { SqlError } from "effect/sql"
import { fromUuid, type Prefix, toUuid } from "#domain/Id.ts"
import {
  AlreadyReceived,
  type Append,
  EventStore,
  type Meta,
  NotUnique,
  type Recorded,
  type Snapshot,
  type Stored,
  StoreUnavailable,
  StreamMoved
} from "#ports/EventStore.ts"
import { type Outcome, parametersFor, textFor } from "./AppendStatement.ts"
import * as Database from "./Database.ts"
import * as Lanes from "./Lanes.ts"

type Refused = StreamMoved | AlreadyReceived | NotUnique | StoreUnavailable

export interface Options {
  /** Statements under way at once. Two serve better than four: what queues meanwhile makes the next ones bigger. */
  readonly lanes: number
  /** Appends in one statement, at most. */
  readonly batch: number
}

/** Appends waiting for their turn in a lane, at most. More is an overload, which the caller is told at once. */
const waiting = 1024
/** Times that an append alone is tried again, after it lost a race with a transaction of another process. */
const races = 5

const make = Effect.fnUntraced(function*({ batch, lanes }: Options) {
  const sql = yield* PgClient.PgClient

  yield* Database.unavailable(sql.unsafe("select es.check_era()"))
  const ensurePartitions = Database.unavailable(sql.unsafe("select es.ensure_partitions()"))
  yield* ensurePartitions
  yield* ensurePartitions.pipe(
    Effect.tapCause((cause) => Effect.logError("the months ahead have no partition yet", cause)),
    Effect.retry(Schedule.spaced("5 minutes")),
    Effect.schedule(Schedule.spaced("1 day")),
    Effect.forkScoped
  )

  const write = (batch: ReadonlyArray<Append>) =>
    Effect.suspend(() => sql.unsafe<{ readonly outcome: Outcome }>(textFor(batch), parametersFor(batch))).pipe(
      Effect.map((written) => batch.map((append, i) => answers[written[i]?.outcome ?? "moved"](append)))
    )

  const writeAlone = (append: Append): Effect.Effect<number, Refused> =>
    write([append]).pipe(
      Effect.retry({ while: lostARace, times: races }),
      Effect.flatMap(([answer]) => answer ?? Exit.die("an append without an answer")),
      Effect.catchIf(isSql("UniqueViolation"), ({ reason }) => new NotUnique({ constraint: constraintOf(reason) })),
      Database.unavailable
    )

  // One append that cannot be written takes the statement of all of them back. Then each is written by itself.
  const writeTogether = (batch: ReadonlyArray<Append>) =>
    write(batch).pipe(
      Effect.catchIf(
        // Where nobody answers, trying each by itself would only take longer to fail.
        (error) => !Database.isAway(error),
        () => Effect.forEach(batch, (append) => Effect.exit(writeAlone(append)))
      ),
      Database.unavailable,
      Effect.catchCause((cause) => Effect.succeed(batch.map((): Exit.Exit<number, Refused> => Exit.failCause(cause))))
    )

  const append = yield* Lanes.make<Append, number, Refused>({
    lanes,
    batch,
    waiting,
    key: ({ stream }) => stream,
    run: (batch) => {
      const [first] = batch
      return first !== undefined && batch.length === 1 ?
        Effect.map(Effect.exit(writeAlone(first)), (exit) => [exit]) :
        writeTogether(batch)
    },
    full: Exit.fail(new StoreUnavailable({ reason: "Overloaded", retryAfterSeconds: 1 })),
    closed: Exit.fail(new StoreUnavailable({ reason: "Closing", retryAfterSeconds: 1 }))
  })

  return EventStore.of({
    append,

    read: (stream, tenant, after = 0) =>
      sql.unsafe<EventRow>(readText, [toUuid(stream), toUuid(tenant), after]).pipe(
        Effect.map((rows) => rows.map((row) => recorded(row, stream, tenant))),
        Database.unavailable
      ),

    receipt: (tenant, key) =>
      sql.unsafe<ReceiptRow>(receiptText, [toUuid(tenant), key]).pipe(
        Effect.map(([row]): Stored | null =>
          row === undefined
            ? null
            : { hash: row.hash, stream: fromUuid(row.prefix as Prefix, row.stream_id), version: row.version }
        ),
        Database.unavailable
      ),

    snapshot: (stream, tenant) =>
      sql.unsafe<Snapshot>(snapshotText, [toUuid(stream), toUuid(tenant)]).pipe(
        Effect.map(([snapshot = null]) => snapshot),
        Database.unavailable
      ),

    keepSnapshot: (stream, { reducer, state, version }) =>
      Effect.asVoid(Database.unavailable(
        sql.unsafe(keepSnapshotText, [toUuid(stream), version, reducer, JSON.stringify(state)])
      ))
  })
})

/** Needs a migrated database. Sees to it that the months ahead have partitions, now and every day. */
export const layerWith = (options: Options) => Layer.effect(EventStore, make(options))

export const usual: Options = { lanes: 2, batch: 64 }

export const layer = layerWith(usual)

/** What the caller of an append hears. */
const answers: Record<Outcome, (append: Append) => Exit.Exit<number, Refused>> = {
  written: ({ events, expected }) => Exit.succeed(expected + events.length),
  received: ({ receipt }) => Exit.fail(new AlreadyReceived({ key: receipt?.key ?? "" })),
  moved: ({ stream }) => Exit.fail(new StreamMoved({ stream }))
}

const isSql =
  (...reasons: ReadonlyArray<SqlError.SqlErrorReason["_tag"]>) => (error: unknown): error is SqlError.SqlError =>
    SqlError.isSqlError(error) && reasons.includes(error.reason._tag)

const lostARace = isSql("SerializationError", "DeadlockError")
const constraintOf = (reason: SqlError.SqlErrorReason) =>
  reason._tag === "UniqueViolation" ? reason.constraint : reason._tag

interface EventRow {
  readonly event_id: string
  readonly version: number
  readonly recorded_at: Date
  readonly category: string
  readonly type: string
  readonly schema_version: number
  readonly data: unknown
  readonly meta: Meta
}

const readText = `select event_id, version, recorded_at, category, type, schema_version, data, meta
  from es.events where stream_id = $1::uuid and tenant_id = $2::uuid and version > $3::int order by version`

const recorded = (row: EventRow, stream: string, tenant: string): Recorded => ({
  eventId: fromUuid("evt", row.event_id),
  stream,
  category: row.category,
  tenant,
  version: row.version,
  recordedAt: DateTime.fromDateUnsafe(row.recorded_at),
  type: row.type,
  schemaVersion: row.schema_version,
  data: row.data,
  meta: row.meta
})

interface ReceiptRow {
  readonly hash: string
  readonly stream_id: string
  readonly prefix: string
  readonly version: number
}

const receiptText =
  "select hash, stream_id, prefix, version from es.commands where tenant_id = $1::uuid and key = $2::text"

const snapshotText = `select k.version, k.reducer, k.state from es.snapshots k join es.streams s using (stream_id)
  where k.stream_id = $1::uuid and s.tenant_id = $2::uuid`

const keepSnapshotText = `insert into es.snapshots as k (stream_id, version, reducer, state)
  values ($1::uuid, $2::int, $3::text, $4::jsonb)
  on conflict (stream_id) do update set version = excluded.version, reducer = excluded.reducer, state = excluded.state,
    taken_at = now() where k.version < excluded.version or k.reducer <> excluded.reducer`
