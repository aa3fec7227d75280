/** From an account's xpub to its deposit addresses. Pure: the same index is the same address for ever. */
import { Context, type Result, Schema } from "effect"
import type { Address } from "#domain/Chain.ts"

/** A checksum or a point that is wrong, or a key of another level than an account's. Never repeats the text. */
export class XpubInvalid extends Schema.TaggedError<XpubInvalid>()("XpubInvalid", {
  reason: Schema.Literals(["checksum", "not_an_account"])
}) {}

export interface Account {
  /** The child 0/index; null for the index in 2¹²⁷ that has none. */
  readonly addressAt: (index: number) => Address | null
}

export class Derivation extends Context.Service<Derivation, {
  readonly account: (xpub: string) => Result.Result<Account, XpubInvalid>
}>()("checkout/ports/Derivation") {}
