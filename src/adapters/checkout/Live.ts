/** An invoice as it changes: over WebSocket, as server-sent events, or to be asked for. All three say the same. */
import { Clock, DateTime, type Duration, Effect, Option, Queue, Stream } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { Changes } from "#ports/Changes.ts"
import { Shutdown } from "#ports/Shutdown.ts"
import type { Snapshot, Snapshots } from "./Snapshots.ts"

/** What both streams carry. No snapshot: nothing new, only a sign of life and the time. */
export interface Frame {
  readonly serverTime: string
  readonly snapshot: Snapshot | null
}

export interface LiveOptions {
  /** The page's own origin, where a proxy hides it from us: `https://pay.shop.example`. */
  readonly publicUrl?: string
  /** Streams from one address of the network at a time. Many payers may share an office's. */
  readonly perAddress?: number
  /** Streams in all. */
  readonly total?: number
  /** How long a WebSocket may take to say that it has read a frame. */
  readonly answerWithin?: Duration.Input
}

/** A lost announcement is healed within this time. */
const pollEvery = "4 seconds"
/** Proxies cut what is silent for a minute; the page gives up after three of these. */
const aliveEveryMs = 15_000
/** The only thing a client ever says: that it has read the frame. */
const ok = "ok"

export const make = Effect.fnUntraced(function*(snapshots: Snapshots, options: LiveOptions) {
  const changes = yield* Changes
  const closing = yield* Shutdown
  const seats = makeSeats(options.perAddress ?? 40, options.total ?? 10_000)

  /**
   * Frames of an invoice, each newer than the one before, starting with one at once. An invoice is read when the
   * frame before has been taken, so however slow a client is, it gets the latest and nothing piles up.
   */
  const frames = (id: string, since: string | undefined): Stream.Stream<Frame> => {
    let shown = since
    let lastAt = Number.NEGATIVE_INFINITY
    const next = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const snapshot = yield* snapshots.current(id).pipe(
        // The database is away: the page keeps what it shows, and we try again at the next tick.
        Effect.catchTag("StoreUnavailable", () => Effect.succeed(null))
      )
      const isNew = snapshot !== null && snapshot.revision !== shown
      if (!isNew && now - lastAt < aliveEveryMs) return []
      if (isNew) shown = snapshot.revision
      lastAt = now
      return [{ serverTime: DateTime.formatIso(yield* DateTime.now), snapshot: isNew ? snapshot : null }]
    })
    return Stream.merge(changes.of(id), Stream.tick(pollEvery)).pipe(
      Stream.mapEffect(() => next),
      Stream.flattenIterable
    )
  }

  /** Answers with an error where there is nothing to watch, or nobody may. Null: go ahead. */
  const refused = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, id: string) {
    if (!isOwnOrigin(request, options.publicUrl)) return HttpServerResponse.empty({ status: 403 })
    const found = yield* Effect.result(snapshots.current(id))
    if (found._tag === "Failure") return unavailable(found.failure.retryAfterSeconds)
    return found.success === null ? HttpServerResponse.empty({ status: 404 }) : null
  })

  const webSocket = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const { id = "" } = yield* HttpRouter.params
    if (request.headers["upgrade"]?.toLowerCase() !== "websocket") {
      return HttpServerResponse.empty({ status: 426, headers: { connection: "Upgrade", upgrade: "websocket" } })
    }
    const refusal = yield* refused(request, id)
    if (refusal !== null) return refusal
    if (!(yield* seats.take(request))) {
      return HttpServerResponse.empty({ status: 429, headers: { "retry-after": "30" } })
    }

    const socket = yield* Effect.orDie(request.upgrade)
    const writer = yield* socket.writer
    const pull = yield* Socket.readerString(socket)
    const answers = yield* Queue.sliding<void>(1)
    const close = (code: number, reason: string) => writer.write(new Socket.CloseEvent(code, reason))
    let unanswered = 0

    // Writing to a socket never waits, so the next frame waits for the client's word that it has read the last one.
    const outbound = frames(id, param(request, "since")).pipe(
      Stream.runForEachWhile((frame) =>
        Effect.gen(function*() {
          unanswered++
          yield* writer.write(JSON.stringify(frame))
          const answered = yield* Effect.timeoutOption(Queue.take(answers), options.answerWithin ?? "20 seconds")
          return Option.isSome(answered)
        })
      ),
      // Silently gone: a cable pulled, a phone asleep.
      Effect.andThen(close(1001, "no answer"))
    )
    const inbound = Effect.gen(function*() {
      for (;;) {
        for (const answer of yield* pull) {
          if (answer !== ok || unanswered === 0) return yield* close(1008, "not expected")
          unanswered--
          yield* Queue.offer(answers, undefined)
        }
      }
    })
    const restart = Effect.andThen(closing.await, close(1012, "restarting"))
    yield* Effect.raceAllFirst([inbound, outbound, restart]).pipe(
      // Every way a socket ends is an error to it, and none to us.
      Effect.catchTag("SocketError", () => Effect.void)
    )
    return HttpServerResponse.empty()
  }, Effect.scoped)

  const events = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const { id = "" } = yield* HttpRouter.params
    const refusal = yield* refused(request, id)
    if (refusal !== null) return refusal
    const since = request.headers["last-event-id"] ?? param(request, "since")
    const encoder = new TextEncoder()
    const body = Stream.unwrap(Effect.map(seats.take(request), (seated) =>
      seated
        ? frames(id, since).pipe(Stream.map((frame) => encoder.encode(sse(frame))), Stream.interruptWhen(closing.await))
        : Stream.make(encoder.encode("retry: 30000\n\n"))))
    return HttpServerResponse.stream(body, {
      contentType: "text/event-stream",
      // An idle connection kept alive would hold up a restart.
      headers: { "cache-control": "no-store", "x-accel-buffering": "no", connection: "close" }
    })
  })

  const snapshot = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const { id = "" } = yield* HttpRouter.params
    const found = yield* Effect.result(snapshots.current(id))
    if (found._tag === "Failure") return unavailable(found.failure.retryAfterSeconds)
    if (found.success === null) return HttpServerResponse.empty({ status: 404 })
    // Weak: the clock in it moves on while the rest is the same.
    const etag = `W/"${found.success.revision}"`
    const headers = {
      etag,
      "cache-control": "no-cache",
      "x-robots-tag": "noindex",
      "server-time": found.success.serverTime
    }
    return request.headers["if-none-match"] === etag
      ? HttpServerResponse.empty({ status: 304, headers })
      : HttpServerResponse.jsonUnsafe(found.success, { headers })
  })

  return { webSocket, events, snapshot }
})

const unavailable = (seconds: number) =>
  HttpServerResponse.empty({ status: 503, headers: { "retry-after": String(seconds) } })

const sse = ({ serverTime, snapshot }: Frame) =>
  `${snapshot === null ? "" : `id: ${snapshot.revision}\n`}data: ${JSON.stringify({ serverTime, snapshot })}\n\n`

const param = (request: HttpServerRequest.HttpServerRequest, name: string): string | undefined =>
  new URL(request.originalUrl, "http://self").searchParams.get(name) ?? undefined

/** Browsers send their page's origin, and may only watch from ours; others have no one's rights to abuse. */
const isOwnOrigin = ({ headers }: HttpServerRequest.HttpServerRequest, publicUrl: string | undefined): boolean => {
  const origin = headers["origin"]
  if (origin === undefined) return true
  if (!URL.canParse(origin)) return false
  const { host } = new URL(origin)
  return host === headers["host"] || (publicUrl !== undefined && host === new URL(publicUrl).host)
}

/** Who holds how many streams. A seat is given back when the scope closes. */
const makeSeats = (perAddress: number, total: number) => {
  const taken = new Map<string, number>()
  let all = 0
  return {
    take: (request: HttpServerRequest.HttpServerRequest) => {
      const address = Option.getOrElse(request.remoteAddress, () => "unknown")
      return Effect.acquireRelease(
        Effect.sync(() => {
          const held = taken.get(address) ?? 0
          if (held >= perAddress || all >= total) return false
          taken.set(address, held + 1)
          all++
          return true
        }),
        (seated) =>
          Effect.sync(() => {
            if (!seated) return
            const left = (taken.get(address) ?? 1) - 1
            if (left === 0) taken.delete(address)
            else taken.set(address, left)
            all--
          })
      )
    }
  }
}
