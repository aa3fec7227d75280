/** Which adapter serves which port: decided here, once, by configuration. */
import { Effect, Layer, Redacted } from "effect"
import { hkdfSync } from "node:crypto"
import { Address } from "#domain/Chain.ts"
import { type EgressPolicy, parseNetwork } from "#domain/EgressPolicy.ts"
import type { Currency } from "#domain/Money.ts"
import { ApiKeys } from "#commands/ApiKeys.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { Endpoints } from "#commands/Endpoints.ts"
import { Invoicing } from "#commands/Invoicing.ts"
import { Quotes } from "#commands/Quotes.ts"
import { Registration } from "#commands/Registration.ts"
import { RateSources } from "#ports/RateSource.ts"
import { Shutdown } from "#ports/Shutdown.ts"
import { addressBook, apiKeys, endpoints, merchants, wallets } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import * as Vault from "#adapters/crypto/Vault.ts"
import * as EvmReader from "#adapters/evm/ChainReader.ts"
import * as Derivation from "#adapters/evm/Derivation.ts"
import * as Changes from "#adapters/memory/Changes.ts"
import * as AddressPool from "#adapters/postgres/AddressPool.ts"
import * as Bus from "#adapters/postgres/Bus.ts"
import * as ChainLedger from "#adapters/postgres/ChainLedger.ts"
import * as Database from "#adapters/postgres/Database.ts"
import * as Deliveries from "#adapters/postgres/Deliveries.ts"
import * as EventStore from "#adapters/postgres/EventStore.ts"
import * as Timers from "#adapters/postgres/Timers.ts"
import * as Views from "#adapters/postgres/Views.ts"
import * as Chainlink from "#adapters/rates/Chainlink.ts"
import * as FixedRates from "#adapters/rates/Fixed.ts"
import * as Egress from "#adapters/webhooks/Egress.ts"
import * as Sender from "#adapters/webhooks/Sender.ts"
import { chainRpcs, pairs, SettingInvalid, type Settings } from "./Config.ts"

/** What `settings` leaves open, filled in by whoever starts the process. */
export interface Place {
  readonly databaseUrl: Redacted.Redacted<string>
  /** A name that no other running process has. */
  readonly instance: string
  readonly secretKey: Redacted.Redacted<string>
}

const strongProjections = Layer.succeed(StrongProjections, [
  invoiceDetails,
  addressBook,
  merchants,
  wallets,
  apiKeys,
  endpoints
])

const rateSources = ({ chainRpc, fixedRates, rateFeeds }: Settings) =>
  Layer.effect(
    RateSources,
    Effect.gen(function*() {
      const table = yield* Effect.fromResult(FixedRates.parse(fixedRates)).pipe(
        Effect.mapError(({ entry, reason }) =>
          new SettingInvalid({ setting: "fixed-rates", reason: `«${entry}»: ${reason.replaceAll("_", " ")}` })
        )
      )
      const urls = new Map(yield* chainRpcs(chainRpc))
      const feeds = yield* Effect.forEach(yield* pairs("rate-feeds", rateFeeds), ([currency, feed]) => {
        const [chain = "", address = ""] = feed.split(":")
        const url = [...urls].find(([name]) => name === chain)?.[1]
        return url === undefined || !/^0x[0-9a-fA-F]{40}$/.test(address)
          ? Effect.fail(
            new SettingInvalid({
              setting: "rate-feeds",
              reason: `«${currency}=${feed}» needs a contract on a chain that --chain-rpc names, like eth=ethereum:0x…`
            })
          )
          : Effect.succeed({ chain, url, currency: currency as Currency, address: Address.make(address.toLowerCase()) })
      })
      const byChain = Object.values(Object.groupBy(feeds, ({ chain }) => chain)).flatMap((group = []) => {
        const [first] = group
        return first === undefined
          ? []
          : [Chainlink.source({ name: `chainlink:${first.chain}`, url: first.url, feeds: group })]
      })
      return [...(table.size > 0 ? [FixedRates.source(table)] : []), ...byChain]
    })
  )

const chainReaders = ({ chainRpc }: Settings) => Layer.unwrap(Effect.map(chainRpcs(chainRpc), EvmReader.layer))

/** Webhooks go to public addresses over TLS; further networks and ports are the operator's decision, never a merchant's. */
const egressPolicy = Effect.fnUntraced(function*({ webhookHttp, webhookNetworks, webhookPorts }: Settings) {
  const words = (text: string) => text.split(",").map((word) => word.trim()).filter((word) => word !== "")
  const allow = yield* Effect.forEach(words(webhookNetworks), (network) => {
    const parsed = parseNetwork(network)
    return parsed === null
      ? Effect.fail(
        new SettingInvalid({ setting: "webhook-networks", reason: `«${network}» is no CIDR like 10.1.0.0/16` })
      )
      : Effect.succeed(parsed)
  })
  const ports = webhookPorts === "any" ?
    "any" as const :
    yield* Effect.forEach(words(webhookPorts), (port) =>
      /^[1-9]\d{0,4}$/.test(port) && Number(port) < 65_536
        ? Effect.succeed(Number(port))
        : Effect.fail(new SettingInvalid({ setting: "webhook-ports", reason: `«${port}» is no port` })))
  return { allow, ports, plain: webhookHttp } satisfies EgressPolicy
})

const egress = (settings: Settings) =>
  Layer.unwrap(
    Effect.map(egressPolicy(settings), (policy) => Sender.layer().pipe(Layer.provideMerge(Egress.layer(policy))))
  )

/** A key of its own for each use, so that none of them says anything about another. */
const derived = (key: Redacted.Redacted<string>, use: string) =>
  Redacted.make(
    Buffer.from(hkdfSync("sha256", Buffer.from(Redacted.value(key), "base64"), "", `crypto-checkout/${use}`, 32))
      .toString("base64")
  )

/** Every port and command, on Postgres and in this process. */
export const layer = (settings: Settings, { databaseUrl, instance, secretKey }: Place) => {
  const { databasePool, rateMaxAge, spread } = settings
  const database = Database.layerMigrated({ url: databaseUrl, maxConnections: databasePool })
  const ports = Layer.mergeAll(
    EventStore.layer,
    Bus.layer({ handlers: Math.max(2, Math.floor(databasePool / 2)), instance }),
    Timers.layer,
    Deliveries.layer,
    AddressPool.layer(),
    ChainLedger.layer,
    Changes.layer,
    Shutdown.layer,
    Vault.layer([derived(secretKey, "vault")]),
    rateSources(settings),
    chainReaders(settings),
    egress(settings)
  ).pipe(Layer.provideMerge(Layer.merge(Views.layer, Derivation.layer)), Layer.provideMerge(database))

  const commands = Layer.mergeAll(Registration.layer, Endpoints.layer, Invoicing.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(
      ApiKeys.layer({ pepper: derived(secretKey, "api-keys") }),
      Quotes.layer({ maxAgeSeconds: rateMaxAge, spreadBasisPoints: spread })
    )),
    Layer.provideMerge(Dispatch.layer),
    Layer.provideMerge(strongProjections)
  )
  return Layer.provideMerge(commands, ports)
}
