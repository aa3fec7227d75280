/** Lists: newest first, by a cursor that stays true while rows are added. */
import { Effect, Schema, SchemaTransformation } from "effect"
import * as Id from "#domain/Id.ts"
import { Whole } from "./Forms.ts"
import { mistake } from "./Mistakes.ts"

/** Stands for the last thing on a page. What is in it is nobody's business; what is not this list's is refused. */
const Cursor = (prefix: Id.Prefix) => {
  const isKey = Schema.is(Id.schema(prefix))
  return Schema.String.annotate({ description: "The `nextCursor` of a page before, or of this one." }).pipe(
    Schema.decodeTo(
      Schema.String,
      SchemaTransformation.transformEffect({
        decode: (text) => {
          const key = Buffer.from(text, "base64url").toString()
          return isKey(key) && Buffer.from(key).toString("base64url") === text
            ? Effect.succeed(key)
            : Effect.fail(mistake("not_a_cursor", "Is not a `nextCursor` that this list has given out."))
        },
        encode: (key) => Effect.succeed(Buffer.from(key).toString("base64url"))
      })
    )
  )
}

export const usualLimit = 20
export const limit = Schema.optionalKey(
  Whole({ minimum: 1, maximum: 100 }, `How many at the most. Default ${usualLimit}.`)
)

/** `prefix`: of the ids of what is listed. */
export const pageQuery = (prefix: Id.Prefix) => ({
  limit,
  after: Schema.optionalKey(Cursor(prefix))
})

export const page = <S extends Schema.Top>(item: S, identifier: string, prefix: Id.Prefix) =>
  Schema.Struct({
    data: Schema.Array(item),
    hasMore: Schema.Boolean,
    nextCursor: Schema.NullOr(Cursor(prefix))
  }).annotate({ identifier })

/** Of `limit + 1` rows that were asked for, the page and what follows from the one too many. */
export const pageOf = <Row, Item>(
  rows: ReadonlyArray<Row>,
  limit: number,
  show: (row: Row) => Item,
  keyOf: (row: Row) => string
) => {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const hasMore = rows.length > limit
  return { data: shown.map(show), hasMore, nextCursor: hasMore && last !== undefined ? keyOf(last) : null }
}
