/** Invoices opened by us, and the same event with the same row appended by Emmett with an inline projection. */
import { type Event, projections } from "@event-driven-io/emmett"
import { getPostgreSQLEventStore, postgreSQLProjection } from "@event-driven-io/emmett-postgresql"
import { Effect, Layer, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { Pool } from "pg"
import * as Database from "#adapters/postgres/Database.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import * as History from "#commands/History.ts"
import { addressBook } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { opened } from "../test/support/examples.ts"
import { type Bench, interleaved, load, loaded, median, rounded } from "./Bench.ts"
import { freshServer } from "./database.ts"
import { opener } from "./opening.ts"

const rounds = 5
const milliseconds = 2000
const callers = 128
const connections = 20

type Opened = Event<"InvoiceOpened", { readonly body: unknown }>

/** What our event and our row look like; the row is its own body, which is a little shorter than ours. */
const body = History.plain(opened())

const emmett = (url: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    const connectionString = Redacted.value(url)
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => new Pool({ connectionString, max: connections })),
      (pool) => Effect.promise(() => pool.end())
    )
    yield* Effect.promise(() =>
      pool.query("create table invoice_details (key text primary key, version int not null, data jsonb not null)")
    )
    const details = postgreSQLProjection<Opened>({
      name: "invoice_details",
      canHandle: ["InvoiceOpened"],
      handle: async (events, { connection: { client } }) => {
        for (const { data, metadata } of events) {
          await client.query({
            name: "details",
            text: `insert into invoice_details values ($1, 1, $2)
                   on conflict (key) do update set version = excluded.version, data = excluded.data`,
            values: [metadata.streamName, JSON.stringify(data.body)]
          })
        }
      }
    })
    const store = getPostgreSQLEventStore(connectionString, {
      projections: projections.inline([details]),
      connectionOptions: { pool }
    })
    yield* Effect.promise(() => store.schema.migrate())
    return Effect.promise(() =>
      store.appendToStream<Opened>(`invoice-${randomUUID()}`, [{ type: "InvoiceOpened", data: { body } }])
    )
  })

const bench: Bench = Effect.gen(function*() {
  const url = yield* freshServer
  const context = yield* Layer.build(Layer.provide(Dispatch.layer, [
    Layer.provide(PostgresEventStore.layer, Database.layerMigrated({ url, maxConnections: connections })),
    Layer.succeed(StrongProjections, [invoiceDetails, addressBook])
  ]))
  const ours = yield* Effect.provideContext(opener(), context)
  const theirs = yield* emmett(url)
  const pairs = yield* interleaved(
    rounds,
    loaded(callers, milliseconds, ours),
    loaded(callers, milliseconds, theirs)
  )
  return [{
    bench: "dispatch.vs-emmett",
    value: rounded(median(pairs.map(([a, b]) => a.rate / b.rate))),
    unit: "× invoices opened a second, Dispatch to Emmett's append with an inline projection",
    dispatchPerSecond: Math.round(median(pairs.map(([a]) => a.rate))),
    emmettPerSecond: Math.round(median(pairs.map(([, b]) => b.rate))),
    dispatchP95Ms: rounded(median(pairs.map(([a]) => a.p95))),
    emmettP95Ms: rounded(median(pairs.map(([, b]) => b.p95))),
    callers,
    connections,
    rounds,
    loadAverage: load()
  }]
})

export const benches: Readonly<Record<string, Bench>> = { "dispatch.vs-emmett": bench }
