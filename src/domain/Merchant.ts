/** A merchant: who is paid, what they accept, and how their page looks. */
import { Result, Schema } from "effect"
import type { Aggregate } from "./Aggregate.ts"
import { Method } from "./Chain.ts"
import * as Id from "./Id.ts"
import { Currency, Instant } from "./Money.ts"
import { Policy } from "./Policy.ts"

export const MerchantId = Id.schema("mer").pipe(Schema.brand("MerchantId"))
export type MerchantId = typeof MerchantId.Type

export const Branding = Schema.Struct({
  /** `#rrggbb`; the page adjusts it until text on it can be read. */
  accent: Schema.String.pipe(Schema.check(Schema.isPattern(/^#[0-9a-f]{6}$/))),
  supportEmail: Schema.optionalKey(Schema.String),
  website: Schema.optionalKey(Schema.String)
})
export type Branding = typeof Branding.Type

export const Event = Schema.TaggedUnion({
  MerchantRegistered: {
    name: Schema.String,
    /** What top-ups are counted in, and prices are shown in where nothing else is said. */
    currency: Currency,
    accepts: Schema.Array(Method),
    policy: Policy,
    branding: Branding,
    registeredAt: Instant
  }
})
export type Event = typeof Event.Type
const { MerchantRegistered } = Event.cases

export interface State {
  readonly registered: boolean
}
export const initial: State = { registered: false }

export const evolve = (_: State, event: Event): State =>
  Event.match(event, { MerchantRegistered: (): State => ({ registered: true }) })

export const aggregate: Aggregate<State, Event> = {
  category: "merchant",
  prefix: "mer",
  evergreen: true,
  events: Event,
  initial,
  evolve
}

/** Registering again changes nothing: a demo that starts twice has one merchant. */
export const register = (details: Omit<typeof MerchantRegistered.Type, "_tag">) => (state: State) =>
  Result.succeed(state.registered ? [] : [MerchantRegistered.make(details)])
