/** The webhooks part of the contract, carried out. */
import { Effect, Redacted, Schema } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import { Dispatch, type Outcome } from "#commands/Dispatch.ts"
import { Endpoints, type WithSecret } from "#commands/Endpoints.ts"
import { DeleteEndpoint, DisableEndpoint, EnableEndpoint, KeepReceipt } from "#commands/Merchants.ts"
import { EndpointId } from "#domain/WebhookEndpoint.ts"
import { type Attempt, Deliveries, type Delivery } from "#ports/Deliveries.ts"
import { EventStore } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { type EndpointRow, endpoints as rows } from "#projections/Directory.ts"
import { Api } from "./Api.ts"
import { Asking, Principal } from "./Conventions.ts"
import { pageOf, usualLimit } from "./Paging.ts"
import { refuse } from "./Problem.ts"
import { answered } from "./Problems.ts"

const isEndpointId = Schema.is(EndpointId)

export const layer = HttpApiBuilder.group(
  Api,
  "webhookEndpoints",
  Effect.fnUntraced(function*(handlers) {
    const { dispatch } = yield* Dispatch
    const endpoints = yield* Endpoints
    const deliveries = yield* Deliveries
    const store = yield* EventStore
    const views = yield* Views

    /** The caller's own endpoint, of the key's world, that is not deleted; anything else does not exist. */
    const owned = Effect.fnUntraced(function*(id: string) {
      const { merchantId, mode } = yield* Principal
      const row = isEndpointId(id) ? yield* views.get(rows, id) : null
      const mine = row !== null && row.merchantId === merchantId && row.mode === mode && row.status !== "deleted"
      return mine ? row : yield* refuse("not_found")
    })

    const ownedDelivery = Effect.fnUntraced(function*(id: string, deliveryId: string) {
      const { merchantId, mode } = yield* Principal
      const { id: endpointId } = yield* owned(id)
      const [delivery] = yield* deliveries.list({ merchantId, mode, endpointId, deliveryId, limit: 1 })
      return delivery ?? (yield* refuse("not_found"))
    })

    /**
     * For what is done to deliveries, outside of the endpoint's stream: asked again, it is not done again. Should the
     * process end between the two it is, which a receiver of webhooks must bear anyway.
     */
    const once = Effect.fnUntraced(function*<A, E>(id: string, act: Effect.Effect<A, E>) {
      const behalf = yield* Asking
      const { receipt, tenant } = behalf
      if (receipt === undefined) return { done: yield* act, headers: {} }
      const stored = yield* store.receipt(tenant, receipt.key)
      if (stored !== null && stored.hash !== receipt.hash) return yield* refuse("idempotency_mismatch")
      if (stored !== null) return { done: null, headers: replayHeader(true) }
      const done = yield* act
      yield* dispatch(KeepReceipt, id, {}, behalf)
      return { done, headers: {} }
    })

    return handlers.handleAll({
      create: ({ payload: { ordering = "unordered", types = null, ...rest } }) =>
        Effect.gen(function*() {
          const { mode } = yield* Principal
          const made = yield* endpoints.register({ ...rest, ordering, types, mode }, yield* Asking)
          const { body, headers } = yield* withSecret(made)
          return HttpApiSchema.withHeaders({
            body,
            headers: { ...headers, location: `/v1/webhook-endpoints/${body.id}` }
          })
        }).pipe(answered),

      list: ({ query: { after, limit = usualLimit } }) =>
        Effect.gen(function*() {
          const { merchantId, mode } = yield* Principal
          const listed = (status: string) =>
            views.list(rows, {
              tenant: merchantId,
              contains: { mode, status },
              ...after !== undefined && { before: after },
              limit: limit + 1
            })
          const both = [...yield* listed("enabled"), ...yield* listed("disabled")]
          const newest = both.toSorted((a, b) => a.id < b.id ? 1 : -1).slice(0, limit + 1)
          return pageOf(newest, limit, resourceOf, ({ id }) => id)
        }).pipe(answered),

      get: ({ params }) => Effect.map(owned(params.id), shown).pipe(answered),

      change: ({ params, payload: { description, enabled, ...asked } }) =>
        Effect.gen(function*() {
          const row = yield* owned(params.id)
          const behalf = yield* Asking
          const settings = {
            url: asked.url ?? row.url,
            types: asked.types === undefined ? row.types : asked.types,
            ordering: asked.ordering ?? row.ordering,
            ...worded(description === undefined ? row.description : description)
          }
          const alters = description !== undefined || Object.keys(asked).length > 0
          // What is not named stays as it was read, so it must not have changed since.
          const base = { ...behalf, ifVersion: behalf.ifVersion ?? row.version }
          const version = alters ? (yield* endpoints.change(row.id, settings, base)).version : base.ifVersion
          if (enabled === undefined) return shown(yield* owned(params.id))
          const then = { ...behalf, ifVersion: version }
          const outcome = enabled
            ? yield* dispatch(EnableEndpoint, row.id, {}, then)
            : yield* dispatch(DisableEndpoint, row.id, { reason: "by_merchant" }, then)
          return shown(yield* rowOf(outcome))
        }).pipe(answered),

      remove: ({ params }) =>
        Effect.gen(function*() {
          const { id } = yield* owned(params.id)
          yield* dispatch(DeleteEndpoint, id, {}, yield* Asking)
        }).pipe(answered),

      rotateSecret: ({ params, payload: { overlapSeconds } }) =>
        Effect.gen(function*() {
          const { id } = yield* owned(params.id)
          return HttpApiSchema.withHeaders(
            yield* withSecret(yield* endpoints.rotate(id, yield* Asking, overlapSeconds))
          )
        }).pipe(answered),

      test: ({ params }) =>
        Effect.gen(function*() {
          const { id } = yield* owned(params.id)
          const { delivery, replayed } = yield* endpoints.ping(id, yield* Asking)
          return HttpApiSchema.withHeaders({ body: deliveryOf(delivery), headers: replayHeader(replayed) })
        }).pipe(answered),

      deliveries: ({ params, query: { after, limit = usualLimit, status } }) =>
        Effect.gen(function*() {
          const { merchantId, mode } = yield* Principal
          const { id } = yield* owned(params.id)
          const found = yield* deliveries.list({
            merchantId,
            mode,
            endpointId: id,
            ...status !== undefined && { status },
            ...after !== undefined && { before: after },
            limit: limit + 1
          })
          return pageOf(found, limit, deliveryOf, ({ id }) => id)
        }).pipe(answered),

      delivery: ({ params }) =>
        Effect.gen(function*() {
          const delivery = yield* ownedDelivery(params.id, params.deliveryId)
          const attempts = yield* deliveries.attempts([delivery.id])
          return { ...deliveryOf(delivery), payload: delivery.notification.body, log: attempts.map(attemptOf) }
        }).pipe(answered),

      resend: ({ params }) =>
        Effect.gen(function*() {
          const { merchantId } = yield* Principal
          const delivery = yield* ownedDelivery(params.id, params.deliveryId)
          const { done, headers } = yield* once(params.id, deliveries.resend(merchantId, delivery.id))
          return HttpApiSchema.withHeaders({ body: deliveryOf(done ?? delivery), headers })
        }).pipe(answered),

      recover: ({ params, payload: { since, until } }) =>
        Effect.gen(function*() {
          const { merchantId } = yield* Principal
          const { id } = yield* owned(params.id)
          const { done, headers } = yield* once(id, deliveries.recover(merchantId, id, since, until))
          return HttpApiSchema.withHeaders({ body: { recovered: done ?? 0 }, headers })
        }).pipe(answered)
    })
  })
)

const replayHeader = (replayed: boolean) => replayed ? { "idempotent-replayed": "true" as const } : {}

const worded = (description: string | null) => description === null ? {} : { description }

const rowOf = ({ row }: Outcome<unknown>) => {
  const found = row(rows)
  return found === null ? Effect.die(new Error("a command left no row")) : Effect.succeed(found)
}

const withSecret = Effect.fnUntraced(function*({ outcome, secret }: WithSecret) {
  const { body, headers } = shown(yield* rowOf(outcome))
  return {
    body: { ...body, secret: Redacted.value(secret) },
    headers: { ...headers, ...replayHeader(outcome.replayed) }
  }
})

const shown = (row: EndpointRow) =>
  HttpApiSchema.withHeaders({ body: resourceOf(row), headers: { etag: `"${row.version}"` } })

const resourceOf = ({ id, merchantId: _merchant, secrets: _secrets, status, ...row }: EndpointRow) => ({
  ...row,
  id: EndpointId.make(id),
  status: status === "enabled" ? "enabled" as const : "disabled" as const
})

const deliveryOf = ({ attempts, createdAt, id, nextAttemptAt, notification, status }: Delivery) => ({
  id,
  eventId: notification.id,
  type: notification.type,
  invoiceId: notification.invoiceId,
  status,
  attempts,
  nextAttemptAt,
  createdAt
})

const attemptOf = ({ deliveryId: _delivery, ...attempt }: Attempt) => attempt
