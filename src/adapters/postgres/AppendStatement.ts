/**
 * The one statement that writes a batch of appends: streams moved by compare-and-set, receipts, events and rows.
 *
 * It locks before it writes, always in the same order (streams, receipts, rows; each sorted), so that two of them never
 * wait for each other in a circle. A receipt is inserted only where the stream stands at the expected version, and
 * everything else only where the receipt was new. An append that does not fit writes nothing and draws no position.
 * What it can only find out too late (a stream begun by another at this very moment, a row that belongs to another
 * stream) is raised, which takes back the whole batch.
 */
import { PgTypes } from "@effect/sql-pg"
import { DateTime, Result } from "effect"
import { toUuid } from "#domain/Id.ts"
import type { Append } from "#ports/EventStore.ts"

export type Outcome = "written" | "received" | "moved"

/** The text depends only on which tables the rows go to, so there are a handful, and each is prepared once. */
export const textFor = (batch: ReadonlyArray<Append>): string => {
  const touched = new Set<string>()
  for (const { rows } of batch) {
    for (const { data, view } of rows) touched.add(data === null ? `-${view}` : view)
  }
  const key = [...touched].sort().join()
  const known = texts.get(key)
  if (known !== undefined) return known
  const text = textOf([...touched].sort())
  texts.set(key, text)
  return text
}

const texts = new Map<string, string>()

const textOf = (touched: ReadonlyArray<string>) => {
  const upserts = touched.filter((view) => !view.startsWith("-")).map(nameOfTable)
  const deletions = touched.filter((view) => view.startsWith("-")).map((view) => nameOfTable(view.slice(1)))
  return `with
p as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::int[], $6::int[], $7::timestamptz[], $8::jsonb[],
    $9::text[], $10::text[]) with ordinality p(stream, prefix, tenant, category, expected, size, at, meta, key, hash, i)
),
locked as materialized (
  select s.stream_id from (select * from p where expected > 0 order by stream) p, lateral (
    select stream_id from es.streams
     where stream_id = p.stream and version = p.expected and tenant_id = p.tenant and category = p.category for update) s
),
fitting as materialized (
  select * from p where case when expected > 0 then stream in (select stream_id from locked)
    else not exists (${lookedUp("from es.streams where stream_id = p.stream")}) end
),
received as (
  insert into es.commands (tenant_id, key, hash, stream_id, prefix, version, created_at)
  select tenant, key, hash, stream, prefix, expected + size, at from fitting where key is not null order by tenant, key
  on conflict do nothing returning stream_id
),
won as materialized (select * from fitting where key is null or stream in (select stream_id from received)),
begun as (
  insert into es.streams (stream_id, prefix, tenant_id, category, version, last_tx, created_at)
  select stream, prefix, tenant, category, size, es.current_tx(), at from won
   where expected = 0 and size > 0 order by stream
  on conflict do nothing returning stream_id, last_tx
),
continued as (
  update es.streams s set version = s.version + won.size, last_tx = greatest(s.last_tx, es.current_tx())
    from won where s.stream_id = won.stream and won.expected > 0 and won.size > 0
  returning s.stream_id, s.last_tx
),
events as (
  insert into es.events (tx, xid, stream_id, version, schema_version, shard, tenant_id, recorded_at, prefix, category, type,
    data, meta)
  select m.last_tx, pg_current_xact_id(), won.stream, won.expected + e.n, e.schema_version,
         get_byte(uuid_send(won.stream), 15) & 15, won.tenant, won.at, won.prefix, won.category, e.type, e.data, won.meta
    from unnest($11::int[], $12::int[], $13::text[], $14::int[], $15::jsonb[]) e(i, n, type, schema_version, data)
    join won on won.i = e.i
    join (select * from begun union all select * from continued) m on m.stream_id = won.stream
   order by e.i, e.n
),
rows as materialized (
  select r.view, r.key, r.data, won.tenant, won.stream, won.expected + won.size as version, won.at
    from unnest($16::int[], $17::text[], $18::text[], $19::jsonb[]) r(i, view, key, data) join won on won.i = r.i
)${upserts.map(upsert).join("")}${deletions.map(deletion).join("")}
select case when won.i is not null then 'written'
            when fitting.i is not null then 'received'
            when exists (${
    lookedUp("from es.commands c where c.tenant_id = p.tenant and c.key = p.key")
  }) then 'received'
            else 'moved' end as outcome
  from p left join won on won.i = p.i left join fitting on fitting.i = p.i
 where case when (select count(*) from begun) + (select count(*) from continued) <
                 (select count(*) from won where size > 0) then es.refuse('40001', 'es.streams')
            ${upserts.map(allUpserted).join("\n            ")}
            else true end
 order by p.i`
}

/** One look into the index for each row. Without the offset the planner may rather read the whole table into a hash. */
const lookedUp = (from: string) => `select ${from} offset 0`

const upsert = (table: string) =>
  `,
put_${table} as (
  insert into read.${table} as t (key, tenant, stream, version, data, created_at, updated_at)
  select key, tenant, stream, version, data, coalesce((data->>'createdAt')::timestamptz, at), at from rows
   where view = '${table}' and data is not null order by key
  on conflict (key) do update set version = excluded.version, data = excluded.data, updated_at = excluded.updated_at
   where t.stream = excluded.stream
  returning 1
)`

const allUpserted = (table: string) =>
  `when (select count(*) from put_${table}) < (select count(*) from rows where view = '${table}' and data is not null)
                 then es.refuse('23505', '${table}_pkey')`

const deletion = (table: string) =>
  `,
cut_${table} as (
  delete from read.${table} t using rows r
   where r.view = '${table}' and r.data is null and t.key = r.key and t.stream = r.stream
)`

/** A view's name is a word of ours that goes into the text, so it had better be a word. */
const nameOfTable = (view: string) => {
  if (!/^[a-z_]+$/.test(view)) throw new Error(`no table can be called ${view}`)
  return view
}

const { int4, jsonb, text, timestamptz, uuid } = PgTypes.OID
const array = (values: ReadonlyArray<unknown>, elements: number) => Result.getOrThrow(PgTypes.array(values, elements))

export const parametersFor = (batch: ReadonlyArray<Append>): ReadonlyArray<unknown> => {
  const events = batch.flatMap(({ events }, i) => events.map((event, n) => ({ ...event, i: i + 1, n: n + 1 })))
  const rows = batch.flatMap(({ rows }, i) => rows.map((row) => ({ ...row, i: i + 1 })))
  return [
    array(batch.map(({ stream }) => toUuid(stream)), uuid),
    array(batch.map(({ stream }) => stream.slice(0, stream.indexOf("_"))), text),
    array(batch.map(({ tenant }) => toUuid(tenant)), uuid),
    array(batch.map(({ category }) => category), text),
    array(batch.map(({ expected }) => expected), int4),
    array(batch.map(({ events }) => events.length), int4),
    array(batch.map(({ at }) => DateTime.toEpochMillis(at)), timestamptz),
    array(batch.map(({ meta }) => meta), jsonb),
    array(batch.map(({ receipt }) => receipt?.key ?? null), text),
    array(batch.map(({ receipt }) => receipt?.hash ?? null), text),
    array(events.map(({ i }) => i), int4),
    array(events.map(({ n }) => n), int4),
    array(events.map(({ type }) => type), text),
    array(events.map(({ schemaVersion }) => schemaVersion), int4),
    array(events.map(({ data }) => data), jsonb),
    array(rows.map(({ i }) => i), int4),
    array(rows.map(({ view }) => view), text),
    array(rows.map(({ key }) => key), text),
    array(rows.map(({ data }) => data), jsonb)
  ]
}
