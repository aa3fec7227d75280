/**
 * What batching brings: invoices opened through Dispatch, with receipt and strong rows, by the store as it is and by
 * the same store with one append to a statement, on any free connection of a pool of twenty.
 */
import { Effect, Layer } from "effect"
import * as Database from "#adapters/postgres/Database.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { addressBook } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { type Bench, interleaved, loaded, median, rounded } from "./Bench.ts"
import { freshServer } from "./database.ts"
import { opener } from "./opening.ts"

const rounds = 5
const milliseconds = 2000
const connections = 20

const compare = (name: string, callers: number): Bench =>
  Effect.gen(function*() {
    const url = yield* freshServer
    const pool = yield* Layer.build(Database.layerMigrated({ url, maxConnections: connections }))
    const openerOver = (options: PostgresEventStore.Options) =>
      Layer.build(Layer.provide(Dispatch.layer, [
        PostgresEventStore.layerWith(options),
        Layer.succeed(StrongProjections, [invoiceDetails, addressBook])
      ])).pipe(
        Effect.flatMap((context) => Effect.provideContext(opener(), context)),
        Effect.provideContext(pool)
      )
    const batched = yield* openerOver(PostgresEventStore.usual)
    const single = yield* openerOver({ lanes: callers, batch: 1 })
    const pairs = yield* interleaved(
      rounds,
      loaded(callers, milliseconds, batched),
      loaded(callers, milliseconds, single)
    )
    return [{
      bench: name,
      value: rounded(median(pairs.map(([a, b]) => a.rate / b.rate))),
      unit: "× commands a second, batched to one at a time",
      batchedPerSecond: Math.round(median(pairs.map(([a]) => a.rate))),
      singlePerSecond: Math.round(median(pairs.map(([, b]) => b.rate))),
      batchedP95Ms: rounded(median(pairs.map(([a]) => a.p95))),
      singleP95Ms: rounded(median(pairs.map(([, b]) => b.p95))),
      callers,
      connections,
      rounds
    }]
  })

export const benches: Readonly<Record<string, Bench>> = Object.fromEntries(
  [32, 128].map((callers) => [`dispatch.batched.${callers}`, compare(`dispatch.batched.${callers}`, callers)])
)
