/** Posts a signed notice to a URL, and says how that went. */
import { Context, type DateTime, type Effect, type Redacted } from "effect"
import type { Answer } from "#domain/RetrySchedule.ts"

export interface Post {
  readonly url: string
  /** The same for every attempt: receivers know by it that they had it before. */
  readonly id: string
  /** What is signed as the time of sending. */
  readonly at: DateTime.Utc
  readonly attempt: number
  readonly body: string
  /** `whsec_…`, all that are valid now: each signs. */
  readonly secrets: ReadonlyArray<Redacted.Redacted<string>>
}

export interface Response extends Answer {
  readonly durationMs: number
  /** The beginning of the answer, or of what went wrong: at most 500 printable characters. */
  readonly detail: string
}

/** Whatever happens is an answer, so this cannot fail. */
export class WebhookSender extends Context.Service<WebhookSender, {
  readonly post: (post: Post) => Effect.Effect<Response>
}>()("checkout/ports/WebhookSender") {}
