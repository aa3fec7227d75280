/**
 * What the client costs: appends by the store against pgbench, which is written in C and sends the same statement, one
 * append at a time, to the same server from as many clients.
 */
import { Console, DateTime, Effect, Layer, Redacted, Schema } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { textFor } from "#adapters/postgres/AppendStatement.ts"
import * as Database from "#adapters/postgres/Database.ts"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import { newId } from "#commands/NewId.ts"
import { toUuid } from "#domain/Id.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as Merchant from "#domain/Merchant.ts"
import { type Append, EventStore } from "#ports/EventStore.ts"
import { type Bench, interleaved, loaded, median, rounded } from "./Bench.ts"
import { freshServer } from "./database.ts"

const rounds = 5
const seconds = 2
const callers = 32

/** One invoice's first append, with bodies of the usual size. */
const example = (stream: string, tenant: string, at: DateTime.Utc): Append => {
  const data = { _tag: "InvoiceOpened", note: "x".repeat(1200) }
  return {
    stream,
    category: "invoice",
    tenant,
    expected: 0,
    events: [{ type: "InvoiceOpened", schemaVersion: 1, data }],
    at,
    meta: { command: "OpenInvoice", actor: "bench" },
    receipt: { key: stream, hash: "bench" },
    rows: [{ view: "invoice_details", key: stream, data: { ...data, orderId: stream, status: "open" } }]
  }
}

const appender = Effect.gen(function*() {
  const store = yield* EventStore
  const tenant = yield* newId(Merchant.aggregate)
  return Effect.gen(function*() {
    const stream = yield* newId(Invoice.aggregate)
    yield* store.append(example(stream, tenant, yield* DateTime.now))
  })
})

/** The same statement with every parameter written out, but for the ids, which the server makes up. */
const script = Effect.gen(function*() {
  const tenant = yield* newId(Merchant.aggregate)
  const append = example("inv_id", tenant, yield* DateTime.now)
  const quoted = (value: unknown) => `'${typeof value === "string" ? value : JSON.stringify(value)}'`
  const [event] = append.events
  const [row] = append.rows
  const id = "made.id::text"
  const stream = "(lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'"
    + " || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"
  const values = [
    "made.id",
    "'inv'",
    quoted(toUuid(tenant)),
    "'invoice'",
    "0",
    "1",
    "now()",
    quoted(append.meta),
    id,
    "'bench'",
    "1",
    "1",
    quoted(event?.type),
    "1",
    quoted(event?.data),
    "1",
    "'invoice_details'",
    id,
    `jsonb_set(${quoted(row?.data)}, '{orderId}', to_jsonb(${id}))`
  ]
  return textFor([append])
    .replace(/^with/, `with made as materialized (select ${stream} as id),`)
    .replaceAll("from unnest(", "from made, unnest(")
    .replaceAll(/\$(\d+)::/g, (_, n) => `array[(${values[Number(n) - 1]})]::`)
})

class PgbenchFailed extends Schema.TaggedError<PgbenchFailed>()("PgbenchFailed", { reason: Schema.String }) {}

const run = (file: string, args: ReadonlyArray<string>, env: Record<string, string>) =>
  Effect.callback<string, PgbenchFailed>((resume) => {
    execFile(
      file,
      args,
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) =>
        resume(
          error === null
            ? Effect.succeed(stdout)
            : Effect.fail(new PgbenchFailed({ reason: (stderr || error.message).slice(0, 500) }))
        )
    )
  })

const pgbench = (url: Redacted.Redacted<string>, file: string) => {
  const { hostname, password, port, username } = new URL(Redacted.value(url))
  const where = ["-h", hostname, "-p", port, "-U", username]
  const how = ["-n", "-M", "prepared", "-c", String(callers), "-j", "2", "-T", String(seconds), "-f", file]
  return Effect.map(run("pgbench", [...where, ...how, "postgres"], { PGPASSWORD: password }), (output) => {
    const rate = Number(/^tps = ([\d.]+)/m.exec(output)?.[1])
    return { rate }
  })
}

const bench: Bench = Effect.gen(function*() {
  if (yield* Effect.isFailure(run("pgbench", ["--version"], {}))) {
    yield* Console.error("append.vs-pgbench was NOT RUN: there is no pgbench on this machine.")
    return []
  }
  const url = yield* freshServer
  const store = PostgresEventStore.layer.pipe(Layer.provide(Database.layerMigrated({ url })))
  const append = yield* Effect.provideContext(appender, yield* Layer.build(store))
  const file = path.join(fs.mkdtempSync(path.join(tmpdir(), "checkout-bench-")), "append.sql")
  yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(path.dirname(file), { recursive: true })))
  fs.writeFileSync(file, (yield* script).replaceAll(/\s+/g, " "))
  const pairs = yield* interleaved(rounds, loaded(callers, seconds * 1000, append), pgbench(url, file))
  return [{
    bench: "append.vs-pgbench",
    value: rounded(median(pairs.map(([ours, theirs]) => ours.rate / theirs.rate))),
    unit: "× appends a second, the store to pgbench",
    storePerSecond: Math.round(median(pairs.map(([ours]) => ours.rate))),
    storeP95Ms: rounded(median(pairs.map(([ours]) => ours.p95))),
    pgbenchPerSecond: Math.round(median(pairs.map(([, theirs]) => theirs.rate))),
    callers,
    rounds
  }]
})

export const benches: Readonly<Record<string, Bench>> = { "append.vs-pgbench": bench }
