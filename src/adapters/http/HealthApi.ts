/** The health part of the contract, for load balancers and for people. It asks for no key and tells no secrets. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ChainId } from "#domain/Chain.ts"
import { Instant } from "#domain/Money.ts"
import { Answered } from "./Conventions.ts"

const Dependency = Schema.Struct({
  status: Schema.Literals(["ok", "unavailable"]),
  milliseconds: Schema.Int.annotate({ description: "How long it took to find out." })
})

export const ChainHealth = Schema.Struct({
  chain: ChainId,
  status: Schema.Literals(["ok", "stalled", "halted"]),
  height: Schema.Int,
  finalized: Schema.Int,
  blockTime: Instant,
  ageSeconds: Schema.Int.annotate({ description: "Since the node was last heard." }),
  haltedBecause: Schema.NullOr(Schema.String)
})

export const Readiness = Schema.Struct({
  status: Schema.Literals(["ready", "degraded", "unavailable"]),
  database: Dependency,
  bus: Dependency,
  chains: Schema.Array(ChainHealth)
}).annotate({ identifier: "Readiness" })

export class HealthApi extends HttpApiGroup.make("health").add(
  HttpApiEndpoint.get("live", "/live", { success: Schema.Struct({ status: Schema.Literal("ok") }) }).annotateMerge(
    OpenApi.annotations({
      summary: "Is the process alive?",
      description: "Asks nobody else. Restart it if this fails."
    })
  ),
  HttpApiEndpoint.get("ready", "/ready", {
    success: [Readiness, Readiness.pipe(HttpApiSchema.status(503))]
  }).annotateMerge(OpenApi.annotations({
    summary: "Can it do its work?",
    description: "503 while the database or the bus is away, or no chain at all is being read: send no traffic. " +
      "`degraded` while some of the chains are not being read: everything else works."
  }))
).middleware(Answered).prefix("/health") {}
