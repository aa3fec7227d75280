/** An API key as we keep it: what it may do, and a hash of its secret. The secret itself is shown once. */
import { Result, Schema } from "effect"
import type { Aggregate } from "./Aggregate.ts"
import { Mode } from "./Chain.ts"
import * as Id from "./Id.ts"
import { MerchantId } from "./Merchant.ts"
import { Instant } from "./Money.ts"

export const ApiKeyId = Id.schema("key").pipe(Schema.brand("ApiKeyId"))
export type ApiKeyId = typeof ApiKeyId.Type

export const Scope = Schema.Literals(["invoices:read", "invoices:write", "webhooks:read", "webhooks:write"])
export type Scope = typeof Scope.Type

export const Event = Schema.TaggedUnion({
  ApiKeyIssued: {
    merchantId: MerchantId,
    mode: Mode,
    name: Schema.String,
    /** The public half, by which a key is found: 12 characters. */
    lookup: Schema.String,
    /** SHA-256 of pepper and secret, in hex. The secret has 256 bits, so no slow hash is needed. */
    hash: Schema.String,
    scopes: Schema.Array(Scope),
    expiresAt: Schema.NullOr(Instant),
    issuedAt: Instant
  },
  ApiKeyRevoked: { revokedAt: Instant }
})
export type Event = typeof Event.Type
const { ApiKeyIssued, ApiKeyRevoked } = Event.cases

export interface State {
  readonly status: "unissued" | "active" | "revoked"
}
export const initial: State = { status: "unissued" }
export const evolve = (_: State, event: Event): State =>
  Event.match(event, {
    ApiKeyIssued: (): State => ({ status: "active" }),
    ApiKeyRevoked: (): State => ({ status: "revoked" })
  })

export const aggregate: Aggregate<State, Event> = {
  category: "apikey",
  prefix: "key",
  evergreen: true,
  events: Event,
  initial,
  evolve
}

export class ApiKeyNotFound extends Schema.TaggedError<ApiKeyNotFound>()("ApiKeyNotFound", {}) {}

export const issue = (details: Omit<typeof ApiKeyIssued.Type, "_tag">) => (state: State) =>
  Result.succeed(state.status === "unissued" ? [ApiKeyIssued.make(details)] : [])

export const revoke = (details: Omit<typeof ApiKeyRevoked.Type, "_tag">) => (state: State) => {
  if (state.status === "unissued") return Result.fail(new ApiKeyNotFound())
  return Result.succeed(state.status === "active" ? [ApiKeyRevoked.make(details)] : [])
}
