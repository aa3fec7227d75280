/** The chain ledgers under test, each with its address book to write in and its observations to read. */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, type Redacted, Schema } from "effect"
import type { Address, Mode } from "#domain/Chain.ts"
import { Observation } from "#domain/Observation.ts"
import type { ChainLedger } from "#ports/ChainLedger.ts"
import { Views } from "#ports/Views.ts"
import * as MemoryLedger from "#adapters/memory/ChainLedger.ts"
import * as PostgresLedger from "#adapters/postgres/ChainLedger.ts"
import * as Database from "#adapters/postgres/Database.ts"
import { databaseLayer } from "./database.ts"

export class Probe extends Context.Service<Probe, {
  /** Gives an address to an invoice of this mode. */
  readonly register: (address: Address, mode: Mode) => Effect.Effect<void>
  /** Everything published so far, in order. */
  readonly published: Effect.Effect<ReadonlyArray<Observation>>
  /** The database fails at the so-manieth statement from now on that writes. A ledger in maps never does. */
  readonly failAfter: (statements: number) => Effect.Effect<void>
}>()("checkout/test/Probe") {}

/** A new, empty ledger each time it is built. */
export const memoryLedger = Layer.suspend(() => {
  const book = new Map<string, { readonly mode: Mode }>()
  const views = Layer.mock(Views, { get: (_, key) => Effect.sync(() => (book.get(key) ?? null) as never) })
  const probe = Layer.effect(
    Probe,
    Effect.map(MemoryLedger.Published, (published) =>
      Probe.of({
        register: (address, mode) => Effect.sync(() => void book.set(address, { mode })),
        published,
        failAfter: () => Effect.void
      }))
  )
  return probe.pipe(Layer.provideMerge(MemoryLedger.layer), Layer.provide(views))
})

/** Counts the writes down, and fails at zero as a full disk does. A sequence, because it is not rolled back. */
const planted = [
  "create sequence chain.writes_left increment -1 minvalue -1000000000 maxvalue 1000 start -1",
  `create function chain.fail_at_zero() returns trigger language plpgsql as $$
   begin
     if nextval('chain.writes_left') = 0 then raise exception 'planted' using errcode = '53100'; end if;
     return null;
   end $$`,
  ...["chain.cursors", "chain.blocks", "chain.movements", "chain.transfers", "es.outbox"].map((table) =>
    `create trigger planted before insert or update on ${table} for each statement execute function chain.fail_at_zero()`
  )
]

const postgresProbe = Layer.effect(
  Probe,
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    for (const statement of planted) yield* sql.unsafe(statement).pipe(Effect.orDie)
    return Probe.of({
      register: (address, mode) =>
        sql`
          insert into read.address_book (key, tenant, stream, version, data, created_at, updated_at)
          values (${address}, gen_random_uuid(), gen_random_uuid(), 1,
                  ${sql.json({ mode, wallet: "wallet", index: address })}, now(), now())
          on conflict do nothing`.pipe(Effect.asVoid, Effect.orDie),
      published: Effect.map(
        sql<{ readonly body: unknown }>`select body from es.outbox order by tx, position`,
        (rows) => rows.map(({ body }) => decode(body))
      ).pipe(Effect.orDie),
      failAfter: (statements) =>
        sql`select setval('chain.writes_left', ${statements + 1})`.pipe(Effect.asVoid, Effect.orDie)
    })
  })
)
const decode = Schema.decodeUnknownSync(Observation)

const onPostgres = Layer.mergeAll(PostgresLedger.layer, postgresProbe)

/** On a database of its own. */
export const postgresLedger = Layer.provideMerge(onPostgres, databaseLayer({ maxConnections: 4 }))

/** On a database that is there already, and that nobody has used. */
export const postgresLedgerOn = (url: Redacted.Redacted<string>) =>
  Layer.provideMerge(onPostgres, Database.layer({ url, maxConnections: 4 }))

/** Forgets everything, for the next history. */
export const clearPostgres = Effect.flatMap(
  PgClient.PgClient,
  (sql) =>
    sql`truncate chain.cursors, chain.blocks, chain.movements, chain.transfers, es.outbox, read.address_book`.pipe(
      Effect.orDie
    )
)

/** What gives a history an empty ledger in Postgres, on the one database that is there. */
export const postgresEmptied = Effect.map(
  Effect.context<ChainLedger | Probe | PgClient.PgClient>(),
  (context) => Layer.effectDiscard(clearPostgres).pipe(Layer.provideMerge(Layer.succeedContext(context)))
)
