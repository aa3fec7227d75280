import { assert, describe, it } from "@effect/vitest"
import { HDKey } from "@scure/bip32"
import { Effect, Layer } from "effect"
import { Registration } from "#commands/Registration.ts"
import { EventStore } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { merchants, wallets } from "#projections/Directory.ts"
import { memoryCommands } from "../support/commands.ts"
import { merchantId, walletId, xpub } from "../support/examples.ts"

const layer = Registration.layer.pipe(Layer.provideMerge(memoryCommands))
const shop = {
  name: "Blue Mug Co.",
  currency: "EUR",
  accepts: [{ chain: "base", asset: "usdc" }],
  branding: { accent: "#1f6feb" }
} as const
const behalf = { tenant: merchantId, actor: "operator:test" }
const wallet = (text: string) =>
  Effect.flatMap(
    Registration,
    (registration) => registration.wallet({ id: walletId, mode: "live", xpub: text }, behalf)
  )

describe("registering", () => {
  it.effect("a merchant and a wallet makes them known", () =>
    Effect.gen(function*() {
      const registration = yield* Registration
      const views = yield* Views
      const tenant = yield* registration.merchant(shop, { actor: "operator:test" })
      const id = yield* registration.wallet({ mode: "live", xpub }, { ...behalf, tenant })
      assert.strictEqual((yield* views.get(merchants, tenant))?.currency, "EUR")
      assert.deepStrictEqual((yield* views.list(wallets, { tenant, limit: 10 })).map((row) => row.id), [id])
    }).pipe(Effect.provide(layer)))

  it.effect("the same again under given ids changes nothing", () =>
    Effect.gen(function*() {
      const registration = yield* Registration
      const store = yield* EventStore
      for (let time = 0; time < 2; time++) {
        yield* registration.merchant({ ...shop, id: merchantId }, { actor: "operator:test" })
        yield* wallet(xpub)
      }
      assert.strictEqual((yield* store.read(merchantId, merchantId)).length, 1)
      assert.strictEqual((yield* store.read(walletId, merchantId)).length, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("a wallet refuses what could spend, and does not repeat it", () =>
    Effect.gen(function*() {
      const secret = HDKey.fromMasterSeed(new Uint8Array(32).fill(7)).derive("m/44'/60'/0'").privateExtendedKey
      const phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow"
      for (const text of [secret, phrase]) {
        const refusal = yield* Effect.flip(wallet(text))
        assert.strictEqual(refusal._tag, "NotAnXpub")
        assert.notInclude(JSON.stringify(refusal), text)
      }
    }).pipe(Effect.provide(layer)))

  it.effect("a wallet refuses an xpub with a typing error", () =>
    Effect.gen(function*() {
      const refusal = yield* Effect.flip(wallet(xpub.slice(0, -1) + (xpub.endsWith("a") ? "b" : "a")))
      assert.strictEqual(refusal._tag, "XpubInvalid")
    }).pipe(Effect.provide(layer)))

  it.effect("another xpub for a wallet that has one is refused", () =>
    Effect.gen(function*() {
      yield* wallet(xpub)
      const other = HDKey.fromMasterSeed(new Uint8Array(32).fill(9)).derive("m/44'/60'/0'").publicExtendedKey
      assert.strictEqual((yield* Effect.flip(wallet(other)))._tag, "WalletExists")
    }).pipe(Effect.provide(layer)))
})
