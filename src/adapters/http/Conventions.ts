/** What holds for every endpoint: who asks and whether they may, how a body is read, and that asking twice is harmless. */
import { Context, type Duration, Schema } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Scope } from "#domain/ApiKey.ts"
import type { Principal as Identity } from "#commands/ApiKeys.ts"
import type { Behalf } from "#commands/Dispatch.ts"
import { problems } from "./Problem.ts"

// What an endpoint's contract says of itself.

/** The scope a key must have. Without it an endpoint that asks for a key does not start. */
export class NeedsScope extends Context.Service<NeedsScope, Scope>()("checkout/http/NeedsScope") {}

/** How long the answer may take, where that is not the usual time. */
export class TimeLimit extends Context.Service<TimeLimit, Duration.Input>()("checkout/http/TimeLimit") {}

/** A bucket of its own beside the key's: creating invoices, sending webhooks by hand. */
export class OwnBucket extends Context.Service<OwnBucket, "create" | "webhook">()("checkout/http/OwnBucket") {}

// What a handler is given.

/** Who asks: a merchant's key, of one of the two worlds. */
export class Principal extends Context.Service<Principal, Identity>()("checkout/http/Principal") {}

/** What a change is asked with: in whose name, under which receipt, and at which version. */
export class Asking extends Context.Service<Asking, Behalf>()("checkout/http/Asking") {}

// What every endpoint goes through, from the outside in.

/** Failures become problem details; the time is limited. */
export class Answered extends HttpApiMiddleware.Service<Answered>()("checkout/http/Answered", {
  error: problems("invalid_request", "rate_limited", "internal_error", "unavailable", "timed_out")
}) {}

/** A key, its scope, and its share of the rate. */
export class Authenticated extends HttpApiMiddleware.Service<Authenticated, { provides: Principal }>()(
  "checkout/http/Authenticated",
  {
    error: problems("unauthenticated", "scope_missing", "rate_limited", "unavailable"),
    requiredForClient: true,
    security: { apiKey: HttpApiSecurity.bearer }
  }
) {}

/** The body is what it says it is; the same request under the same key is carried out once. */
export class Asked extends HttpApiMiddleware.Service<Asked, { requires: Principal; provides: Asking }>()(
  "checkout/http/Asked",
  {
    error: problems(
      "invalid_request",
      "malformed_body",
      "body_too_large",
      "unsupported_media_type",
      "idempotency_in_flight",
      "idempotency_mismatch",
      "version_conflict"
    )
  }
) {}

/** 1–255 visible ASCII characters: the caller's own name for a request. */
const IdempotencyKey = Schema.String.pipe(Schema.check(Schema.isPattern(/^[\x21-\x7e]{1,255}$/u, {
  code: "not_a_key",
  message: "Must be 1 to 255 visible ASCII characters, without spaces."
}))).annotate({
  description: "Your own name for this request, 1–255 visible ASCII characters. Asking again under it is harmless."
})

/** `"12"`, or the whole ETag that begins with it. */
export const IfMatch = Schema.String.pipe(Schema.check(Schema.isPattern(/^"[0-9]{1,9}(-[\w-]*)?"$/u, {
  code: "not_an_etag",
  message: `Must be the ETag of the resource, or its version in quotes, like "12".`
}))).annotate({
  description: "Only if the resource is still at this version: its ETag, or the version in quotes."
})

/** For everything that creates or starts something. */
export const postHeaders = { "idempotency-key": Schema.optionalKey(IdempotencyKey) }
/** For changes of what exists. */
export const changeHeaders = { ...postHeaders, "if-match": Schema.optionalKey(IfMatch) }
/** On answers to a POST. */
export const replayed = { "idempotent-replayed": Schema.optionalKey(Schema.Literal("true")) }
