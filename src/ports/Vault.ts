/** Seals what must not be read where it is stored. */
import { Context, type Effect, type Redacted, Schema } from "effect"

/** Nothing is said of why: each reason would help somebody who tries. */
export class SealBroken extends Schema.TaggedError<SealBroken>()("SealBroken", { purpose: Schema.String }) {}

export class Vault extends Context.Service<Vault, {
  /** `purpose` is bound to the text: what was sealed for one thing does not open for another. */
  readonly seal: (purpose: string, secret: Redacted.Redacted<string>) => Effect.Effect<string>
  readonly open: (purpose: string, sealed: string) => Effect.Effect<Redacted.Redacted<string>, SealBroken>
}>()("checkout/ports/Vault") {}
