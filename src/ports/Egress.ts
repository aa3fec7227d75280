/** Where we may send what a merchant asks us to send. */
import { Context, type Effect } from "effect"
import type { UrlRefused } from "#domain/EgressPolicy.ts"

export class Egress extends Context.Service<Egress, {
  /**
   * The URL in its canonical form, or why we will not go there. A name that does not resolve today is let through:
   * every connection is checked again.
   */
  readonly vet: (url: string) => Effect.Effect<string, UrlRefused>
}>()("checkout/ports/Egress") {}
