/** Everything in one process, on an embedded Postgres unless told otherwise: the default. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Redacted } from "effect"
import { Command } from "effect/cli"
import * as Announcing from "#processes/Announcing.ts"
import * as Delivering from "#processes/Delivering.ts"
import * as LateAddresses from "#processes/LateAddresses.ts"
import * as Notifying from "#processes/Notifying.ts"
import * as Payments from "#processes/Payments.ts"
import * as Scanner from "#processes/Scanner.ts"
import * as Checkout from "#adapters/checkout/Checkout.ts"
import * as Sink from "#adapters/demo/Sink.ts"
import { freePort } from "#adapters/embedded/Ports.ts"
import * as EmbeddedPostgres from "#adapters/embedded/Postgres.ts"
import * as Server from "#adapters/http/Server.ts"
import * as Telemetry from "#adapters/telemetry/Telemetry.ts"
import { flags, secretKeyOf, type Settings, webUrl } from "./Config.ts"
import * as DataFolder from "./DataFolder.ts"
import * as Demo from "./Demo.ts"
import { explain } from "./Explain.ts"
import * as Live from "./Live.ts"
import type { Ready } from "./Ready.ts"

const processes = Layer.mergeAll(
  Scanner.layer(),
  LateAddresses.layer,
  Payments.layer,
  Notifying.layer,
  Delivering.layer(),
  Announcing.layer
)

/** The page, and in a demo what a newcomer plays with beside it. */
const pages = (publicUrl: string, demoRpc: string | null) =>
  demoRpc === null ? Checkout.layer({ publicUrl }) : Layer.merge(
    Layer.unwrap(
      Effect.map(Demo.payer(demoRpc), (pay) => Checkout.layer({ publicUrl, demo: { webhooks: Sink.sinkPath, pay } }))
    ),
    Sink.layer
  )

const run = Effect.fnUntraced(function*(written: Settings) {
  const { folder, instance, postgres, secretKey } = yield* DataFolder.open(written.dataDir)
  const port = written.port === 0 ? yield* freePort : written.port
  const publicUrl = yield* webUrl("public-url", written.publicUrl || `http://${written.host}:${port}`)
  const databaseUrl = written.databaseUrl ??
    Redacted.make(`${yield* EmbeddedPostgres.start({ folder: postgres })}/postgres`)
  const place = { databaseUrl, instance, secretKey: yield* secretKeyOf(written.secretKey ?? secretKey) }
  const demoRpc = written.demo ? yield* Demo.chain(written, folder) : null
  const settings = demoRpc === null ? written : Demo.settingsFor(written, demoRpc)

  const server = Server.layer(
    { host: settings.host, port, publicUrl, limits: limitsOf(settings) },
    pages(publicUrl, demoRpc)
  )
  const everything = Layer.mergeAll(server, processes).pipe(
    Layer.provideMerge(Live.layer(settings, place)),
    Layer.provideMerge(Sink.SinkSecret.layer)
  )
  const context = yield* Layer.build(everything)
  if (demoRpc === null) {
    yield* Console.log(
      settings.json ? JSON.stringify({ apiUrl: publicUrl }) : `Crypto Checkout listens at ${publicUrl}`
    )
  } else {
    const ready = yield* Effect.provide(Demo.open(folder, publicUrl, demoRpc), context)
    yield* Console.log(settings.json ? JSON.stringify(ready) : welcome(ready, folder))
  }
  return yield* Effect.never
}, Effect.scoped)

const limitsOf = ({ rateLimit }: Settings) => {
  const bucket = { limit: rateLimit, seconds: 60 }
  return { address: { ...bucket, limit: 2 * rateLimit }, key: bucket, create: bucket }
}

const welcome = ({ apiKey, apiUrl, checkoutUrl, docsUrl, invoiceId }: Ready, folder: string) => `
  Crypto Checkout is running. Everything is on this machine, and the money is test money.

    Pay an invoice   ${checkoutUrl}
                     press «Pay with the demo wallet» there, or in another terminal:
                     npm run pay -- ${invoiceId}

    Make another     curl ${apiUrl}/v1/invoices -H 'Authorization: Bearer ${apiKey}' \\
                       -H 'Content-Type: application/json' -d '{"price":{"amount":"25.00","currency":"EUR"}}'

    Webhooks         ${apiUrl}/demo/webhooks
    API reference    ${docsUrl}
    API key          ${apiKey}

  Ctrl-C stops it. Started again, it goes on where it was: all it keeps is in ${folder}.
`

const levels = { debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const

const command = Command.make("crypto-checkout", flags, (settings) =>
  run(settings).pipe(
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Console.error(`\n  ${explain(cause, settings)}\n`)
    ),
    Effect.provide(
      Telemetry.layer({
        level: levels[settings.logs],
        json: settings.json,
        otlpUrl: settings.otlpUrl === "" ? null : settings.otlpUrl
      })
    )
  )).pipe(
    Command.withDescription(
      "A self-hosted crypto payment processor: API, checkout page, scanner and webhooks in one process."
    )
  )

command.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.provide(NodeServices.layer),
  // Ctrl-C is how this is meant to end, so it is no failure.
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, done) => done(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0)
  })
)
