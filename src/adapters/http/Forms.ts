/** How things are written in a request. The same rules check what comes in and stand in the document. */
import { Effect, Schema, SchemaTransformation } from "effect"
import { Instant } from "#domain/Money.ts"
import { NoticeType } from "#domain/Notice.ts"
import { choose, mistake, rule } from "./Mistakes.ts"

/** Text that people read: one line, trimmed by nobody but them. */
export const Line = (most: number) =>
  Schema.String.pipe(
    Schema.check(
      Schema.isBetweenLength(1, most),
      rule<string>("control_character", "May not contain control characters.", (text) => !/\p{Cc}/u.test(text), {
        pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
      })
    )
  )

export const HttpUrl = (most: number) =>
  Schema.String.pipe(
    Schema.check(
      Schema.isMaxLength(most),
      rule<string>("not_a_url", "Must be an absolute http or https URL, without a user name.", (text) => {
        const url = URL.parse(text)
        return url !== null && (url.protocol === "https:" || url.protocol === "http:") && url.username === ""
      }, { format: "uri", pattern: "^https?://" })
    )
  )

export const Email = Schema.String.pipe(
  Schema.check(
    Schema.isMaxLength(254),
    Schema.isPattern(/^[^\s@]+@[^\s@]+$/u, { code: "not_an_email", message: "Must be an e-mail address." })
  )
).annotate({ format: "email" })

const momentWords = `Must be a time by RFC 3339 between 1970 and 2999, like "2026-03-01T10:00:00Z".`

/** Years with four digits, which every database and calendar knows. */
const moment =
  /^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$/u

/** The calendar has no 31 June, though `Date` makes the first of July of it. */
const isDay = (text: string) => {
  const [year, month, day] = text.slice(0, 10).split("-").map(Number) as [number, number, number]
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
}

export const Moment = Schema.String.annotate({ format: "date-time" }).pipe(
  Schema.check(
    Schema.isPattern(moment, { code: "not_a_time", message: momentWords }),
    rule<string>("not_a_time", momentWords, isDay)
  ),
  Schema.decodeTo(Instant)
)

/** A whole number in a URL, where everything is text. */
export const Whole = (
  { maximum, minimum }: { readonly minimum: number; readonly maximum: number },
  description: string
) => {
  const words = { code: "not_a_whole_number", message: `Must be a whole number from ${minimum} to ${maximum}.` }
  return Schema.String.annotate({ description, standsFor: { type: "integer", minimum, maximum } }).pipe(
    Schema.check(Schema.isPattern(/^[0-9]{1,10}$/u, words)),
    Schema.decodeTo(
      Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum, maximum }, words))),
      SchemaTransformation.transform({ decode: Number, encode: String })
    )
  )
}

/** `a,b`: types of notices in a URL. */
export const NoticeTypes = Schema.String.annotate({
  description: "Only these, separated by commas: `invoice.settled,invoice.expired`.",
  standsFor: { type: "array", items: { type: "string", enum: NoticeType.literals }, minItems: 1 }
}).pipe(
  Schema.check(Schema.isMaxLength(1000)),
  Schema.decodeTo(
    Schema.Array(NoticeType),
    SchemaTransformation.transformEffect<ReadonlyArray<NoticeType>, string>({
      decode: (text) => {
        const types = text.split(",").map((type) => type.trim())
        const foreign = types.find((type) => !isNoticeType(type))
        return foreign === undefined
          ? Effect.succeed(types.filter(isNoticeType))
          : Effect.fail(mistake("unknown_type", `There is no «${foreign}». ${choose(foreign, NoticeType.literals)}`))
      },
      encode: (types) => Effect.succeed(types.join(","))
    })
  )
)
const isNoticeType = Schema.is(NoticeType)
