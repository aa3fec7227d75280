/** What every AddressPool owes its callers. Run it once per implementation. */
import { assert, layer as describeWith } from "@effect/vitest"
import { HDKey } from "@scure/bip32"
import { Effect, Layer, Result } from "effect"
import { account } from "#adapters/evm/Derivation.ts"
import * as Derivation from "#adapters/evm/Derivation.ts"
import { AddressPool, type Deposit } from "#ports/AddressPool.ts"
import type { Derivation as DerivationPort } from "#ports/Derivation.ts"
import { Views } from "#ports/Views.ts"
import { at, merchantId, xpub } from "../support/examples.ts"

/** Each wallet has an account of its own, but «wal_0» and «wal_0b» have the same; «wal_none» is nobody's. */
export const xpubOf = (wallet: string) =>
  wallet.startsWith("wal_0")
    ? xpub
    : HDKey.fromMasterSeed(new TextEncoder().encode(wallet.padEnd(32, "."))).derive("m/44'/60'/0'").publicExtendedKey

/** The wallets that the pools under test know, without the streams behind them. */
export const registeredWallets = Layer.merge(
  Derivation.layer,
  Layer.mock(Views, {
    get: (_, id) =>
      Effect.succeed(
        (id === "wal_none" ? null : { id, merchantId, mode: "live", xpub: xpubOf(id), createdAt: at("09:00") }) as never
      )
  })
)

export const take = (wallet: string, count: number) =>
  Effect.flatMap(
    AddressPool,
    (pool) => Effect.all(Array.from({ length: count }, () => pool.take(wallet)), { concurrency: "unbounded" })
  )

export const indexes = (deposits: ReadonlyArray<Deposit>) =>
  deposits.map(({ index }) => index).toSorted((a, b) => a - b)

export const addressPoolContract = <E>(
  name: string,
  layer: Layer.Layer<AddressPool, E, Views | DerivationPort>
) =>
  describeWith(Layer.provide(layer, registeredWallets), { excludeTestServices: true })(`AddressPool: ${name}`, (it) => {
    it.effect("gives 200 callers at once 200 addresses, the lowest ones", () =>
      Effect.gen(function*() {
        const deposits = yield* take("wal_200", 200)
        assert.strictEqual(new Set(deposits.map(({ address }) => address)).size, 200)
        assert.deepStrictEqual(indexes(deposits), Array.from({ length: 200 }, (_, i) => i))
      }))

    it.effect("gives the addresses that the wallet's owner derives too", () =>
      Effect.gen(function*() {
        const { addressAt } = Result.getOrThrow(account(xpub))
        const deposits = yield* take("wal_0", 5)
        assert.deepStrictEqual(deposits.map(({ address }) => address), deposits.map(({ index }) => addressAt(index)))
        assert.isTrue(deposits.every(({ wallet }) => wallet === "wal_0"))
      }))

    it.effect("keeps wallets apart", () =>
      Effect.gen(function*() {
        const mine = yield* take("wal_mine", 3)
        const yours = yield* take("wal_yours", 3)
        assert.deepStrictEqual(indexes(mine), indexes(yours))
        assert.strictEqual(new Set([...mine, ...yours].map(({ address }) => address)).size, 6)
      }))

    it.effect("shares one account between two wallets that name it", () =>
      Effect.gen(function*() {
        const deposits = [...yield* take("wal_0", 40), ...yield* take("wal_0b", 40), ...yield* take("wal_0", 40)]
        assert.strictEqual(new Set(deposits.map(({ address }) => address)).size, 120)
      }))

    it.effect("gives out again what was given back, before any higher one", () =>
      Effect.gen(function*() {
        const pool = yield* AddressPool
        const [first, second] = yield* take("wal_back", 2)
        assert.isDefined(second)
        if (first === undefined) return
        yield* pool.giveBack(first)
        assert.deepStrictEqual(yield* pool.take("wal_back"), first)
        assert.strictEqual((yield* pool.take("wal_back")).index, 2)
      }))

    it.effect("says when it knows no such wallet", () =>
      Effect.gen(function*() {
        const unknown = yield* Effect.flip(take("wal_none", 1))
        assert.strictEqual(unknown._tag, "WalletUnknown")
      }))
  })
