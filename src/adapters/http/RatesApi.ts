/** The rates part of the contract: what each asset is worth now, from which sources, and how fresh. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AssetId } from "#domain/Chain.ts"
import { Currency, Instant } from "#domain/Money.ts"
import { Answered, Asked, Authenticated, NeedsScope } from "./Conventions.ts"
import { problems } from "./Problem.ts"

const RateResource = Schema.Struct({
  asset: AssetId,
  currency: Currency,
  rate: Schema.NullOr(Schema.String).annotate({
    description: "What one whole unit of the asset is worth, without spread. Null while there is no reliable price."
  }),
  sources: Schema.Array(Schema.String),
  takenAt: Schema.NullOr(Instant),
  stale: Schema.Boolean,
  reason: Schema.NullOr(Schema.String).annotate({ description: "Why there is no price; null where there is one." })
}).annotate({ identifier: "Rate" })

export class RatesApi extends HttpApiGroup.make("rates").add(
  HttpApiEndpoint.get("list", "/", {
    query: {
      currency: Schema.optionalKey(Currency).annotateKey({ description: "Default USD." }),
      asset: Schema.optionalKey(AssetId)
    },
    success: Schema.Struct({ data: Schema.Array(RateResource) }).annotate({ identifier: "RateList" }),
    error: problems("invalid_request")
  }).annotate(NeedsScope, "invoices:read").annotateMerge(
    OpenApi.annotations({ summary: "List rates", description: "The same market prices that invoices are quoted at." })
  )
).middleware(Asked).middleware(Authenticated).middleware(Answered).prefix("/v1/rates") {}
