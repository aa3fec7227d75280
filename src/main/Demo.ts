/** The demo: a merchant whose wallet nobody but the payer's side knows, a key, a webhook receiver, a first invoice. */
import { HDKey } from "@scure/bip32"
import { generateMnemonic, mnemonicToSeedSync } from "@scure/bip39"
import { wordlist } from "@scure/bip39/wordlists/english.js"
import { DateTime, Effect, Redacted, Ref, Result, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { parse, units } from "#domain/Amount.ts"
import * as ApiKey from "#domain/ApiKey.ts"
import { chains, tokenOf } from "#domain/Chain.ts"
import * as Merchant from "#domain/Merchant.ts"
import * as Wallet from "#domain/Wallet.ts"
import { ApiKeys, fresh } from "#commands/ApiKeys.ts"
import type { Behalf } from "#commands/Dispatch.ts"
import { Endpoints } from "#commands/Endpoints.ts"
import { Invoicing } from "#commands/Invoicing.ts"
import { newId } from "#commands/NewId.ts"
import { Registration } from "#commands/Registration.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { Views } from "#ports/Views.ts"
import { checkoutView } from "#projections/CheckoutView.ts"
import { endpoints, merchants } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { sinkPath, SinkSecret } from "#adapters/demo/Sink.ts"
import * as DemoWallet from "#adapters/demo/Wallet.ts"
import * as Anvil from "#adapters/embedded/Anvil.ts"
import type { Settings } from "./Config.ts"
import { Ready } from "./Ready.ts"

/** The development chain: one that is given, or our own, with its money and price feeds deployed. */
export const chain = Effect.fnUntraced(function*({ chainRpc }: Settings, folder: string) {
  const url = chainRpc === ""
    ? (yield* Anvil.start({ folder: path.join(folder, "chain"), blockSeconds: chains.dev.blockSeconds })).url
    : chainRpc.replace(/^dev=/, "")
  yield* Anvil.deployDevContracts(url)
  return url
})

/** What a demo leaves open is filled in so that everything stays on this machine. */
export const settingsFor = (settings: Settings, chainRpc: string): Settings => ({
  ...settings,
  chainRpc: `dev=${chainRpc}`,
  fixedRates: settings.fixedRates === ""
    ? "eth=2500,usdc=1,dai=1,USD=1,EUR=1.08,GBP=1.27,CHF=1.13,JPY=0.0067"
    : settings.fixedRates,
  webhookNetworks: settings.webhookNetworks === "" ? "127.0.0.0/8" : settings.webhookNetworks,
  webhookPorts: "any",
  webhookHttp: true
})

const Identity = Schema.Struct({
  merchantId: Merchant.MerchantId,
  walletId: Wallet.WalletId,
  keyId: ApiKey.ApiKeyId,
  apiKey: Schema.String
})

/** Kept beside the data, so that a demo which starts again is the same shop. */
const identity = Effect.fnUntraced(function*(folder: string) {
  const file = path.join(folder, "demo-identity.json")
  const json = Schema.fromJsonString(Identity)
  if (fs.existsSync(file)) return yield* Effect.orDie(Schema.decodeEffect(json)(fs.readFileSync(file, "utf8")))
  const made = {
    merchantId: Merchant.MerchantId.make(yield* newId(Merchant.aggregate)),
    walletId: Wallet.WalletId.make(yield* newId(Wallet.aggregate)),
    keyId: ApiKey.ApiKeyId.make(yield* newId(ApiKey.aggregate)),
    apiKey: Redacted.value(yield* fresh("test"))
  }
  fs.writeFileSync(file, yield* Effect.orDie(Schema.encodeEffect(json)(made)), { mode: 0o600 })
  return made
})

/** The shop's money can be spent with this phrase; the server is only ever told the account's public key. */
const accountXpub = (folder: string): string => {
  const file = path.join(folder, "demo-wallet.txt")
  if (!fs.existsSync(file)) fs.writeFileSync(file, `${generateMnemonic(wordlist)}\n`, { mode: 0o600 })
  const seed = mnemonicToSeedSync(fs.readFileSync(file, "utf8").trim())
  return HDKey.fromMasterSeed(seed).derive("m/44'/60'/0'").publicExtendedKey
}

/** Sets the shop up where it is missing, and answers with what a newcomer needs. */
export const open = Effect.fn("Demo.open")(function*(folder: string, apiUrl: string, rpcUrl: string) {
  const registration = yield* Registration
  const invoicing = yield* Invoicing
  const views = yield* Views
  const { apiKey, keyId, merchantId, walletId } = yield* identity(folder)
  const behalf: Behalf = { tenant: merchantId, actor: "demo" }
  const once = (what: string): Behalf => ({ ...behalf, receipt: { key: `demo:${what}`, hash: what } })

  yield* registration.merchant({
    id: merchantId,
    name: "Blue Mug Coffee",
    currency: "EUR",
    accepts: (["usdc", "dai", "eth"] as const).map((asset) => ({ chain: "dev" as const, asset })),
    branding: { accent: "#2f5bea", website: "https://bluemug.example", supportEmail: "hello@bluemug.example" }
  }, behalf)
  yield* registration.wallet({ id: walletId, mode: "test", xpub: accountXpub(folder) }, behalf)
  const { issue } = yield* ApiKeys
  const details = { merchantId, mode: "test", name: "Demo", scopes: ApiKey.Scope.literals } as const
  yield* issue(details, behalf, { id: keyId, key: Redacted.make(apiKey) })
  yield* receiver(`${apiUrl}${sinkPath}`, once("receiver"))
  yield* scanning

  const file = path.join(folder, "demo.json")
  const before = fs.existsSync(file)
    ? Result.getOrNull(Schema.decodeUnknownResult(Schema.fromJsonString(Ready))(fs.readFileSync(file, "utf8")))
    : null
  const earlier = before === null ? null : yield* views.get(invoiceDetails, before.invoiceId)
  const invoiceId = earlier?.status === "open"
    ? earlier.id
    : (yield* invoicing.open({
      mode: "test",
      price: { amount: units(6400n), currency: "EUR" },
      description: "Espresso set: four cups, one pot",
      orderId: "1234",
      expiresIn: 3600
    }, behalf)).id
  const ready: Ready = {
    checkoutUrl: `${apiUrl}/i/${invoiceId}`,
    apiUrl,
    apiKey,
    invoiceId,
    docsUrl: `${apiUrl}/docs`,
    rpcUrl
  }
  fs.writeFileSync(file, JSON.stringify(ready), { mode: 0o600 })
  return ready
})

/** The shop's own endpoint, at the port this process has today. */
const receiver = Effect.fnUntraced(function*(url: string, behalf: Behalf) {
  const { change, register } = yield* Endpoints
  const views = yield* Views
  const settings = { url, description: "The demo shop's receiver", types: null, ordering: "unordered" } as const
  const { outcome, secret } = yield* register({ ...settings, mode: "test" }, behalf)
  yield* Ref.set(yield* SinkSecret, secret)
  const row = yield* views.get(endpoints, outcome.id)
  if (row !== null && row.url !== url) {
    const { receipt: _, ...now } = behalf
    yield* change(outcome.id, settings, now)
  }
})

/** An invoice can only be opened once the chain is being read. */
const scanning = Effect.gen(function*() {
  const { heights } = yield* ChainLedger
  const look = Effect.delay(heights, "100 millis")
  yield* Effect.repeat(look, { until: (known) => known.some(({ chain }) => chain === "dev") })
})

/** Pays what is left of an invoice by `dev-usdc` and the like: what the button on the page does. */
export const payer = Effect.fnUntraced(function*(rpcUrl: string) {
  const views = yield* Views
  const { heights } = yield* ChainLedger
  return Effect.fnUntraced(function*(invoiceId: string, methodId: string) {
    const details = yield* views.get(invoiceDetails, invoiceId)
    const merchant = details && (yield* views.get(merchants, details.merchantId))
    if (details === null || merchant === null || details.address === null) return
    const { methods } = checkoutView(details, merchant, yield* heights, yield* DateTime.now)
    const method = methods.find(({ id }) => id === methodId)
    const token = method && tokenOf(method)
    if (method === undefined || token === undefined) return
    const amount = parse(method.remaining ?? "10", token.decimals)
    if (Result.isFailure(amount) || amount.success === 0n) return
    yield* DemoWallet.pay({ rpcUrl, method, to: details.address, amount: amount.success })
  }, Effect.catch((error) => Effect.logError("the demo wallet could not pay", error)))
})
