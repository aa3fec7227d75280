/** The whole contract. OpenAPI, the reference page, the typed client and the tests are made from it. */
import { HttpApi, OpenApi } from "effect/http-api"
import { EndpointsApi } from "./EndpointsApi.ts"
import { EventsApi } from "./EventsApi.ts"
import { HealthApi } from "./HealthApi.ts"
import { InvoicesApi } from "./InvoicesApi.ts"
import { RatesApi } from "./RatesApi.ts"

export class Api extends HttpApi.make("checkout")
  .add(InvoicesApi, EventsApi, EndpointsApi, RatesApi, HealthApi)
  .annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
  .annotateMerge(OpenApi.annotations({
    title: "Crypto Checkout",
    version: "1",
    description: "Ship when `status` is `settled`, and on nothing else."
  }))
{}
