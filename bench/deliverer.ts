/** The part of the program that tells merchants, as a process of its own, so that its cost can be counted. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted } from "effect"
import * as Vault from "#adapters/crypto/Vault.ts"
import * as Bus from "#adapters/postgres/Bus.ts"
import * as Database from "#adapters/postgres/Database.ts"
import * as Deliveries from "#adapters/postgres/Deliveries.ts"
import * as EventStore from "#adapters/postgres/EventStore.ts"
import * as Views from "#adapters/postgres/Views.ts"
import * as Egress from "#adapters/webhooks/Egress.ts"
import * as Sender from "#adapters/webhooks/Sender.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { parseNetwork } from "#domain/EgressPolicy.ts"
import * as Delivering from "#processes/Delivering.ts"
import * as Notifying from "#processes/Notifying.ts"
import { endpoints } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"

const [, , url = "", key = ""] = process.argv
const loopback = parseNetwork("127.0.0.0/8")
const policy = { allow: loopback === null ? [] : [loopback], ports: "any", plain: true } as const

const deliverer = Layer.merge(Notifying.layer, Delivering.layer()).pipe(
  Layer.provide(Dispatch.layer),
  Layer.provide(Layer.succeed(StrongProjections, [endpoints, invoiceDetails])),
  Layer.provide(Sender.layer().pipe(Layer.provide(Egress.layer(policy)))),
  Layer.provide(Vault.layer([Redacted.make(key)])),
  Layer.provide(Layer.mergeAll(EventStore.layer, Bus.layer({ handlers: 12 }), Deliveries.layer, Views.layer)),
  Layer.provide(Database.layer({ url: Redacted.make(url), maxConnections: 24 }))
)

NodeRuntime.runMain(
  Effect.scoped(Effect.andThen(Layer.build(deliverer), Effect.andThen(Console.log("ready"), Effect.never)))
)
