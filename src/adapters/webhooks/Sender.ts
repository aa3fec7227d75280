/** Sends webhooks over HTTP/1.1 to hosts that nobody here trusts: every part of the exchange has a bound. */
import { Cause, Duration, Effect, Exit, Layer, Redacted } from "effect"
import type { SecureVersion } from "node:tls"
import { Agent, type Dispatcher } from "undici"
import { checkUrl } from "#domain/EgressPolicy.ts"
import type { Outcome } from "#domain/RetrySchedule.ts"
import { type Post, type Response, WebhookSender } from "#ports/WebhookSender.ts"
import { forbidden, Gate } from "./Egress.ts"
import { sign, unixSeconds } from "./Signature.ts"

export interface Options {
  /** From the name's resolution to the last byte that we want of the answer. */
  readonly deadline?: Duration.Input
  /** Name, TCP and TLS together. */
  readonly connect?: Duration.Input
  readonly connectionsPerHost?: number
  /** Certificates to trust besides those of the system, in PEM: an operator's own authority. */
  readonly trust?: ReadonlyArray<string>
}

/** Of an answer's body so much is read; the rest is cut off, which is nothing against its status. */
const bodyBytes = 16 * 1024
const headerBytes = 16 * 1024
const detailCharacters = 500
const userAgent = "Crypto-Checkout-Webhooks/1"
const leastTls: SecureVersion = "TLSv1.2"

export const layer = (options: Options = {}) => Layer.effect(WebhookSender, make(options))

const make = Effect.fnUntraced(function*(options: Options) {
  const { connect = "5 seconds", connectionsPerHost = 10, deadline = "15 seconds", trust } = options
  const { lookup, policy } = yield* Gate
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Agent({
        allowH2: false,
        connections: connectionsPerHost,
        maxHeaderSize: headerBytes,
        connectTimeout: Duration.toMillis(connect),
        connect: { lookup, minVersion: leastTls, ...(trust !== undefined && { ca: [...trust] }) }
      })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )

  const exchange = async (post: Post, signal: AbortSignal): Promise<Received> => {
    const secrets = post.secrets.map((secret) => Redacted.value(secret))
    const { body, headers, statusCode } = await agent.request({
      origin: new URL(post.url).origin,
      path: pathOf(post.url),
      method: "POST",
      signal,
      body: post.body,
      headers: {
        "content-type": "application/json",
        "user-agent": userAgent,
        "webhook-id": post.id,
        "webhook-timestamp": String(unixSeconds(post.at)),
        "webhook-signature": sign(secrets, post.id, post.at, post.body),
        "webhook-attempt": String(post.attempt)
      }
    })
    return { status: statusCode, retryAfter: headers["retry-after"], text: await beginning(body) }
  }

  const post = (post: Post): Effect.Effect<Response> =>
    Effect.gen(function*() {
      if (checkUrl(policy, post.url)._tag === "Failure") return refused
      const exit = yield* Effect.promise((signal) => exchange(post, signal)).pipe(
        Effect.timeoutOrElse({ duration: deadline, orElse: () => Effect.die(timedOut) }),
        Effect.exit
      )
      return Exit.isSuccess(exit) ? answered(exit.value) : failed(Cause.squash(exit.cause))
    }).pipe(
      Effect.timed,
      Effect.map(([took, response]) => ({ ...response, durationMs: Math.round(Duration.toMillis(took)) }))
    )

  return { post }
})

type Plain = Omit<Response, "durationMs">

interface Received {
  readonly status: number
  readonly retryAfter: string | ReadonlyArray<string> | undefined
  readonly text: string
}

const pathOf = (url: string) => {
  const { pathname, search } = new URL(url)
  return pathname + search
}

const beginning = async (body: Dispatcher.ResponseData["body"]): Promise<string> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    // Leaving the loop destroys the body, and the connection with it.
    if (size >= bodyBytes) break
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, bodyBytes))
}

/** Redirects are not followed: they would lead past the check of the address, and to somebody who was not asked. */
const answered = ({ retryAfter, status, text }: Received): Plain => ({
  outcome: status >= 200 && status < 300 ? "success" : "http_error",
  status,
  retryAfterSeconds: typeof retryAfter === "string" && /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) : null,
  detail: printable(text)
})

/** Control characters out: the text goes to a database that takes no zero byte, and to people's screens. */
const printable = (text: string) => text.replace(/\p{Cc}+/gu, " ").trim().slice(0, detailCharacters)

const failure = (outcome: Outcome, detail: string): Plain => ({
  outcome,
  status: null,
  retryAfterSeconds: null,
  detail
})
const refused = failure("blocked", "the address is not one that we send to")
const timedOut = Object.assign(new Error("no complete answer in time"), { code: "DEADLINE" })

const failed = (error: unknown): Plain => {
  const code = codeOf(error)
  const outcome = outcomeOf(code)
  return outcome === "blocked" ? refused : failure(outcome, printable(`${code} ${messageOf(error)}`))
}

/** Where several addresses were tried, the first one's failure speaks for all. */
const codeOf = (error: unknown): string => {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "UNKNOWN"
}
const messageOf = (error: unknown): string => {
  if (error instanceof AggregateError) return messageOf(error.errors[0])
  return error instanceof Error ? error.message : ""
}

const outcomeOf = (code: string): Outcome => {
  switch (code) {
    case forbidden:
      return "blocked"
    case "DEADLINE":
    case "ETIMEDOUT":
    case "UND_ERR_CONNECT_TIMEOUT":
    case "UND_ERR_HEADERS_TIMEOUT":
    case "UND_ERR_BODY_TIMEOUT":
      return "timeout"
    case "UND_ERR_HEADERS_OVERFLOW":
    case "HPE_HEADER_OVERFLOW":
      return "too_large"
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "ENODATA":
      return "dns"
    default:
      return certificate.test(code) ? "tls" : "connection"
  }
}

/** Node's names for what may be wrong with a certificate or a handshake. */
const certificate = /CERT|_TLS_|_SSL_|^EPROTO$|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|^PATH_LENGTH_EXCEEDED$/
