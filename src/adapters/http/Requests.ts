/** What happens to every request, whatever answers it: its id, its time, its share of the rate, and how it may fail. */
import { Cause, Clock, Context, Effect, Layer, Metric, Option } from "effect"
import { FindMyWay, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { fromUuid } from "#domain/Id.ts"
import { Limits } from "./Limits.ts"
import { Problem, problem, refuse, RequestId, respond } from "./Problem.ts"

/** The routes by their patterns: which methods a path knows, and under which name its times are counted. */
class KnownRoutes extends Context.Service<KnownRoutes, FindMyWay.Router<string>>()("checkout/http/KnownRoutes") {}

/** Each thing has one address, letter by letter. */
export const routerConfig = { caseSensitive: true, ignoreDuplicateSlashes: false }

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]

/** A router that remembers what was added to it. */
export const layerRouter = Layer.effectContext(
  Effect.map(HttpRouter.HttpRouter, (router) => {
    const known = FindMyWay.make<string>(routerConfig)
    const note = (method: string, path: HttpRouter.PathInput) => known.on(method === "*" ? methods : method, path, path)
    const noting: HttpRouter.HttpRouter = {
      ...router,
      add: (method, path, handler, options) => {
        note(method, path)
        return router.add(method, path, handler, options)
      },
      addAll: (routes) => {
        for (const { method, path } of routes) note(method, path)
        return router.addAll(routes)
      }
    }
    return Context.make(HttpRouter.HttpRouter, noting).pipe(Context.add(KnownRoutes, known))
  })
)

const seconds = Metric.histogram("http_server_request_duration_seconds", {
  description: "Time until an answer was ready, by route, method and class of status.",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
})

/** Everything else runs inside this. Needs `Limits`, and `layerRouter` below it. */
export const layer = HttpRouter.middleware(
  Effect.gen(function*() {
    const limits = yield* Limits
    const known = yield* KnownRoutes
    return (app: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>) =>
      Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const began = yield* Clock.currentTimeNanos
        const requestId = requestIdOf(request.headers["request-id"])
        const within = request.url.startsWith("/health/")
          ? Effect.void
          : limits.take("address", networkOf(Option.getOrElse(request.remoteAddress, () => "")))
        const response = yield* within.pipe(
          Effect.andThen(legible(request)),
          Effect.andThen(app),
          Effect.catchCause((cause) => answerTo(cause, request, known)),
          Effect.provideService(RequestId, requestId),
          Effect.annotateLogs({ requestId }),
          Effect.annotateSpans({ requestId })
        )
        const took = Number((yield* Clock.currentTimeNanos) - began) / 1e9
        yield* measured(request, response, took, requestId, known)
        return finished(request, response, took, requestId)
      })
  }) as never,
  { global: true }
) as Layer.Layer<never, never, HttpRouter.HttpRouter | Limits | KnownRoutes>

/** The caller's own id if it is one that can stand in a log line; else a fresh one. */
const requestIdOf = (given: string | undefined): string =>
  given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : fromUuid("req", crypto.randomUUID())

/** What is written with percent signs must be text: half a character or U+0000 is nobody's id, name or order. */
const legible = ({ url }: HttpServerRequest.HttpServerRequest) =>
  !url.includes("%") || isText(url)
    ? Effect.void
    : refuse("invalid_request", {
      detail: "The URL contains a percent sign that does not begin a character in UTF-8, or `%00`."
    })

const isText = (encoded: string): boolean => {
  try {
    return !decodeURIComponent(encoded).includes("\0")
  } catch {
    return false
  }
}

/** Whoever has one address of an IPv6 network has 2^64 of them. */
const networkOf = (address: string): string =>
  address.includes(":") && !address.includes(".") ? address.split(":").slice(0, 4).join(":") : address

const answerTo = (
  cause: Cause.Cause<unknown>,
  request: HttpServerRequest.HttpServerRequest,
  known: FindMyWay.Router<string>
): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> =>
  Effect.gen(function*() {
    if (Cause.hasInterruptsOnly(cause)) return yield* Effect.failCause(cause)
    const error = Cause.squash(cause)
    if (HttpServerResponse.isHttpServerResponse(error)) return error
    if (error instanceof Problem) return respond(error)
    if (HttpServerError.isHttpServerError(error)) {
      const { reason } = error
      if (reason._tag === "RouteNotFound") return yield* unrouted(request, known)
      if (reason._tag === "RequestParseError") {
        return respond(yield* problem(reason.reason === "BodyTooLarge" ? "body_too_large" : "malformed_body"))
      }
    }
    yield* Effect.logError("a request failed", cause).pipe(
      Effect.annotateLogs({ method: request.method, path: pathOf(request) })
    )
    return respond(yield* problem("internal_error"))
  })

const unrouted = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  known: FindMyWay.Router<string>
) {
  const has = methods.filter((method) => known.find(method, request.url) !== undefined)
  if (has.length === 0) {
    return respond(yield* problem("not_found", { detail: "Nothing is served at this path. What is, stands in /docs." }))
  }
  const allow = [...has, ...has.includes("GET") ? ["HEAD"] : [], "OPTIONS"].join(", ")
  return request.method === "OPTIONS"
    ? HttpServerResponse.empty({ status: 204, headers: { allow } })
    : respond(yield* problem("method_not_allowed", { headers: { allow } }))
})

const pathOf = ({ url }: HttpServerRequest.HttpServerRequest) => url.split("?")[0]!.slice(0, 200)

/** A line in the log costs more than a quick request: only what is broken or slow is worth one. */
const slowSeconds = 1

const measured = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  { status }: HttpServerResponse.HttpServerResponse,
  took: number,
  requestId: string,
  known: FindMyWay.Router<string>
) {
  // By the route's pattern, never by the path: what callers make up must not become series.
  const route = known.find(request.method === "HEAD" ? "GET" : request.method, request.url)?.handler ?? "none"
  const labels = { route, method: request.method, status_class: `${Math.floor(status / 100)}xx` }
  yield* Metric.update(Metric.withAttributes(seconds, labels), took)
  const waited = request.url.includes("wait=")
  // What is our fault was logged with its cause.
  if (status > 500 || (took > slowSeconds && !waited)) {
    yield* Effect.logInfo("request").pipe(
      Effect.annotateLogs({ method: request.method, path: pathOf(request), status, took, requestId })
    )
  }
})

const finished = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse,
  took: number,
  requestId: string
) =>
  HttpServerResponse.setHeaders(response, {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    ...request.url.startsWith("/v1/") && { "cache-control": "private, no-cache" },
    ...response.headers,
    "request-id": requestId,
    "server-timing": `app;dur=${(took * 1000).toFixed(1)}`
  })
