/** What an error looks like: RFC 9457 problem details, and the one list of their codes. */
import { Context, Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiSchema } from "effect/http-api"

/** Integrators branch on these: a code may be added, and is never renamed. `means` is also what `/docs/errors` says. */
export const codes = {
  invalid_request: {
    status: 400,
    title: "The request is not valid",
    means: "A field, parameter or header is missing, unknown or not of the right form. `errors` names each of them."
  },
  malformed_body: {
    status: 400,
    title: "The body is not valid JSON",
    means:
      "The body must be JSON in UTF-8, no deeper than 16 levels, without a name that occurs twice in an object, and without U+0000 or half of a surrogate pair in a text."
  },
  unauthenticated: {
    status: 401,
    title: "No valid API key",
    means:
      "Send `Authorization: Bearer ck_…` with a key that exists, is not revoked and has not expired. A key in the URL is never read."
  },
  scope_missing: {
    status: 403,
    title: "The key may not do this",
    means: "The key is valid, but restricted: it lacks the scope that `detail` names."
  },
  not_found: {
    status: 404,
    title: "There is no such thing",
    means:
      "Nothing with this id exists for this key. The other mode's things, and other merchants', do not exist for it."
  },
  method_not_allowed: {
    status: 405,
    title: "Not a method of this resource",
    means: "The `Allow` header lists the methods that this resource knows."
  },
  version_conflict: {
    status: 409,
    title: "It has changed meanwhile",
    means:
      "The resource is not at the version that `If-Match` named, or changed too often to get a word in. Read it again."
  },
  not_possible_now: {
    status: 409,
    title: "Not possible in this state",
    means: "Its status does not allow this. `detail` says what that status is."
  },
  payment_under_way: {
    status: 409,
    title: "A payment is under way",
    means:
      "An invoice can no longer be canceled once a payment to it has been seen. Wait for what becomes of the payment."
  },
  idempotency_in_flight: {
    status: 409,
    title: "The same request is still running",
    means: "A request with this `Idempotency-Key` has not finished. Ask again after `Retry-After` for its answer."
  },
  body_too_large: {
    status: 413,
    title: "The body is too large",
    means: "A body may have 64 KiB at the most."
  },
  unsupported_media_type: {
    status: 415,
    title: "Not a body we read",
    means: "Bodies are `application/json` in UTF-8, and not compressed: leave `Content-Encoding` out."
  },
  idempotency_mismatch: {
    status: 422,
    title: "The key was used for another request",
    means:
      "This `Idempotency-Key` came before, with another body or for another resource. Every new request needs a new key."
  },
  too_many: {
    status: 422,
    title: "There are enough of them",
    means: "A merchant may have 20 webhook endpoints in each mode. Delete one before adding another."
  },
  nothing_to_pay_with: {
    status: 422,
    title: "There is no way to pay this",
    means:
      "None of the ways to pay that were asked for is accepted by the merchant and served by this instance in this mode."
  },
  destination_refused: {
    status: 422,
    title: "Not an address we send to",
    means:
      "Webhooks go to public HTTPS addresses without a user name in them. `detail` says what is wrong with this one."
  },
  rate_limited: {
    status: 429,
    title: "Too many requests",
    means:
      "Wait for as many seconds as `Retry-After` says. `RateLimit` and `RateLimit-Policy` show what is left and of what."
  },
  internal_error: {
    status: 500,
    title: "Something is broken here",
    means:
      "The fault is ours, and has been logged under `requestId`. With the same `Idempotency-Key` it is safe to try again."
  },
  unavailable: {
    status: 503,
    title: "Not available right now",
    means:
      "Something we depend on is away. With the same `Idempotency-Key` it is safe to try again after `Retry-After`."
  },
  no_way_to_pay_now: {
    status: 503,
    title: "No way to pay works right now",
    means:
      "For each way to pay, the price or the chain is not reliably known at the moment. Try again after `Retry-After`."
  },
  timed_out: {
    status: 503,
    title: "It took too long",
    means:
      "The answer was not ready in time; what was asked may have been done all the same. With the same `Idempotency-Key` it is safe to try again."
  }
} as const satisfies Record<string, { readonly status: number; readonly title: string; readonly means: string }>

export type Code = keyof typeof codes

/** One mistake in a request: where, which, and what to do about it. */
export const Mistake = Schema.Struct({
  /** JSON pointer (RFC 6901) into the body. */
  pointer: Schema.optionalKey(Schema.String),
  /** Name of a query or path parameter. */
  parameter: Schema.optionalKey(Schema.String),
  header: Schema.optionalKey(Schema.String),
  code: Schema.String,
  message: Schema.String
}).annotate({ identifier: "Mistake", description: "One mistake in a request: where, which, and what to do about it." })
export type Mistake = typeof Mistake.Type

/** The id of the request being answered; set by `Requests.ts` before anything else happens. */
export const RequestId = Context.Reference<string>("checkout/http/RequestId", { defaultValue: () => "" })

/** The JSON of a problem with one of these codes. */
export interface Body<C extends Code> {
  readonly type: string
  readonly title: string
  readonly status: (typeof codes)[C]["status"]
  readonly detail: string
  readonly code: C
  readonly errors?: ReadonlyArray<Mistake>
  readonly requestId: string
}

/** A problem on its way to the caller. `headers` go beside it, not into it. */
export class Problem<C extends Code = Code> implements Body<C> {
  readonly _tag = "Problem"
  readonly type: string
  readonly title: string
  readonly status: (typeof codes)[C]["status"]
  readonly detail: string
  declare readonly errors?: ReadonlyArray<Mistake>
  readonly code: C
  readonly requestId: string
  readonly headers: Readonly<Record<string, string>>

  constructor(code: C, requestId: string, { detail, errors, headers = {} }: Said) {
    const { means, status, title } = codes[code]
    this.type = `/docs/errors#${code}`
    this.title = title
    this.status = status
    this.detail = detail ?? (errors === undefined ? means : summary(errors))
    this.code = code
    if (errors !== undefined) this.errors = errors
    this.requestId = requestId
    this.headers = headers
  }
}

/** The first mistake, for whoever reads one line only. */
const summary = ([first, ...more]: ReadonlyArray<Mistake>): string => {
  if (first === undefined) return codes.invalid_request.means
  const { header, message, parameter, pointer } = first
  const where = parameter ?? header ?? (pointer === undefined || pointer === "" ? "The body" : pointer)
  return `${where}: ${message}${more.length === 0 ? "" : ` And ${more.length} more, see \`errors\`.`}`
}

/** What there is to say beyond the code. */
export interface Said {
  readonly detail?: string
  readonly errors?: ReadonlyArray<Mistake>
  readonly headers?: Readonly<Record<string, string>>
}

export const problem = <C extends Code>(code: C, said: Said = {}): Effect.Effect<Problem<C>> =>
  Effect.map(RequestId, (requestId) => new Problem(code, requestId, said))

/** Fails with a problem. Where the contract does not declare the code, it does not compile. */
export const refuse = <C extends Code>(code: C, said: Said = {}): Effect.Effect<never, Problem<C>> =>
  Effect.flatMap(problem(code, said), Effect.fail)

export const respond = ({ headers, _tag, ...body }: Problem) =>
  HttpServerResponse.jsonUnsafe(body, { status: body.status, headers, contentType: "application/problem+json" })

/** The contract's half: the answers with these codes, one schema for each status. */
export const problems = <const Codes extends readonly [Code, ...ReadonlyArray<Code>]>(
  ...declared: Codes
): ReadonlyArray<Schema.Codec<Body<Codes[number]>>> =>
  [...Map.groupBy(declared, (code) => codes[code].status)].map(([status, group]) => {
    const [first] = group as [Code, ...Array<Code>]
    return Schema.Struct({
      type: Schema.String,
      title: Schema.String,
      status: Schema.Literal(status),
      detail: Schema.String,
      code: Schema.Literals(group),
      errors: Schema.optionalKey(Schema.Array(Mistake)),
      requestId: Schema.String
    }).annotate({
      description: group.map((code) => `\`${code}\`: ${codes[code].means}`).join(" "),
      examples: [new Problem(first, "req_01k3v7s2mhe1t9p5x8q4w6z0ab", {})]
    }).pipe(
      HttpApiSchema.status(status),
      HttpApiSchema.asJson({ contentType: "application/problem+json" })
    ) as unknown as Schema.Codec<Body<Codes[number]>>
  })
