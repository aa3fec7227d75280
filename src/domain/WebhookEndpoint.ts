/** Where a merchant wants to hear of things: a URL, what it is told, and the secrets that sign it. */
import { Result, Schema } from "effect"
import type { Aggregate } from "./Aggregate.ts"
import { Mode } from "./Chain.ts"
import * as Id from "./Id.ts"
import { MerchantId } from "./Merchant.ts"
import { Instant } from "./Money.ts"

export const EndpointId = Id.schema("we").pipe(Schema.brand("EndpointId"))
export type EndpointId = typeof EndpointId.Type

const Settings = {
  url: Schema.String,
  description: Schema.optionalKey(Schema.String),
  /** Notice types it wants; null for all. */
  types: Schema.NullOr(Schema.Array(Schema.String)),
  /** `per_invoice`: an invoice's next notice waits until the one before is through. */
  ordering: Schema.Literals(["unordered", "per_invoice"])
}

export const Event = Schema.TaggedUnion({
  EndpointRegistered: {
    merchantId: MerchantId,
    mode: Mode,
    ...Settings,
    /** Sealed by the instance's key: events travel further than secrets may. */
    secret: Schema.String,
    registeredAt: Instant
  },
  EndpointChanged: { ...Settings, changedAt: Instant },
  /** The secret before stays valid until `previousUntil`, so that a receiver can change over without a gap. */
  SecretRotated: { secret: Schema.String, previousUntil: Instant, rotatedAt: Instant },
  EndpointDisabled: { reason: Schema.Literals(["by_merchant", "gone", "failing"]), disabledAt: Instant },
  EndpointEnabled: { enabledAt: Instant },
  EndpointDeleted: { deletedAt: Instant }
})
export type Event = typeof Event.Type
const { EndpointChanged, EndpointDeleted, EndpointDisabled, EndpointEnabled, EndpointRegistered, SecretRotated } =
  Event.cases

export interface State {
  readonly status: "unregistered" | "enabled" | "disabled" | "deleted"
}
export const initial: State = { status: "unregistered" }
export const evolve = (state: State, event: Event): State =>
  Event.match(event, {
    EndpointRegistered: (): State => ({ status: "enabled" }),
    EndpointChanged: () => state,
    SecretRotated: () => state,
    EndpointDisabled: (): State => ({ status: "disabled" }),
    EndpointEnabled: (): State => ({ status: "enabled" }),
    EndpointDeleted: (): State => ({ status: "deleted" })
  })

export const aggregate: Aggregate<State, Event> = {
  category: "endpoint",
  prefix: "we",
  evergreen: true,
  events: Event,
  initial,
  evolve
}

export class EndpointNotFound extends Schema.TaggedError<EndpointNotFound>()("EndpointNotFound", {}) {}

type Fields<Case extends { readonly Type: unknown }> = Omit<Case["Type"], "_tag">
const exists = ({ status }: State) => status === "enabled" || status === "disabled"
const existing = (event: Event) => (state: State) =>
  exists(state) ? Result.succeed([event]) : Result.fail(new EndpointNotFound())

export const register = (details: Fields<typeof EndpointRegistered>) => (state: State) =>
  Result.succeed(state.status === "unregistered" ? [EndpointRegistered.make(details)] : [])

export const change = (details: Fields<typeof EndpointChanged>) => existing(EndpointChanged.make(details))
export const rotateSecret = (details: Fields<typeof SecretRotated>) => existing(SecretRotated.make(details))

export const disable = (details: Fields<typeof EndpointDisabled>) => (state: State) =>
  state.status === "disabled" ? Result.succeed([]) : existing(EndpointDisabled.make(details))(state)

export const enable = (details: Fields<typeof EndpointEnabled>) => (state: State) =>
  state.status === "enabled" ? Result.succeed([]) : existing(EndpointEnabled.make(details))(state)

export const remove = (details: Fields<typeof EndpointDeleted>) => (state: State) =>
  state.status === "deleted" ? Result.succeed([]) : existing(EndpointDeleted.make(details))(state)
