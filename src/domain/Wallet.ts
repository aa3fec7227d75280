/** A merchant's wallet, of which we know only the account xpub: enough to derive addresses, never to spend. */
import { Result, Schema } from "effect"
import type { Aggregate, Decision } from "./Aggregate.ts"
import { Mode } from "./Chain.ts"
import * as Id from "./Id.ts"
import { MerchantId } from "./Merchant.ts"
import { Instant } from "./Money.ts"

export const WalletId = Id.schema("wal").pipe(Schema.brand("WalletId"))
export type WalletId = typeof WalletId.Type

export const Event = Schema.TaggedUnion({
  WalletRegistered: {
    merchantId: MerchantId,
    mode: Mode,
    /** BIP-32 account public key; addresses are its children 0/i (BIP-44). */
    xpub: Schema.String,
    registeredAt: Instant
  }
})
export type Event = typeof Event.Type
const { WalletRegistered } = Event.cases

export interface State {
  readonly xpub: string | null
}
export const initial: State = { xpub: null }
export const evolve = (_: State, event: Event): State =>
  Event.match(event, { WalletRegistered: ({ xpub }): State => ({ xpub }) })

export const aggregate: Aggregate<State, Event> = {
  category: "wallet",
  prefix: "wal",
  evergreen: true,
  events: Event,
  initial,
  evolve
}

/** What was pasted is not an account xpub. `looksLike` never repeats the text: it may be a secret. */
export class NotAnXpub extends Schema.TaggedError<NotAnXpub>()("NotAnXpub", {
  looksLike: Schema.Literals(["private_key", "mnemonic", "something_else"])
}) {}
export class WalletExists extends Schema.TaggedError<WalletExists>()("WalletExists", {}) {}

/** By its look alone; the checksum is the deriver's to verify. Private keys and recovery phrases must never come in. */
export const inspectXpub = (text: string): Result.Result<string, NotAnXpub> => {
  if (/^xpub[1-9A-HJ-NP-Za-km-z]{107}$/.test(text)) return Result.succeed(text)
  const pasted = text.trim()
  if (/^[xyztuv]prv/i.test(pasted) || /^(0x)?[0-9a-f]{64}$/i.test(pasted)) {
    return Result.fail(new NotAnXpub({ looksLike: "private_key" }))
  }
  const words = pasted.split(/\s+/)
  const phrase = words.length >= 12 && words.every((word) => /^[a-z]+$/i.test(word))
  return Result.fail(new NotAnXpub({ looksLike: phrase ? "mnemonic" : "something_else" }))
}

export const register = (details: Omit<typeof WalletRegistered.Type, "_tag">) =>
(
  state: State
): Decision<Event, NotAnXpub | WalletExists> => {
  if (state.xpub === details.xpub) return Result.succeed([])
  return state.xpub === null
    ? Result.map(inspectXpub(details.xpub), () => [WalletRegistered.make(details)])
    : Result.fail(new WalletExists())
}
