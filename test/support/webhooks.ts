/** A shop's webhooks in memory: endpoints that can be registered, notices that can be owed, and a sender that tells. */
import { Context, DateTime, Effect, Layer, Redacted, Ref } from "effect"
import * as Vault from "#adapters/crypto/Vault.ts"
import * as MemoryDeliveries from "#adapters/memory/Deliveries.ts"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import { type Behalf, Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { Endpoints, type Settings } from "#commands/Endpoints.ts"
import { newId } from "#commands/NewId.ts"
import { UrlRefused } from "#domain/EgressPolicy.ts"
import type { Mode } from "#domain/Chain.ts"
import { Deliveries, type Notification } from "#ports/Deliveries.ts"
import { Egress } from "#ports/Egress.ts"
import { Views } from "#ports/Views.ts"
import { type Post, type Response, WebhookSender } from "#ports/WebhookSender.ts"
import { addressBook, endpoints } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { merchantId } from "./examples.ts"

/** What was posted, and how receivers answer: by the URL, and with the post at hand. */
export class Receivers extends Context.Service<Receivers, {
  readonly posts: Array<Post>
  readonly answer: Ref.Ref<(post: Post) => Effect.Effect<Partial<Response>>>
}>()("test/Receivers") {
  static readonly layer = Layer.effect(
    this,
    Effect.map(Ref.make<(post: Post) => Effect.Effect<Partial<Response>>>(() => Effect.succeed({})), (answer) => ({
      posts: [],
      answer
    }))
  )
}

/** Takes everything down, and answers 204 where nothing else was said. */
export const recordingSender = Layer.effect(
  WebhookSender,
  Effect.map(Receivers, ({ answer, posts }) => ({
    post: Effect.fnUntraced(function*(post: Post) {
      posts.push(post)
      const given = yield* (yield* Ref.get(answer))(post)
      return { outcome: "success", status: 204, retryAfterSeconds: null, durationMs: 5, detail: "", ...given } as const
    })
  }))
)

/** From now on receivers answer like this. */
export const receiversAnswer = (answer: (post: Post) => Effect.Effect<Partial<Response>>) =>
  Effect.flatMap(Receivers, (receivers) => Ref.set(receivers.answer, answer))

export const failing: Partial<Response> = { outcome: "http_error", status: 500 }
export const silent: Partial<Response> = { outcome: "timeout", status: null }

/** Lets all through but hosts that begin with `inside`. */
const egress = Layer.succeed(Egress, {
  vet: (url) => url.includes("//inside") ? new UrlRefused({ code: "forbidden_address" }) : Effect.succeed(url)
})

const projections = Layer.succeed(StrongProjections, [endpoints, invoiceDetails, addressBook])
const vault = Vault.layer([Redacted.make(Buffer.alloc(32, 7).toString("base64"))])

/** All but the worker. `deliveries` may be another implementation. */
export const webhooksOn = <E>(deliveries: Layer.Layer<Deliveries, E>) =>
  Endpoints.layer.pipe(
    Layer.provideMerge(Dispatch.layer),
    Layer.provideMerge(
      Layer.mergeAll(MemoryEventStore.layer, MemoryViews.layer, deliveries, vault, egress, projections)
    ),
    Layer.provideMerge(recordingSender),
    Layer.provideMerge(Receivers.layer)
  )
export const webhooks = webhooksOn(MemoryDeliveries.layer)

export const behalf: Behalf = { tenant: merchantId, actor: "key_example" }
/** The same request, under a receipt. */
export const under = (key: string): Behalf => ({ ...behalf, receipt: { key, hash: key } })

/** Registers an endpoint at `https://<host>/`; answers with its id. */
export const register = Effect.fnUntraced(function*(host: string, settings: Partial<Settings & { mode: Mode }> = {}) {
  const { register } = yield* Endpoints
  const asked = { url: `https://${host}/`, types: null, ordering: "unordered", mode: "live", ...settings } as const
  const { outcome, secret } = yield* register(asked, behalf)
  return { id: outcome.id, secret: Redacted.value(secret) }
})

/** Owes a notice to each of these endpoints; answers with it. */
export const owe = Effect.fnUntraced(function*(
  endpointIds: ReadonlyArray<string>,
  fields: Partial<Notification> & { readonly skip?: boolean } = {}
) {
  const { skip = false, ...overrides } = fields
  const deliveries = yield* Deliveries
  const notification: Notification = {
    id: yield* newId({ prefix: "evt", evergreen: false }),
    merchantId,
    mode: "live",
    type: "invoice.settled",
    invoiceId: null,
    body: "{}",
    occurredAt: yield* DateTime.now,
    ...overrides
  }
  yield* deliveries.owe([{ notification, to: endpointIds.map((endpointId) => ({ endpointId, skip, ordered: false })) }])
  return notification
})

/** What became of an endpoint's deliveries, newest first. */
export const deliveriesOf = (endpointId: string) =>
  Effect.flatMap(Deliveries, ({ list }) => list({ merchantId, mode: "live", endpointId, limit: 1000 }))

export const endpointRow = (id: string) => Effect.flatMap(Views, ({ get }) => get(endpoints, id))
