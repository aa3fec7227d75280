/** Readiness: each dependency is asked, with little patience. */
import { Clock, DateTime, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Schema } from "effect"
import { chains } from "#domain/Chain.ts"
import { Bus } from "#ports/Bus.ts"
import { ChainLedger, type Height } from "#ports/ChainLedger.ts"
import { Api } from "./Api.ts"
import { type ChainHealth, Readiness } from "./HealthApi.ts"

const patience = "2 seconds"
/** A scanner asks its node every second or two; a node may take a while to come back without anybody being woken. */
const stalledAfterSeconds = 60

const encode = Schema.encodeSync(Readiness)

export const layer = HttpApiBuilder.group(
  Api,
  "health",
  Effect.fnUntraced(function*(handlers) {
    const ledger = yield* ChainLedger
    const bus = yield* Bus

    const readiness = Effect.gen(function*() {
      const [database, parked] = yield* Effect.all([asked(ledger.heights), asked(bus.parked("webhook-delivery"))], {
        concurrency: "unbounded"
      })
      const now = yield* DateTime.now
      const heights = (database.answer ?? []).map((height) => healthOf(height, now))
      const reading = heights.filter(({ status }) => status === "ok").length
      // One chain's node must not take the whole store off the net: the other chains are still being paid on.
      const unavailable = database.answer === null || parked.answer === null || (heights.length > 0 && reading === 0)
      return {
        status: unavailable
          ? "unavailable" as const
          : reading < heights.length
          ? "degraded" as const
          : "ready" as const,
        database: database.shown,
        bus: parked.shown,
        chains: heights
      }
    })

    return handlers.handleAll({
      live: () => Effect.succeed({ status: "ok" as const }),
      ready: () =>
        Effect.map(readiness, (body) =>
          HttpServerResponse.jsonUnsafe(encode(body), {
            status: body.status === "unavailable" ? 503 : 200,
            headers: { "cache-control": "no-store" }
          }))
    })
  })
)

const asked = Effect.fnUntraced(function*<A, E>(question: Effect.Effect<A, E>) {
  const began = yield* Clock.currentTimeMillis
  const answer = yield* question.pipe(
    Effect.timeout(patience),
    Effect.catchCause(() => Effect.succeed(null))
  )
  const milliseconds = (yield* Clock.currentTimeMillis) - began
  const status = answer === null ? "unavailable" as const : "ok" as const
  return { answer, shown: { status, milliseconds } }
})

const healthOf = (height: Height, now: DateTime.Utc): typeof ChainHealth.Type => {
  const ageSeconds = Math.max(0, Math.round((now.epochMilliseconds - height.checkedAt.epochMilliseconds) / 1000))
  const stalled = ageSeconds > Math.max(stalledAfterSeconds, chains[height.chain].blockSeconds * 10)
  return {
    chain: height.chain,
    status: height.halted !== null ? "halted" : stalled ? "stalled" : "ok",
    height: height.number,
    finalized: height.finalized,
    blockTime: height.time,
    ageSeconds,
    haltedBecause: height.halted
  }
}
