/** The strong read models in Postgres: one table each, which appends write to. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { compiled } from "#commands/History.ts"
import { toUuid } from "#domain/Id.ts"
import { type Query, type View, Views } from "#ports/Views.ts"
import * as Database from "./Database.ts"

interface Stored {
  readonly data: unknown
}

const make = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient

  return Views.of({
    get: (view, key) =>
      sql<Stored>`select data from ${table(view)} where key = ${key}`.pipe(
        Effect.map(([row]) => row === undefined ? null : decode(view, row)),
        Database.unavailable
      ),

    list: (view, query) =>
      sql<Stored>`select data from ${table(view)} where ${sql.and(conditions(query))}
        order by key desc limit ${query.limit}`.pipe(
        Effect.map((rows) => rows.map((row) => decode(view, row))),
        Database.unavailable
      )
  })

  function table({ name }: Pick<View<never>, "name">) {
    return sql(`read.${name}`)
  }

  function conditions({ before, contains = {}, createdFrom, createdTo, tenant, text }: Query) {
    // Text is compared in the form that has an index; what is nested or no text, as containment.
    const plain = Object.entries(contains).filter((field): field is [string, string] => typeof field[1] === "string")
    const rest = Object.entries(contains).filter(([, value]) => typeof value !== "string")
    return [
      sql`tenant = ${toUuid(tenant)}::uuid`,
      ...plain.map(([field, value]) => sql`data->>${sql.literal(quoted(field))} = ${value}`),
      ...(rest.length === 0 ? [] : [sql`data @> ${sql.json(Object.fromEntries(rest))}`]),
      ...(createdFrom === undefined ? [] : [sql`created_at >= ${createdFrom}::timestamptz`]),
      ...(createdTo === undefined ? [] : [sql`created_at < ${createdTo}::timestamptz`]),
      ...(before === undefined ? [] : [sql`key < ${before}`]),
      ...(text === undefined ? [] : [sql.or(
        text.in.map((field) => sql`data->>${sql.literal(quoted(field))} ilike ${`%${escaped(text.find)}%`}`)
      )])
    ]
  }
})

export const layer = Layer.effect(Views, make)

const decode = <Row>({ row }: View<Row>, { data }: Stored): Row => compiled(row).decode(data)

/** Field names are ours, and part of the text so that the planner knows the index. */
const quoted = (field: string) => `'${field.replaceAll("'", "''")}'`

/** `%`, `_` and `\` mean themselves. */
const escaped = (find: string) => find.replaceAll(/[\\%_]/g, String.raw`\$&`)
