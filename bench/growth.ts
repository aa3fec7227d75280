/** What a long log costs: appends, loads and the feed at a million events against ten thousand; and replaying it. */
import { PgClient } from "@effect/sql-pg"
import { DateTime, Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import { performance } from "node:perf_hooks"
import * as Database from "#adapters/postgres/Database.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import * as Feed from "#adapters/postgres/Feed.ts"
import * as History from "#commands/History.ts"
import { newId } from "#commands/NewId.ts"
import { fromUuid } from "#domain/Id.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as Merchant from "#domain/Merchant.ts"
import { EventStore } from "#ports/EventStore.ts"
import { type InvoiceDetails, invoiceDetails } from "#projections/InvoiceDetails.ts"
import { type Bench, interleaved, load, loaded, median, rounded } from "./Bench.ts"
import { freshServer } from "./database.ts"

const few = 10_000
const many = 1_000_000
const rounds = 5
const milliseconds = 1500
const callers = 8
const page = 100

/** The life of a usual invoice, as it is stored. */
const story = ["InvoiceOpened", "PaymentDetected", "PaymentConfirmed", "InvoiceSettled"].map((type) => ({
  type,
  data: JSON.parse(
    fs.readFileSync(new URL(`../test/golden/invoice/${type}.v1.json`, import.meta.url), "utf8")
  ) as unknown
}))

const tenant = "019cae12-0000-7000-8000-000000000002"

/** A database with so many events, as appends would have left them, with their streams, receipts and rows. */
const filled = (server: Redacted.Redacted<string>, name: string, events: number) =>
  Effect.gen(function*() {
    const url = new URL(Redacted.value(server))
    const admin = Layer.build(Database.layer({ url: server, maxConnections: 1 }))
    yield* Effect.scoped(Effect.flatMap(admin, (context) =>
      Effect.provideContext(
        Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(`create database ${name}`)),
        context
      )))
    url.pathname = `/${name}`
    const database = Database.layerMigrated({ url: Redacted.make(url.toString()), maxConnections: 12 })
    const context = yield* Layer.build(Layer.provideMerge(PostgresEventStore.layer, database))
    const sql = yield* Effect.provideContext(PgClient.PgClient, context)
    const streams = events / story.length
    const batch = 25_000
    for (let from = 0; from < streams; from += batch) {
      const made = sql`
        made as materialized (
          select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7'
                  || substr(md5(i::text), 1, 3) || '8' || substr(md5('x' || i), 1, 15))::uuid as id, i
            from generate_series(${from + 1}::int, ${Math.min(from + batch, streams)}::int) i
        )`
      yield* sql`
        with ${made}, streams as (
          insert into es.streams (stream_id, prefix, tenant_id, category, version, last_tx)
          select id, 'inv', ${tenant}::uuid, 'invoice', ${story.length}, es.current_tx() from made
        ), receipts as (
          insert into es.commands (tenant_id, key, hash, stream_id, prefix, version)
          select ${tenant}::uuid, id::text, 'bench', id, 'inv', 1 from made
        ), rows as (
          insert into read.invoice_details (key, tenant, stream, version, data, created_at, updated_at)
          select id::text, ${tenant}::uuid, id, ${story.length},
                 jsonb_build_object('orderId', i::text, 'status', 'settled') || ${
        JSON.stringify(story[0]?.data)
      }::jsonb,
                 now(), now() from made
        )
        insert into es.events (tx, xid, stream_id, version, schema_version, shard, tenant_id, recorded_at, prefix, category,
                               type, data, meta)
        select es.current_tx(), pg_current_xact_id(), id, n, 1, get_byte(uuid_send(id), 15) & 15, ${tenant}::uuid, now(),
               'inv', 'invoice', type, data, '{"actor": "bench", "command": "bench"}'
          from made, unnest(${story.map(({ type }) => type)}::text[],
                            ${story.map(({ data }) => JSON.stringify(data))}::jsonb[]) with ordinality s(type, data, n)
         order by i, n`
    }
    yield* sql`vacuum analyze`.pipe(Effect.ignore)
    return context
  })

type Filled = Effect.Success<ReturnType<typeof filled>>

const append = (context: Filled) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const merchant = yield* newId(Merchant.aggregate)
    return Effect.gen(function*() {
      const stream = yield* newId(Invoice.aggregate)
      yield* store.append({
        stream,
        category: "invoice",
        tenant: merchant,
        expected: 0,
        events: [{ type: "InvoiceOpened", schemaVersion: 1, data: story[0]?.data }],
        at: yield* DateTime.now,
        meta: { command: "bench", actor: "bench" },
        receipt: { key: stream, hash: "bench" },
        rows: [{ view: "invoice_details", key: stream, data: { orderId: stream, status: "open" } }]
      })
    })
  }).pipe(Effect.provideContext(context))

/** Loads any of the first thousand streams, in turn. */
const loading = (context: Filled) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const sql = yield* PgClient.PgClient
    const rows = yield* sql<{ id: string }>`
      select stream_id::text as id from es.streams tablesample bernoulli (50) where tenant_id = ${tenant}::uuid limit 1000`
    const ids = rows.map(({ id }) => fromUuid("inv", id))
    const owner = fromUuid("mer", tenant)
    let nth = 0
    return Effect.suspend(() => store.read(ids[nth++ % ids.length] ?? "", owner))
  }).pipe(Effect.provideContext(context))

/** The newest page of the log, as a consumer that is nearly up to date reads it. */
const newest = (context: Filled) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const [at] = yield* sql<{ tx: bigint; position: bigint }>`
      select tx, position from es.events order by tx desc, position desc offset ${page} limit 1`
    const cursor = sql`select '1:1:'::pg_snapshot as prev, pg_current_snapshot() as cur, ${at?.tx ?? 0n}::bigint as tx,
                              ${at?.position ?? 0n}::bigint as position`
    return Feed.read(sql, "domain-events", { cursor, limit: page, shards: null })
  }).pipe(Effect.provideContext(context))

const growth = <A, E>(
  name: string,
  what: string,
  operation: (context: Filled) => Effect.Effect<Effect.Effect<A, E>, unknown>
): Bench =>
  Effect.gen(function*() {
    const server = yield* freshServer
    const large = yield* operation(yield* filled(server, "large", many))
    const small = yield* operation(yield* filled(server, "small", few))
    const pairs = yield* interleaved(
      rounds,
      loaded(callers, milliseconds, large),
      loaded(callers, milliseconds, small)
    )
    return [{
      bench: name,
      value: rounded(median(pairs.map(([large, small]) => small.rate / large.rate))),
      unit: `× the cost of ${what} at ${many} events to that at ${few}`,
      largePerSecond: Math.round(median(pairs.map(([large]) => large.rate))),
      smallPerSecond: Math.round(median(pairs.map(([, small]) => small.rate))),
      callers,
      rounds,
      loadAverage: load()
    }]
  })

const replayed = 200_000
const replayPage = 1000

/** Reads the log from its beginning by pages, and folds every invoice into its row. */
const replay: Bench = Effect.gen(function*() {
  const context = yield* filled(yield* freshServer, "log", replayed)
  const sql = yield* Effect.provideContext(PgClient.PgClient, context)
  const once = Effect.gen(function*() {
    const begun = performance.now()
    const rows = new Map<string, InvoiceDetails | null>()
    let folded = 0
    let cursor: Feed.Cursor = { prev: "1:1:", cur: null, tx: 0n, position: 0n }
    do {
      const { cur, position, prev, tx } = cursor
      const found = yield* Feed.read(sql, "domain-events", {
        cursor: sql`select ${prev}::pg_snapshot as prev, coalesce(${cur}::pg_snapshot, pg_current_snapshot()) as cur,
                           ${tx}::bigint as tx, ${position}::bigint as position`,
        limit: replayPage,
        shards: null
      })
      if (found === null) break
      for (const { body: data, headers, key, recordedAt, schemaVersion, type } of found.messages) {
        const event = History.decode(Invoice.aggregate, { type, schemaVersion, data })
        const origin = { stream: key, version: headers.version ?? 0, recordedAt }
        rows.set(key, invoiceDetails.apply(rows.get(key) ?? null, event, origin))
      }
      folded += found.messages.length
      cursor = found.after
    } while (cursor.cur !== null)
    return folded * 1000 / (performance.now() - begun)
  })
  yield* once
  const rates = yield* Effect.replicateEffect(once, 3)
  return [{
    bench: "replay.fold",
    value: Math.round(median(rates)),
    unit: "events a second, from the log into rows",
    events: replayed,
    page: replayPage,
    loadAverage: load()
  }]
})

export const benches: Readonly<Record<string, Bench>> = {
  "append.growth": growth("append.growth", "an append", append),
  "load.growth": growth("load.growth", "loading a stream", loading),
  "feed.growth": growth("feed.growth", `the newest ${page} of the feed`, newest),
  "replay.fold": replay
}
