/** Lists: newest first, by a cursor that stays true while rows are added. */
import { Effect, Schema, SchemaTransformation } from "effect"
import { mistake } from "./Mistakes.ts"

/** Stands for the last thing on a page. What is in it is nobody's business; what is not ours is refused. */
const Cursor = Schema.String.pipe(
  Schema.decodeTo(
    Schema.String,
    SchemaTransformation.transformEffect({
      decode: (text) => {
        const key = Buffer.from(text, "base64url").toString()
        return /^[\w:-]{1,100}$/.test(key) && Buffer.from(key).toString("base64url") === text
          ? Effect.succeed(key)
          : Effect.fail(mistake("not_a_cursor", "Is not a `nextCursor` that this list has given out."))
      },
      encode: (key) => Effect.succeed(Buffer.from(key).toString("base64url"))
    })
  )
)

export const usualLimit = 20
export const pageQuery = {
  limit: Schema.optionalKey(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 100 })))).annotateKey({
    description: `How many at the most. Default ${usualLimit}.`
  }),
  after: Schema.optionalKey(Cursor).annotateKey({ description: "The `nextCursor` of the page before." })
}

export const page = <S extends Schema.Top>(item: S, identifier: string) =>
  Schema.Struct({
    data: Schema.Array(item),
    hasMore: Schema.Boolean,
    nextCursor: Schema.NullOr(Cursor)
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
