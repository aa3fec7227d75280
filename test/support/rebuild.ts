/** The books against themselves: read models are what a fold of the log makes of them, and receipts stand for what is in it. */
import type { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { fromUuid, type Prefix } from "#domain/Id.ts"
import type { Projection } from "#domain/Projection.ts"
import * as History from "#commands/History.ts"
import { addressBook, apiKeys, endpoints, merchants, wallets } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"

// oxlint-disable-next-line typescript/no-explicit-any -- a list of different rows has no one type
const strong: ReadonlyArray<Projection<any, any>> = [
  invoiceDetails,
  addressBook,
  merchants,
  wallets,
  apiKeys,
  endpoints
]

interface EventRow {
  readonly stream: string
  readonly prefix: Prefix
  readonly tenant: string
  readonly category: string
  readonly version: number
  readonly type: string
  readonly schemaVersion: number
  readonly recordedAt: Date
  readonly data: unknown
}

interface ViewRow {
  readonly key: string
  readonly stream: string
  readonly tenant: string
  readonly data: unknown
}

/** Every row of every strong read model, folded anew from all events, against the table. */
export const rebuiltEqualsLive = Effect.fnUntraced(function*(sql: PgClient.PgClient) {
  const tables = yield* sql<{ name: string }>`select table_name as name from information_schema.tables
    where table_schema = 'read' order by 1`
  assert.deepStrictEqual(
    tables.map(({ name }) => name),
    strong.map(({ name }) => name).sort(),
    "no read model is left out"
  )

  const events = yield* sql<EventRow>`
    select stream_id::text as stream, prefix, tenant_id::text as tenant, category, version, type,
           schema_version as "schemaVersion", recorded_at as "recordedAt", data
      from es.events order by stream_id, version`
  let rows = 0
  for (const projection of strong) {
    const rebuilt = rebuild(projection, events)
    const live = yield* sql<ViewRow>`
      select key, stream::text as stream, tenant::text as tenant, data from ${sql(`read.${projection.name}`)}
       order by key`
    assert.deepStrictEqual(live, rebuilt, `${projection.name}, rebuilt`)
    rows += live.length
  }
  return { events: events.length, rows }
})

const rebuild = <Row, Event>(projection: Projection<Row, Event>, events: ReadonlyArray<EventRow>): Array<ViewRow> => {
  const { aggregate, apply, key, name, row: codec } = projection
  const own = events.filter(({ category }) => category === aggregate.category)
  return Object.values(Object.groupBy(own, ({ stream }) => stream)).flatMap((history = []) => {
    const [first] = history
    if (first === undefined) return []
    const stream = fromUuid(first.prefix, first.stream)
    const row = history.reduce<Row | null>((so, recorded) => {
      const recordedAt = DateTime.fromDateUnsafe(recorded.recordedAt)
      return apply(so, History.decode(aggregate, recorded), { stream, version: recorded.version, recordedAt })
    }, null)
    if (row === null) return []
    // By the codec itself: the writer's shortcut would agree with its own mistakes.
    const data: unknown = JSON.parse(JSON.stringify(History.compiled(codec).encode(row)))
    return [{ key: key(stream, row), stream: first.stream, tenant: first.tenant, data }]
  }).sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : assert.fail(`${name} has two rows under ${a.key}`)))
}

/** Streams without gaps, at the version of their last event; every receipt stands for a version that its stream has. */
export const receiptsAgree = Effect.fnUntraced(function*(sql: PgClient.PgClient) {
  const [wrong] = yield* sql<{ streams: number; gaps: number; orphans: number; receipts: number }>`
    with e as (select stream_id, min(version) as first, max(version) as last, count(*) as n, max(tx) as tx
                 from es.events group by stream_id)
    select (select count(*)::int from es.streams s full join e using (stream_id)
             where s.version is distinct from e.last or s.last_tx is distinct from e.tx) as streams,
           (select count(*)::int from e where first <> 1 or last <> n) as gaps,
           (select count(*)::int from es.events v where not exists (select from es.streams s where s.stream_id = v.stream_id)) as orphans,
           (select count(*)::int from es.commands c
             where not exists (select from es.streams s where s.stream_id = c.stream_id and s.version >= c.version)) as receipts`
  assert.deepStrictEqual(wrong, { streams: 0, gaps: 0, orphans: 0, receipts: 0 })
})
