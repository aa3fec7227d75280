/** The API on a real port and a real Postgres: two merchants with keys, a chain that is read, and fixed prices. */
import { Context, DateTime, Effect, Layer, Redacted, Result } from "effect"
import { HttpServer } from "effect/http"
import { HDKey } from "@scure/bip32"
import type { Scope } from "#domain/ApiKey.ts"
import type { Mode } from "#domain/Chain.ts"
import type { MerchantId } from "#domain/Merchant.ts"
import { ApiKeys } from "#commands/ApiKeys.ts"
import { Dispatch } from "#commands/Dispatch.ts"
import { Endpoints } from "#commands/Endpoints.ts"
import { Invoicing } from "#commands/Invoicing.ts"
import { Quotes } from "#commands/Quotes.ts"
import { Registration } from "#commands/Registration.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { RateSources } from "#ports/RateSource.ts"
import { Shutdown } from "#ports/Shutdown.ts"
import * as Vault from "#adapters/crypto/Vault.ts"
import * as Derivation from "#adapters/evm/Derivation.ts"
import * as Server from "#adapters/http/Server.ts"
import * as Changes from "#adapters/memory/Changes.ts"
import * as AddressPool from "#adapters/postgres/AddressPool.ts"
import * as Bus from "#adapters/postgres/Bus.ts"
import * as PostgresLedger from "#adapters/postgres/ChainLedger.ts"
import * as Deliveries from "#adapters/postgres/Deliveries.ts"
import * as EventStore from "#adapters/postgres/EventStore.ts"
import * as Views from "#adapters/postgres/Views.ts"
import * as FixedRates from "#adapters/rates/Fixed.ts"
import * as Egress from "#adapters/webhooks/Egress.ts"
import { strongProjections } from "./commands.ts"
import { databaseLayer } from "./database.ts"

const secret = (letter: string) => Redacted.make(Buffer.from(letter.repeat(32)).toString("base64"))

const rates = Layer.succeed(RateSources, [
  FixedRates.source(Result.getOrThrow(FixedRates.parse("eth=2500,usdc=1,dai=1,EUR=1.08")))
])

const egress = Egress.layer(
  { allow: [], ports: [443], plain: false },
  () => Promise.resolve([{ address: "93.184.215.14", family: 4 }])
)

/** Every port, on the given database. */
const portsOn = (database: ReturnType<typeof databaseLayer>) =>
  Layer.mergeAll(
    EventStore.layer,
    Bus.layer(),
    Deliveries.layer,
    AddressPool.layer(),
    PostgresLedger.layer,
    Changes.layer,
    Shutdown.layer,
    Vault.layer([secret("v")]),
    rates,
    egress
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(Views.layer, Derivation.layer)),
    Layer.provideMerge(database)
  )

const commandsOn = (database: ReturnType<typeof databaseLayer>) =>
  Layer.mergeAll(Registration.layer, Endpoints.layer, Invoicing.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(ApiKeys.layer({ pepper: secret("p") }), Quotes.layer({ quorum: 1 }))),
    Layer.provideMerge(Dispatch.layer),
    Layer.provideMerge(strongProjections),
    Layer.provideMerge(portsOn(database))
  )

export const allScopes: ReadonlyArray<Scope> = ["invoices:read", "invoices:write", "webhooks:read", "webhooks:write"]

/** A merchant who takes USDC and ETH on the development chain, with a wallet of their own. */
const merchant = Effect.fnUntraced(function*(name: string, seed: number) {
  const registration = yield* Registration
  const actor = "operator:test"
  const id = yield* registration.merchant({
    name,
    currency: "EUR",
    accepts: [{ chain: "dev", asset: "usdc" }, { chain: "dev", asset: "eth" }, { chain: "base", asset: "usdc" }],
    branding: { accent: "#1f6feb" }
  }, { actor })
  const xpub = HDKey.fromMasterSeed(new Uint8Array(32).fill(seed)).derive("m/44'/60'/0'").publicExtendedKey
  yield* registration.wallet({ mode: "test", xpub }, { tenant: id, actor })
  return id
})

export const keyFor = Effect.fnUntraced(function*(
  merchantId: MerchantId,
  mode: Mode = "test",
  scopes: ReadonlyArray<Scope> = allScopes
) {
  const keys = yield* ApiKeys
  const { key } = yield* keys.issue({ merchantId, mode, name: "test", scopes }, {
    tenant: merchantId,
    actor: "operator:test"
  })
  return Redacted.value(key)
})

/** The development chain is being read, and stands at block 100. */
const chainRead = Effect.gen(function*() {
  const ledger = yield* ChainLedger
  const header = {
    number: 100,
    hash: `0x${"10".repeat(32)}`,
    parentHash: `0x${"0f".repeat(32)}`,
    time: yield* DateTime.now
  }
  // Another process on the same database may have begun.
  yield* Effect.catchTag(
    ledger.begin("dev", { header, genesis: `0x${"00".repeat(32)}`, finalized: 90 }),
    "CursorMoved",
    () => Effect.void
  )
})

export class World extends Context.Service<World, {
  readonly url: string
  readonly merchants: { readonly a: MerchantId; readonly b: MerchantId }
  readonly keys: { readonly a: string; readonly b: string; readonly aLive: string; readonly aReadOnly: string }
}>()("checkout/test/World") {}

const world = Layer.effect(
  World,
  Effect.gen(function*() {
    yield* chainRead
    const merchants = { a: yield* merchant("Mugs", 7), b: yield* merchant("Hats", 8) }
    const { address } = yield* HttpServer.HttpServer
    return {
      url: "port" in address ? `http://127.0.0.1:${address.port}` : "",
      merchants,
      keys: {
        a: yield* keyFor(merchants.a),
        b: yield* keyFor(merchants.b),
        aLive: yield* keyFor(merchants.a, "live"),
        aReadOnly: yield* keyFor(merchants.a, "test", ["invoices:read"])
      }
    }
  })
)

/** `further`: routes besides the API's, which may use the ports that it uses. */
export const apiLayer = <E = never, R = never>(
  settings: Partial<Server.Settings> = {},
  further: Layer.Layer<never, E, R> = Layer.empty as Layer.Layer<never, E, R>,
  database = databaseLayer({ maxConnections: 12 })
) =>
  world.pipe(
    Layer.provideMerge(
      Server.layer(
        { host: "127.0.0.1", port: 0, publicUrl: "https://pay.example", drainSeconds: 1, ...settings },
        further
      )
    ),
    Layer.provideMerge(commandsOn(database))
  )

/** What came back: `body` is parsed where it is JSON. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  readonly body: any
}

export interface Ask {
  readonly method?: string
  readonly key?: string
  readonly headers?: Record<string, string>
  readonly json?: unknown
  /** Sent as it is. */
  readonly raw?: string | Uint8Array<ArrayBuffer>
}

export const ask = (url: string, { headers = {}, json, key, method, raw }: Ask = {}) =>
  Effect.promise(async (): Promise<Answer> => {
    const body = raw ?? (json === undefined ? undefined : JSON.stringify(json))
    const response = await fetch(url, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      redirect: "manual",
      headers: {
        ...key !== undefined && { authorization: `Bearer ${key}` },
        ...body !== undefined && { "content-type": "application/json" },
        ...headers
      },
      ...body !== undefined && { body }
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") ?? false
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text !== "" ? JSON.parse(text) as unknown : null
    }
  })
