/** What a merchant asks of its webhook endpoints where something must be made or looked up first: secrets, addresses, pings. */
import { Context, DateTime, Effect, Layer, Redacted, Schema } from "effect"
import * as Id from "#domain/Id.ts"
import { MerchantId } from "#domain/Merchant.ts"
import type { Mode } from "#domain/Chain.ts"
import { bodyOf } from "#domain/Notice.ts"
import * as Endpoint from "#domain/WebhookEndpoint.ts"
import { Deliveries } from "#ports/Deliveries.ts"
import { Egress } from "#ports/Egress.ts"
import { EventStore, type Receipt } from "#ports/EventStore.ts"
import { Vault } from "#ports/Vault.ts"
import { type View, Views } from "#ports/Views.ts"
import { type Behalf, Dispatch, type Outcome } from "./Dispatch.ts"
import * as History from "./History.ts"
import { ChangeEndpoint, KeepReceipt, RegisterEndpoint, RotateSecret } from "./Merchants.ts"
import { newId } from "./NewId.ts"

export interface Settings {
  readonly url: string
  readonly description?: string
  /** Null for all. */
  readonly types: ReadonlyArray<string> | null
  readonly ordering: "unordered" | "per_invoice"
}

export interface WithSecret {
  readonly outcome: Outcome<Endpoint.State>
  readonly secret: Redacted.Redacted<string>
}

/** Each notice is sent to each endpoint, so there is a bound to them. */
export class TooManyEndpoints
  extends Schema.TaggedError<TooManyEndpoints>()("TooManyEndpoints", { most: Schema.Int })
{}
export class EndpointNotEnabled extends Schema.TaggedError<EndpointNotEnabled>()("EndpointNotEnabled", {}) {}

/** Endpoints a merchant may have in one mode, those that are deleted aside. */
export const mostEndpoints = 20
/** Seconds for which the secret before a rotation goes on signing. */
const overlap = 86_400
const secretBytes = 32

/** What binds a sealed secret to its endpoint. */
export const secretPurpose = (endpointId: string) => `webhooks|secret|${endpointId}`

export class Endpoints extends Context.Service<Endpoints>()("checkout/commands/Endpoints", {
  make: Effect.gen(function*() {
    const { dispatch } = yield* Dispatch
    const store = yield* EventStore
    const views = yield* Views
    const vault = yield* Vault
    const egress = yield* Egress
    const deliveries = yield* Deliveries

    const register = Effect.fn("Endpoints.register")(function*(
      { mode, url, ...settings }: Settings & { readonly mode: Mode },
      behalf: Behalf
    ) {
      const id = yield* newId(Endpoint.aggregate)
      const again = yield* wasAsked(behalf)
      if (!again) yield* leavesRoom(behalf.tenant, mode)
      const secret = yield* newSecret
      const asked = {
        ...settings,
        merchantId: MerchantId.make(behalf.tenant),
        mode,
        url: again ? url : yield* egress.vet(url),
        secret: yield* vault.seal(secretPurpose(id), secret)
      }
      return yield* withSecret(yield* dispatch(RegisterEndpoint, id, asked, behalf), secret, behalf)
    })

    const change = Effect.fn("Endpoints.change")(function*(id: string, settings: Settings, behalf: Behalf) {
      const again = yield* wasAsked(behalf)
      const url = again ? settings.url : yield* egress.vet(settings.url)
      return yield* dispatch(ChangeEndpoint, id, { ...settings, url }, behalf)
    })

    /** The secret before goes on signing beside the new one for `overlapSeconds`: a day, where nothing else is said. */
    const rotate = Effect.fn("Endpoints.rotate")(function*(id: string, behalf: Behalf, overlapSeconds = overlap) {
      const secret = yield* newSecret
      const sealed = yield* vault.seal(secretPurpose(id), secret)
      const previousUntil = DateTime.add(yield* DateTime.now, { seconds: overlapSeconds })
      return yield* withSecret(
        yield* dispatch(RotateSecret, id, { secret: sealed, previousUntil }, behalf),
        secret,
        behalf
      )
    })

    /** Owes `endpoint.ping` to this endpoint alone. Answers with the delivery; asked again, with the same one. */
    const ping = Effect.fn("Endpoints.ping")(function*(id: string, behalf: Behalf) {
      const { receipt, tenant } = behalf
      const history = yield* store.read(id, tenant)
      const events = history.map((recorded) => History.decode(Endpoint.aggregate, recorded))
      const [registered] = events
      const { status } = events.reduce(Endpoint.evolve, Endpoint.initial)
      if (registered?._tag !== "EndpointRegistered" || status === "deleted") {
        return yield* new Endpoint.EndpointNotFound()
      }
      if (status === "disabled") return yield* new EndpointNotEnabled()

      const endpointId = Endpoint.EndpointId.make(id)
      const { mode } = registered
      const occurredAt = yield* DateTime.now
      const notice = {
        id: receipt === undefined ? yield* newId({ prefix: "evt", evergreen: false }) : yield* idOf(tenant, receipt),
        type: "endpoint.ping",
        apiVersion: "v1",
        mode,
        occurredAt,
        sequence: history.length,
        data: { endpointId }
      } as const
      const { id: notificationId, type } = notice
      const notification = {
        id: notificationId,
        merchantId: tenant,
        mode,
        type,
        invoiceId: null,
        body: bodyOf(notice),
        occurredAt
      }
      // The receipt first: what follows is done once however often it is done, so a retry after a crash completes it.
      const replayed = receipt !== undefined && (yield* dispatch(KeepReceipt, id, {}, behalf)).replayed
      yield* deliveries.owe([{ notification, to: [{ endpointId, skip: false, ordered: false }] }])
      const [delivery] = yield* deliveries.list({ merchantId: tenant, mode, endpointId, notificationId, limit: 1 })
      if (delivery === undefined) return yield* Effect.die(new Error("a ping was owed and is not there"))
      return { delivery, replayed }
    })

    const leavesRoom = Effect.fnUntraced(function*(tenant: string, mode: Mode) {
      const count = (status: string) =>
        Effect.map(
          views.list(known, { tenant, contains: { mode, status }, limit: mostEndpoints }),
          ({ length }) => length
        )
      const [enabled, disabled] = yield* Effect.all([count("enabled"), count("disabled")])
      if (enabled + disabled >= mostEndpoints) return yield* new TooManyEndpoints({ most: mostEndpoints })
    })

    const wasAsked = ({ receipt, tenant }: Behalf) =>
      receipt === undefined
        ? Effect.succeed(false)
        : Effect.map(store.receipt(tenant, receipt.key), (stored) => stored !== null)

    /** Asking twice gives the same answer, so the first asking's secret is looked up where it is sealed. */
    const withSecret = Effect.fnUntraced(function*(
      outcome: Outcome<Endpoint.State>,
      made: Redacted.Redacted<string>,
      { tenant }: Behalf
    ): Effect.fn.Return<WithSecret, Effect.Error<ReturnType<typeof store.read>>> {
      if (!outcome.replayed) return { outcome, secret: made }
      const history = yield* store.read(outcome.id, tenant)
      const answered = history[outcome.version - 1]
      const event = answered === undefined ? null : History.decode(Endpoint.aggregate, answered)
      if (event === null || !("secret" in event)) return yield* Effect.die(new Error("a receipt names another event"))
      // A seal that does not open is a broken instance, and no answer of ours to the merchant.
      return { outcome, secret: yield* Effect.orDie(vault.open(secretPurpose(outcome.id), event.secret)) }
    })

    return { register, change, rotate, ping }
  })
}) {
  static readonly layer = Layer.effect(this, this.make)
}

/** The read model of that name, as far as counting goes. */
const known: View<{ readonly id: string }> = { name: "endpoints", row: Schema.Struct({ id: Schema.String }) }

const newSecret = Effect.sync(() =>
  Redacted.make(`whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(secretBytes))))}`)
)

/** The same receipt, the same id, whenever it comes. */
const idOf = Effect.fnUntraced(function*(tenant: string, { key }: Receipt) {
  const bytes = new TextEncoder().encode(JSON.stringify([tenant, key]))
  const digest = new Uint8Array(yield* Effect.promise(() => crypto.subtle.digest("SHA-256", bytes)))
  return Id.fromUuid("evt", Array.from(digest.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(""))
})
