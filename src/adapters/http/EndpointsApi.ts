/** The webhooks part of the contract: where to send notices, how each was delivered, and how to get them again. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Mode } from "#domain/Chain.ts"
import { maxUrlLength } from "#domain/EgressPolicy.ts"
import { Instant } from "#domain/Money.ts"
import { NoticeType } from "#domain/Notice.ts"
import { EndpointId } from "#domain/WebhookEndpoint.ts"
import { EndpointRow } from "#projections/Directory.ts"
import {
  Answered,
  Asked,
  Authenticated,
  changeHeaders,
  IfMatch,
  NeedsScope,
  OwnBucket,
  postHeaders,
  replayed
} from "./Conventions.ts"
import { Line, Moment } from "./Forms.ts"
import { page, pageQuery } from "./Paging.ts"
import { problems } from "./Problem.ts"

const Url = Schema.String.pipe(Schema.check(Schema.isBetweenLength(1, maxUrlLength))).annotate({
  description: "A public HTTPS address.",
  examples: ["https://shop.example/webhooks"]
})
const Description = Line(200)
const Types = Schema.NullOr(Schema.Array(NoticeType).pipe(Schema.check(Schema.isBetweenLength(1, 50)))).annotate({
  description: "The notices it wants. Null for all, those to come included."
})
const { ordering } = EndpointRow.fields

const EndpointResource = Schema.Struct({
  id: EndpointId,
  mode: Mode,
  url: Schema.String,
  description: Schema.NullOr(Schema.String),
  types: Schema.NullOr(Schema.Array(Schema.String)),
  ordering: ordering.annotate({
    description: "`per_invoice`: an invoice's next notice waits until the one before is through."
  }),
  status: Schema.Literals(["enabled", "disabled"]),
  disabledBecause: EndpointRow.fields.disabledBecause,
  version: Schema.Int,
  createdAt: Instant
}).annotate({ identifier: "WebhookEndpoint" })

/** With the secret, which is shown at no other time. */
const EndpointWithSecret = Schema.Struct({
  ...EndpointResource.fields,
  secret: Schema.String.annotate({
    description: "Signs every request, by the Standard Webhooks specification. Shown only here.",
    examples: ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]
  })
}).annotate({ identifier: "WebhookEndpointWithSecret" })

const DeliveryResource = Schema.Struct({
  id: Schema.String,
  eventId: Schema.String.annotate({ description: "The `webhook-id`: the same for every endpoint, retry and replay." }),
  type: Schema.String,
  invoiceId: Schema.NullOr(Schema.String),
  status: Schema.Literals(["pending", "sending", "delivered", "exhausted", "skipped"]),
  attempts: Schema.Int,
  nextAttemptAt: Schema.NullOr(Instant),
  createdAt: Instant
}).annotate({ identifier: "Delivery" })

const AttemptResource = Schema.Struct({
  number: Schema.Int,
  at: Instant,
  durationMs: Schema.Int,
  outcome: Schema.String,
  status: Schema.NullOr(Schema.Int),
  detail: Schema.String
}).annotate({ identifier: "Attempt" })

const DeliveryWithAttempts = Schema.Struct({
  ...DeliveryResource.fields,
  payload: Schema.String.annotate({ description: "The body, byte for byte as it is signed and sent." }),
  log: Schema.Array(AttemptResource)
}).annotate({ identifier: "DeliveryWithAttempts" })

const params = { id: Schema.String }
const delivery = { id: Schema.String, deliveryId: Schema.String }
const said = (summary: string, description: string) => OpenApi.annotations({ summary, description })
const conflicts = ["idempotency_mismatch", "version_conflict", "unavailable"] as const

export class EndpointsApi extends HttpApiGroup.make("webhookEndpoints").add(
  HttpApiEndpoint.post("create", "/", {
    headers: postHeaders,
    payload: Schema.Struct({
      url: Url,
      description: Schema.optionalKey(Description),
      types: Schema.optionalKey(Types),
      ordering: Schema.optionalKey(ordering)
    }).annotate({ identifier: "NewWebhookEndpoint" }),
    success: HttpApiSchema.WithHeaders(EndpointWithSecret.pipe(HttpApiSchema.status(201)), {
      location: Schema.String,
      etag: Schema.String,
      ...replayed
    }),
    error: problems("destination_refused", "too_many", ...conflicts)
  }).annotate(NeedsScope, "webhooks:write").annotateMerge(
    said("Register an endpoint", "Answers with its signing secret, once.")
  ),
  HttpApiEndpoint.get("list", "/", {
    query: pageQuery("we"),
    success: page(EndpointResource, "WebhookEndpointPage", "we"),
    error: problems("unavailable")
  }).annotate(NeedsScope, "webhooks:read").annotateMerge(said("List endpoints", "Newest first.")),
  HttpApiEndpoint.get("get", "/:id", {
    params,
    success: HttpApiSchema.WithHeaders(EndpointResource, { etag: Schema.String }),
    error: problems("not_found", "unavailable")
  }).annotate(NeedsScope, "webhooks:read").annotateMerge(said("Get an endpoint", "Without its secret.")),
  HttpApiEndpoint.patch("change", "/:id", {
    params,
    headers: { "if-match": Schema.optionalKey(IfMatch) },
    payload: Schema.Struct({
      url: Schema.optionalKey(Url),
      description: Schema.optionalKey(Schema.NullOr(Description)),
      types: Schema.optionalKey(Types),
      ordering: Schema.optionalKey(ordering),
      enabled: Schema.optionalKey(Schema.Boolean)
    }).annotate({ identifier: "WebhookEndpointChange" }),
    success: HttpApiSchema.WithHeaders(EndpointResource, { etag: Schema.String }),
    error: problems("not_found", "destination_refused", "version_conflict", "unavailable")
  }).annotate(NeedsScope, "webhooks:write").annotateMerge(
    said("Change an endpoint", "Only what is named changes. What is already owed goes to the new address.")
  ),
  HttpApiEndpoint.delete("remove", "/:id", {
    params,
    headers: { "if-match": Schema.optionalKey(IfMatch) },
    success: HttpApiSchema.NoContent,
    error: problems("not_found", "version_conflict", "unavailable")
  }).annotate(NeedsScope, "webhooks:write").annotateMerge(
    said("Delete an endpoint", "Nothing is sent to it any more. Its past stays in the log.")
  ),
  HttpApiEndpoint.post("rotateSecret", "/:id/rotate-secret", {
    params,
    headers: changeHeaders,
    payload: Schema.Struct({
      overlapSeconds: Schema.optionalKey(
        Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 7 * 86_400 })))
      ).annotateKey({ description: "How long the secret before goes on signing beside the new one. Default 86400." })
    }),
    success: HttpApiSchema.WithHeaders(EndpointWithSecret, { etag: Schema.String, ...replayed }),
    error: problems("not_found", ...conflicts)
  }).annotate(NeedsScope, "webhooks:write").annotateMerge(
    said("Rotate the secret", "For a while both secrets sign, so that a receiver can change over without a gap.")
  ),
  HttpApiEndpoint.post("test", "/:id/test", {
    params,
    headers: postHeaders,
    success: HttpApiSchema.WithHeaders(DeliveryResource.pipe(HttpApiSchema.status(202)), replayed),
    error: problems("not_found", "not_possible_now", ...conflicts)
  }).annotate(NeedsScope, "webhooks:write").annotate(OwnBucket, "webhook").annotateMerge(
    said("Send a ping", "A signed `endpoint.ping`. Ask for the delivery to see what became of it.")
  ),
  HttpApiEndpoint.get("deliveries", "/:id/deliveries", {
    params,
    query: { ...pageQuery("dlv"), status: Schema.optionalKey(DeliveryResource.fields.status) },
    success: page(DeliveryResource, "DeliveryPage", "dlv"),
    error: problems("not_found", "unavailable")
  }).annotate(NeedsScope, "webhooks:read").annotateMerge(said("List deliveries", "Newest first.")),
  HttpApiEndpoint.get("delivery", "/:id/deliveries/:deliveryId", {
    params: delivery,
    success: DeliveryWithAttempts,
    error: problems("not_found", "unavailable")
  }).annotate(NeedsScope, "webhooks:read").annotateMerge(
    said("Get a delivery", "With the body as it was signed, and every attempt.")
  ),
  HttpApiEndpoint.post("resend", "/:id/deliveries/:deliveryId/resend", {
    params: delivery,
    headers: postHeaders,
    success: HttpApiSchema.WithHeaders(DeliveryResource.pipe(HttpApiSchema.status(202)), replayed),
    error: problems("not_found", ...conflicts)
  }).annotate(NeedsScope, "webhooks:write").annotate(OwnBucket, "webhook").annotateMerge(
    said("Send a delivery again", "At once. An automatic retry that was pending is this one.")
  ),
  HttpApiEndpoint.post("recover", "/:id/recover", {
    params,
    headers: postHeaders,
    payload: Schema.Struct({ since: Moment, until: Schema.optionalKey(Moment) }),
    success: HttpApiSchema.WithHeaders(
      Schema.Struct({ recovered: Schema.Int }).annotate({ identifier: "Recovered" }).pipe(HttpApiSchema.status(202)),
      replayed
    ),
    error: problems("not_found", ...conflicts)
  }).annotate(NeedsScope, "webhooks:write").annotate(OwnBucket, "webhook").annotateMerge(
    said(
      "Recover what was missed",
      "Everything of the last 30 days that never reached the endpoint becomes due again, up to 10 000 at a time: ask " +
        "again until it says 0. Under the same `Idempotency-Key`, nothing more is recovered."
    )
  )
).annotate(OpenApi.Title, "Webhook endpoints").middleware(Asked).middleware(Authenticated).middleware(Answered).prefix(
  "/v1/webhook-endpoints"
) {}
