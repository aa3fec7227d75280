/** Token buckets: one for each address before anything is known of the caller, one for each key after. */
import { Context, Duration, Effect, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { createHash } from "node:crypto"
import { type Problem, refuse } from "./Problem.ts"

/** Requests that fit into a bucket, and the seconds in which an empty one fills up. */
interface Bucket {
  readonly limit: number
  readonly seconds: number
}

export interface Settings {
  readonly address: Bucket
  readonly key: Bucket
  /** Creating invoices, by key. */
  readonly create: Bucket
  /** Test pings, resends and recoveries, by key: each may become many requests to somebody else. */
  readonly webhook: Bucket
}

const defaults: Settings = {
  address: { limit: 12_000, seconds: 60 },
  key: { limit: 6000, seconds: 60 },
  create: { limit: 3000, seconds: 60 },
  webhook: { limit: 60, seconds: 60 }
}

interface Left {
  readonly name: keyof Settings
  readonly bucket: Bucket
  readonly remaining: number
  readonly resetSeconds: number
}

export class Limits extends Context.Service<Limits, {
  /** Takes one token, or refuses. Who is asked for is hashed into few enough slots that no flood fills the memory. */
  readonly take: (
    name: keyof Settings,
    who: string
  ) => Effect.Effect<Left, Problem<"rate_limited">>
}>()("checkout/http/Limits") {
  /** Needs `RateLimiter`: in memory, or shared by all processes through Redis. */
  static readonly layer = (settings: Partial<Settings> = {}) =>
    Layer.effect(
      Limits,
      Effect.map(RateLimiter.RateLimiter, (limiter) => {
        const buckets = { ...defaults, ...settings }
        return Limits.of({
          take: (name, who) => {
            const bucket = buckets[name]
            const window = `${bucket.seconds} seconds` as const
            return limiter.consume({
              key: `${name}:${slot(who)}`,
              limit: bucket.limit,
              window,
              algorithm: "token-bucket",
              onExceeded: "fail"
            }).pipe(
              Effect.map(({ remaining, resetAfter }) => ({
                name,
                bucket,
                remaining,
                resetSeconds: Math.ceil(Duration.toSeconds(resetAfter))
              })),
              Effect.catch((error) => {
                if (error.reason._tag !== "RateLimitExceeded") {
                  // The shared store is away: to let everybody in for a while does less harm than to let nobody in.
                  return Effect.succeed({ name, bucket, remaining: bucket.limit, resetSeconds: 0 })
                }
                const seconds = Math.max(1, Math.ceil(Duration.toSeconds(error.reason.retryAfter)))
                return refuse("rate_limited", {
                  headers: {
                    ...fields({ name, bucket, remaining: 0, resetSeconds: seconds }),
                    "retry-after": `${seconds}`
                  }
                })
              })
            )
          }
        })
      })
    )
}

const slots = 1 << 16
const slot = (who: string) => createHash("sha256").update(who).digest().readUInt32BE() % slots

/** The fields of draft-ietf-httpapi-ratelimit-headers. */
const fields = ({ bucket, name, remaining, resetSeconds }: Left) => ({
  "ratelimit-policy": `"${name}";q=${bucket.limit};w=${bucket.seconds}`,
  "ratelimit": `"${name}";r=${Math.max(0, Math.floor(remaining))};t=${resetSeconds}`
})

export const showing = (left: Left) => HttpServerResponse.setHeaders(fields(left))
