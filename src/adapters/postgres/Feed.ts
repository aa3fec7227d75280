/** The feed of a topic, read in pages: every committed message once, in the order of its key. */
import type { PgClient } from "@effect/sql-pg"
import { DateTime, Effect } from "effect"
import type { Statement } from "effect/sql"
import { fromUuid, type Prefix } from "#domain/Id.ts"
import type { Message, Topic } from "#ports/Bus.ts"

/** What was read: all that snapshot `prev` sees, and of what `cur` sees besides, the part up to (tx, position). */
export interface Cursor {
  readonly prev: string
  readonly cur: string | null
  readonly tx: bigint
  readonly position: bigint
}

/** The feed as a table in a `from`. Its place is `prev, cur, tx, position, limit, shards`. */
export const table = (sql: PgClient.PgClient, topic: Topic, place: Statement.Fragment) =>
  topic === "domain-events" ? sql`es.feed(${place})` : sql`es.outbox_feed(${topic}, ${place})`

/**
 * The page behind the cursor that this statement selects as (prev, cur, tx, position); null if it selects none. All
 * shards if none are named.
 */
export const read = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  topic: Topic,
  { cursor, limit, shards }: {
    readonly cursor: Statement.Fragment
    readonly limit: number
    readonly shards: ReadonlyArray<number> | null
  }
) {
  const columns = topic === "domain-events"
    ? sql`f.tx, f.position, f.event_id::text as id, f.prefix, f.stream_id::text as stream, f.category, f.version,
          f.tenant_id::text as tenant, f.type, f.schema_version, f.data as body,
          f.meta->>'traceparent' as traceparent, f.recorded_at`
    : sql`f.tx, f.position, f.id, f.key, f.type, f.schema_version, f.body, f.headers, f.recorded_at`
  const place = sql`c.prev, c.cur, c.tx, c.position, ${limit}, ${shards}::smallint[]`
  const rows = yield* sql<Snapshots & (EventRow | OutboxRow | Nothing)>`
    with c as materialized (${cursor})
    select c.prev::text as prev, c.cur::text as cur, m.*
      from c left join lateral (select ${columns} from ${table(sql, topic, place)} f) m on true
     order by m.tx, m.position`
  const [first] = rows
  if (first === undefined) return null
  const found = rows.filter(isMessage)
  const last = found.length < limit ? undefined : found.at(-1)
  /** The cursor behind the page. */
  const after: Cursor = last === undefined
    ? { prev: first.cur, cur: null, tx: 0n, position: 0n }
    : { prev: first.prev, cur: first.cur, tx: last.tx, position: last.position }
  return { messages: found.map((row) => messageOf(topic, row)), after }
})

interface Snapshots {
  readonly prev: string
  readonly cur: string
}

interface Nothing {
  readonly id: null
}

interface MessageRow {
  readonly tx: bigint
  readonly position: bigint
  readonly id: string
  readonly type: string
  readonly schema_version: number
  readonly body: unknown
  readonly recorded_at: Date
}

interface EventRow extends MessageRow {
  readonly prefix: Prefix
  readonly stream: string
  readonly category: string
  readonly version: number
  readonly tenant: string
  readonly traceparent: string | null
}

interface OutboxRow extends MessageRow {
  readonly key: string
  readonly headers: Message["headers"]
}

const isMessage = <Row extends { readonly id: string | null }>(row: Row): row is Exclude<Row, Nothing> =>
  row.id !== null

const messageOf = (topic: Topic, row: EventRow | OutboxRow): Message => {
  const { body, schema_version: schemaVersion, type } = row
  const told = { topic, type, schemaVersion, body, recordedAt: DateTime.fromDateUnsafe(row.recorded_at) }
  if ("key" in row) return { ...told, id: row.id, key: row.key, headers: row.headers }
  const { category, traceparent, version } = row
  const stream = fromUuid(row.prefix, row.stream)
  const tenant = fromUuid("mer", row.tenant)
  const headers = { stream, category, version, tenant, ...(traceparent !== null && { traceparent }) }
  return { ...told, id: fromUuid("evt", row.id), key: stream, headers }
}
