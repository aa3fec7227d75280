/** How the conventions are kept: keys and scopes, strict bodies, receipts, time limits, entity tags. */
import { ByteSize, Context, type Duration, Effect, Fiber, Layer, Option } from "effect"
import { HttpIncomingMessage, HttpMethod, HttpServerRequest, HttpServerResponse, HttpTraceContext } from "effect/http"
import { type HttpApiEndpoint, HttpApiError } from "effect/http-api"
import { createHash } from "node:crypto"
import { ApiKeys } from "#commands/ApiKeys.ts"
import type { Receipt } from "#ports/EventStore.ts"
import { Answered, Asked, Asking, Authenticated, NeedsScope, OwnBucket, Principal, TimeLimit } from "./Conventions.ts"
import { Limits, showing } from "./Limits.ts"
import { mistakesIn } from "./Mistakes.ts"
import { Problem, problem, refuse, RequestId, respond } from "./Problem.ts"
import { answered } from "./Problems.ts"
import { canonical, type Fault, faultIn } from "./StrictJson.ts"

const usualTime: Duration.Input = "15 seconds"
const bodyDepth = 16
const bodyLimit = ByteSize.kibibytes(64)

/** Failures become problem details; nothing else leaves an endpoint. */
export const layerAnswered = Layer.succeed(Answered, (app, { endpoint }) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const answer = app.pipe(Effect.catch((failure: unknown) => answerTo(failure, request)))
    const limit = Context.getOrElse(endpoint.annotations, TimeLimit, () => usualTime)
    return tagged(request, yield* inTime(answer, limit))
  }))

/**
 * Whoever asks is let go when the time is up, although what is under way may not be: a statement that cannot be taken
 * back, or a database that does not even answer to that.
 */
const inTime = Effect.fnUntraced(
  function*<E, R>(answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, limit: Duration.Input) {
    const running = yield* Effect.forkDetach(answer, { startImmediately: true })
    const letGo = Effect.sync(() => running.interruptUnsafe())
    const exit = yield* Fiber.await(running).pipe(Effect.timeoutOption(limit), Effect.onInterrupt(() => letGo))
    if (Option.isSome(exit)) return yield* exit.value
    yield* letGo
    return respond(yield* problem("timed_out", { headers: { "retry-after": "1" } }))
  }
)

const answerTo = Effect.fnUntraced(function*(failure: unknown, request: HttpServerRequest.HttpServerRequest) {
  if (failure instanceof Problem) return respond(failure)
  if (!HttpApiError.HttpApiSchemaError.is(failure)) return yield* Effect.die(failure)
  // What we were about to say is not what the contract promises: that is ours to mend.
  if (failure.kind === "Body" || failure.kind === "ResponseHeaders") return yield* Effect.die(failure)
  const input = failure.kind === "Payload"
    ? Option.getOrUndefined(yield* Effect.option(request.json))
    : failure.kind === "Query"
    ? queryOf(request)
    : undefined
  return respond(yield* problem("invalid_request", { errors: mistakesIn(failure, input) }))
})

/** By name, what came under it: a list where it came more than once. */
const queryOf = ({ url }: HttpServerRequest.HttpServerRequest) => {
  const query = new URLSearchParams(url.split("?")[1])
  return Object.fromEntries([...query.keys()].map((name) => {
    const [value, ...more] = query.getAll(name)
    return [name, more.length === 0 ? value : [value, ...more]]
  }))
}

/** An ETag is the resource's version, where the handler named one, and a hash of what is shown of it. */
const tagged = (request: HttpServerRequest.HttpServerRequest, response: HttpServerResponse.HttpServerResponse) => {
  const reading = request.method === "GET" || request.method === "HEAD"
  if (!reading || response.status !== 200 || response.body._tag !== "Uint8Array") return response
  const hash = createHash("sha256").update(response.body.body).digest("base64url").slice(0, 16)
  const version = response.headers["etag"]?.replaceAll('"', "")
  const etag = version === undefined ? `"${hash}"` : `"${version}-${hash}"`
  const known = request.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []
  return known.includes(etag) || known.includes("*")
    ? HttpServerResponse.empty({ status: 304, headers: { etag } })
    : HttpServerResponse.setHeader(response, "etag", etag)
}

/** The key decides the merchant and the world. What is wrong with a key is nobody's business but its owner's. */
export const layerAuthenticated = Layer.effect(
  Authenticated,
  Effect.gen(function*() {
    const keys = yield* ApiKeys
    const limits = yield* Limits
    return Authenticated.of({
      apiKey: (app, { credential, endpoint, group }) =>
        Effect.gen(function*() {
          const principal = yield* keys.authenticate(credential).pipe(
            Effect.catchTag("KeyRefused", () =>
              refuse("unauthenticated", { headers: { "www-authenticate": `Bearer realm="api"` } })),
            answered
          )
          const scope = Context.getOption(Context.merge(group.annotations, endpoint.annotations), NeedsScope)
          if (Option.isNone(scope)) {
            return yield* Effect.die(new Error(`${endpoint.path} names no scope`))
          }
          if (!principal.scopes.includes(scope.value)) {
            yield* Effect.logInfo("denied", { keyId: principal.keyId, scope: scope.value, path: endpoint.path })
            return yield* refuse("scope_missing", {
              detail: `This key lacks the scope \`${scope.value}\`. Use one that has it.`
            })
          }
          const left = yield* limits.take("key", principal.keyId)
          const own = Context.getOption(endpoint.annotations, OwnBucket)
          if (Option.isSome(own)) {
            yield* limits.take(own.value, principal.keyId)
          }
          return showing(left)(yield* Effect.provideService(app, Principal, principal))
        })
    })
  })
)

/** Reads the body strictly, and keeps what the same request was answered with. */
export const layerAsked = Layer.effect(
  Asked,
  Effect.sync(() => {
    const inFlight = new Set<string>()
    return Asked.of((app, { endpoint }) =>
      Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { keyId, merchantId, mode } = yield* Principal
        const text = HttpMethod.hasBody(request.method) ? yield* bodyOf(request, endpoint) : ""
        const receipt = receiptOf(request, endpoint, mode, text)
        const ifVersion = /^"(\d{1,9})/.exec(request.headers["if-match"] ?? "")?.[1]
        const span = yield* Effect.option(Effect.currentSpan)
        const requestId = yield* RequestId
        const asked = app.pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, withText(request, text)),
          Effect.provideService(Asking, {
            tenant: merchantId,
            actor: keyId,
            requestId,
            ...receipt !== undefined && { receipt },
            ...ifVersion !== undefined && { ifVersion: Number(ifVersion) },
            ...Option.isSome(span) && { traceparent: HttpTraceContext.toHeaders(span.value)["traceparent"] ?? "" }
          })
        )
        if (receipt === undefined) return yield* asked
        const flight = `${merchantId} ${receipt.key}`
        if (inFlight.has(flight)) {
          return yield* refuse("idempotency_in_flight", { headers: { "retry-after": "1" } })
        }
        inFlight.add(flight)
        return yield* Effect.ensuring(asked, Effect.sync(() => inFlight.delete(flight)))
      })
    )
  })
)

const receiptOf = (
  request: HttpServerRequest.HttpServerRequest,
  endpoint: HttpApiEndpoint.Top,
  mode: string,
  text: string
): Receipt | undefined => {
  const key = request.headers["idempotency-key"]
  if (request.method !== "POST" || key === undefined) return undefined
  const path = request.url.split("?")[0]!
  const asked = canonical(text === "" ? null : JSON.parse(text))
  return {
    key: `${mode}:POST ${endpoint.path}:${key}`,
    hash: createHash("sha256").update(`${path}\n${asked}`).digest("hex")
  }
}

/** The text of a body that is what we read; `{}` where one is expected and none came. */
const bodyOf = Effect.fnUntraced(
  function*(request: HttpServerRequest.HttpServerRequest, endpoint: HttpApiEndpoint.Top) {
    const { headers } = request
    const compressed = headers["content-encoding"] !== undefined && headers["content-encoding"] !== "identity"
    if (compressed || !isJson(headers["content-type"])) {
      return yield* refuse("unsupported_media_type", {
        headers: { "accept-post": "application/json", ...compressed && { "accept-encoding": "identity" } }
      })
    }
    const tooLarge = refuse("body_too_large", { headers: { connection: "close" } })
    if (Number(headers["content-length"] ?? 0) > Number(bodyLimit)) return yield* tooLarge
    const bytes = yield* request.arrayBuffer.pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, bodyLimit),
      Effect.catchIf(
        ({ reason }) => reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge",
        () => tooLarge
      ),
      Effect.catchTag("HttpServerError", () => refuse("malformed_body"))
    )
    const text = yield* decoded(bytes)
    if (text.trim() === "") return endpoint.payload.size > 0 ? "{}" : ""
    const fault = faultIn(text, bodyDepth)
    if (fault !== null) {
      return yield* refuse("malformed_body", { errors: [{ ...fault, message: faults[fault.code] }] })
    }
    const value = yield* parsed(text)
    if (endpoint.payload.size === 0 && canonical(value) !== "{}") {
      return yield* refuse("invalid_request", {
        errors: [{ pointer: "", code: "unknown_field", message: "This request takes no body." }]
      })
    }
    return text
  }
)

const faults: Readonly<Record<Fault["code"], string>> = {
  too_deep: `Is nested deeper than ${bodyDepth} levels.`,
  duplicate_name: "Occurs more than once.",
  not_text: "Contains U+0000 or half of a surrogate pair, which are no characters of any text."
}

const isJson = (contentType: string | undefined) =>
  contentType === undefined || /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(contentType.trim())

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const decoded = (bytes: ArrayBuffer) =>
  Effect.catch(
    Effect.try({ try: () => utf8.decode(bytes), catch: () => "not UTF-8" }),
    () => refuse("malformed_body", { detail: "The body is not valid UTF-8." })
  )

const parsed = (text: string) =>
  Effect.catch(
    Effect.try({ try: () => JSON.parse(text) as unknown, catch: placeIn }),
    (place) => refuse("malformed_body", { detail: `The body is not valid JSON${place}.` })
  )

/** Where JSON.parse got stuck, if it says so. Its words quote the body, so nothing else is taken from them. */
const placeIn = (error: unknown) => {
  const [, at] = /at position (\d+)/.exec(String(error)) ?? []
  return at === undefined ? "" : `: it cannot be read from character ${at} on`
}

/** The request as the contract's decoder sees it: with the text that was checked. */
const withText = (request: HttpServerRequest.HttpServerRequest, text: string): HttpServerRequest.HttpServerRequest =>
  Object.create(request, { text: { value: Effect.succeed(text) } })
