/** The invoices part of the contract. No implementation: clients import this too. */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { type AmountInvalid, BaseUnits, format, formatShort, parse } from "#domain/Amount.ts"
import { AssetId, ChainId, Method } from "#domain/Chain.ts"
import { Status } from "#domain/Invoice.ts"
import { Currency, digitsOf, isFiat } from "#domain/Money.ts"
import { Flag } from "#projections/InvoiceDetails.ts"
import {
  Answered,
  Asked,
  Authenticated,
  changeHeaders,
  NeedsScope,
  OwnBucket,
  postHeaders,
  replayed,
  TimeLimit
} from "./Conventions.ts"
import { Email, HttpUrl, Line, Moment, Whole } from "./Forms.ts"
import { FiatCode, InvoiceResource } from "./InvoiceResource.ts"
import { mistake, rule } from "./Mistakes.ts"
import { page, pageQuery } from "./Paging.ts"
import { problems } from "./Problem.ts"

const why: Readonly<Record<AmountInvalid["code"], (decimals: number) => string>> = {
  not_a_decimal: () => `Must be a plain decimal like "25.00": no sign, exponent, grouping or spaces.`,
  too_many_decimals: (decimals) => `Has more decimals than this currency's ${decimals}.`,
  too_large: () => "Is larger than anything that exists."
}

/** What a shop may ask for at the most, in minor units: beyond it, somebody has mistaken wei for ether. */
const mostMinor = 10n ** 36n

const PriceAsked = Schema.Struct({
  amount: Schema.String.annotate({
    pattern: "^(0|[1-9][0-9]*)(\\.[0-9]+)?$",
    description: "An exact decimal, as a string: more than zero, with no more decimals than the currency has.",
    examples: ["25.00"]
  }),
  currency: Schema.optionalKey(FiatCode),
  asset: Schema.optionalKey(AssetId)
}).pipe(
  Schema.check(
    Schema.makeFilter(({ asset, currency }) =>
      (asset === undefined) !== (currency === undefined) ||
      { path: ["currency"], issue: mistake("required", "Name either a `currency` or an `asset`.") }, {
      toJsonSchema: () => ({ oneOf: [{ required: ["currency"] }, { required: ["asset"] }] })
    })
  )
).annotate({ identifier: "PriceAsked", description: "A price in a currency, or in an asset." })

const PriceDecoded = Schema.Struct({ amount: BaseUnits, currency: Currency })
interface PriceDecoded extends Schema.Schema.Type<typeof PriceDecoded> {}

const PriceGiven = PriceAsked.pipe(
  Schema.decodeTo(
    Schema.toType(PriceDecoded),
    SchemaTransformation.transformEffect<PriceDecoded, typeof PriceAsked.Type>({
      decode: ({ amount, asset, currency }) => {
        const of = (currency ?? asset) as Currency
        const wrong = (code: string, message: string) =>
          Effect.fail(new SchemaIssue.Pointer(["amount"], mistake(code, message)))
        const parsed = parse(amount, digitsOf(of))
        if (parsed._tag === "Failure") {
          return wrong(parsed.failure.code, why[parsed.failure.code](parsed.failure.decimals))
        }
        if (parsed.success === 0n) return wrong("not_positive", "Must be more than zero.")
        if (parsed.success > mostMinor) return wrong("too_large", why.too_large(0))
        return Effect.succeed({ amount: parsed.success, currency: of })
      },
      encode: ({ amount, currency }) => {
        const text = format(amount, digitsOf(currency))
        return Effect.succeed(isFiat(currency) ? { amount: text, currency } : { amount: text, asset: currency })
      }
    })
  )
)

const Metadata = Schema.Record(Schema.String, Schema.String.pipe(Schema.check(Schema.isMaxLength(500)))).pipe(
  Schema.check(
    rule("too_many", "May have 50 keys at the most.", (fields) => Object.keys(fields).length <= 50, {
      maxProperties: 50
    }),
    rule(
      "too_long",
      "Keys must have 1 to 40 characters.",
      (fields) => Object.keys(fields).every((key) => key.length <= 40 && key !== ""),
      { propertyNames: { minLength: 1, maxLength: 40 } }
    )
  )
)

/** "0.5" → 50 hundredths of a percent. Half the price at the most, or next to nothing would settle an invoice. */
const Percent = Schema.String.annotate({ pattern: "^[0-9]{1,2}(\\.[0-9]{1,2})?$" }).pipe(
  Schema.decodeTo(
    Schema.Int,
    SchemaTransformation.transformEffect({
      decode: (text) => {
        const parsed = parse(text, 2)
        return parsed._tag === "Success" && parsed.success <= 5000n
          ? Effect.succeed(Number(parsed.success))
          : Effect.fail(
            mistake("not_a_percentage", `Must be a decimal from "0" to "50" with two decimals at the most.`)
          )
      },
      encode: (basisPoints) => Effect.succeed(formatShort(BigInt(basisPoints), 2))
    })
  )
)

const InvoiceAsked = Schema.Struct({
  price: Schema.NullOr(PriceGiven).annotate({ description: "Null for a top-up: whatever arrives is welcome." }),
  orderId: Schema.optionalKey(Line(200)),
  description: Schema.optionalKey(Line(500)),
  accepts: Schema.optionalKey(Schema.Array(Method).pipe(Schema.check(Schema.isBetweenLength(1, 40)))).annotateKey({
    description: "Ways to pay. Default: all that the merchant accepts."
  }),
  expiresIn: Schema.optionalKey(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 60, maximum: 7 * 86_400 }))))
    .annotateKey({ description: "Seconds for which the price holds. Default 900." }),
  redirectUrl: Schema.optionalKey(HttpUrl(2048)).annotateKey({ description: "Where the payer may go back to." }),
  customer: Schema.optionalKey(
    Schema.Struct({
      email: Email
    })
  ).annotateKey({ description: "Kept sealed, and never shown again." }),
  metadata: Schema.optionalKey(Metadata).annotateKey({
    description: "Your own: 50 keys of 40 characters, values of 500."
  }),
  policy: Schema.optionalKey(
    Schema.Struct({ tolerancePercent: Schema.optionalKey(Percent) })
  ).annotateKey({ description: "What to do otherwise than the merchant does." })
}).annotate({ identifier: "NewInvoice" })

export const InvoiceFilters = Schema.StructWithRest(
  Schema.Struct({
    ...pageQuery("inv"),
    status: Schema.optionalKey(Status),
    flag: Schema.optionalKey(Flag),
    orderId: Schema.optionalKey(Schema.String.pipe(Schema.check(Schema.isMaxLength(200)))),
    createdFrom: Schema.optionalKey(Moment),
    createdTo: Schema.optionalKey(Moment),
    chain: Schema.optionalKey(ChainId),
    asset: Schema.optionalKey(AssetId),
    q: Schema.optionalKey(Schema.String.pipe(Schema.check(Schema.isBetweenLength(1, 200)))).annotateKey({
      description: "Part of the order's id or the description; an address or a transaction as a whole."
    })
  }),
  [Schema.Record(Schema.TemplateLiteral(["metadata[", Schema.String, "]"]), Schema.String)]
)

const Reason = Line(500)

const one = HttpApiSchema.WithHeaders(InvoiceResource, { etag: Schema.String })
const changed = HttpApiSchema.WithHeaders(InvoiceResource, { etag: Schema.String, ...replayed })

const said = (summary: string, description: string) => OpenApi.annotations({ summary, description })

export class InvoicesApi extends HttpApiGroup.make("invoices").add(
  HttpApiEndpoint.post("create", "/", {
    headers: postHeaders,
    payload: InvoiceAsked,
    success: HttpApiSchema.WithHeaders(InvoiceResource.pipe(HttpApiSchema.status(201)), {
      location: Schema.String,
      etag: Schema.String,
      ...replayed
    }),
    error: problems(
      "nothing_to_pay_with",
      "no_way_to_pay_now",
      "invalid_request",
      "idempotency_mismatch",
      "version_conflict",
      "unavailable"
    )
  }).annotate(NeedsScope, "invoices:write").annotate(OwnBucket, "create").annotateMerge(
    said("Create an invoice", "Opens an invoice with an address of its own, and a price that holds for a while.")
  ),
  HttpApiEndpoint.get("list", "/", {
    query: InvoiceFilters,
    success: page(InvoiceResource, "InvoicePage", "inv"),
    error: problems("unavailable")
  }).annotate(NeedsScope, "invoices:read").annotateMerge(
    said("List invoices", "Newest first.")
  ),
  HttpApiEndpoint.get("get", "/:id", {
    params: { id: Schema.String },
    query: {
      wait: Schema.optionalKey(Whole({ minimum: 0, maximum: 30 }, "Seconds to wait for a change before answering.")),
      sinceVersion: Schema.optionalKey(
        Whole({ minimum: 0, maximum: 2 ** 31 }, "The version you know. Default: the present one.")
      )
    },
    success: one,
    error: problems("not_found", "unavailable")
  }).annotate(NeedsScope, "invoices:read").annotate(TimeLimit, "45 seconds").annotateMerge(
    said("Get an invoice", "With `wait`, answers as soon as the invoice changes, or with what it is when time is up.")
  ),
  HttpApiEndpoint.post("cancel", "/:id/cancel", {
    params: { id: Schema.String },
    headers: changeHeaders,
    payload: Schema.Struct({ reason: Schema.optionalKey(Reason) }),
    success: changed,
    error: problems(
      "not_found",
      "not_possible_now",
      "payment_under_way",
      "idempotency_mismatch",
      "version_conflict",
      "unavailable"
    )
  }).annotate(NeedsScope, "invoices:write").annotateMerge(
    said("Cancel an invoice", "Only while it is open and no payment has been seen. Canceling again changes nothing.")
  ),
  HttpApiEndpoint.post("mark", "/:id/mark", {
    params: { id: Schema.String },
    headers: changeHeaders,
    payload: Schema.Struct({ as: Schema.Literals(["settled", "written_off"]), reason: Reason }),
    success: changed,
    error: problems("not_found", "not_possible_now", "idempotency_mismatch", "version_conflict", "unavailable")
  }).annotate(NeedsScope, "invoices:write").annotateMerge(
    said("Mark an invoice", "Settles it or writes it off by hand. The reason, and whose key it was, are kept for ever.")
  )
).middleware(Asked).middleware(Authenticated).middleware(Answered).prefix("/v1/invoices") {}
