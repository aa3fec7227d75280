import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Redacted, Ref, Result } from "effect"
import { TestClock } from "effect/testing"
import * as Vault from "#adapters/crypto/Vault.ts"
import * as MemoryAddressPool from "#adapters/memory/AddressPool.ts"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import * as Derivation from "#adapters/evm/Derivation.ts"
import * as Fixed from "#adapters/rates/Fixed.ts"
import { type Behalf, Dispatch } from "#commands/Dispatch.ts"
import { customerPurpose, Invoicing, type Opening } from "#commands/Invoicing.ts"
import { Quotes } from "#commands/Quotes.ts"
import { Registration } from "#commands/Registration.ts"
import { zero } from "#domain/Amount.ts"
import type { ChainId, Method } from "#domain/Chain.ts"
import { defaultPolicy, type Policy } from "#domain/Policy.ts"
import { AddressPool, type Deposit } from "#ports/AddressPool.ts"
import { ChainLedger, type Height } from "#ports/ChainLedger.ts"
import { EventStore, StoreUnavailable } from "#ports/EventStore.ts"
import { RateSources } from "#ports/RateSource.ts"
import { Vault as VaultPort } from "#ports/Vault.ts"
import { Views } from "#ports/Views.ts"
import { addressBook } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { strongProjections } from "../support/commands.ts"
import { ether, merchantId, usd, usdc, value, xpub } from "../support/examples.ts"

const onBase: Method = { chain: "base", asset: "usdc" }
const onEthereum: Method = { chain: "ethereum", asset: "eth" }
const onPolygon: Method = { chain: "polygon", asset: "pol" }
const onDev: Method = { chain: "dev", asset: "usdc" }

const height = (chain: ChainId, overrides: Partial<Height> = {}): Height => ({
  chain,
  number: 100,
  time: DateTime.makeUnsafe(0),
  finalized: 90,
  checkedAt: DateTime.makeUnsafe(0),
  halted: null,
  ...overrides
})

/** What a test may do to the world around: move chains, break the database, hand out addresses twice. */
class World extends Context.Service<World>()("checkout/test/World", {
  make: Effect.gen(function*() {
    return {
      heights: yield* Ref.make([height("base"), height("ethereum"), height("dev")]),
      /** Whether the database falls silent, and if so before or after it has written. */
      silent: yield* Ref.make<"no" | "before" | "after">("no"),
      /** Handed out before any other, although they are in use. */
      stale: yield* Ref.make<ReadonlyArray<Deposit>>([]),
      givenBack: yield* Ref.make<ReadonlyArray<number>>([])
    }
  })
}) {
  static readonly layer = Layer.effect(this, this.make)
}

const store = Layer.effect(
  EventStore,
  Effect.gen(function*() {
    const store = yield* EventStore
    const { silent } = yield* World
    const away = new StoreUnavailable({ reason: "test", retryAfterSeconds: 1 })
    return EventStore.of({
      ...store,
      append: Effect.fnUntraced(function*(append) {
        const when = yield* Ref.get(silent)
        if (when === "before") return yield* away
        const version = yield* store.append(append)
        return when === "after" ? yield* away : version
      })
    })
  })
).pipe(Layer.provide(MemoryEventStore.layer))

const pool = Layer.effect(
  AddressPool,
  Effect.gen(function*() {
    const pool = yield* AddressPool
    const { givenBack, stale } = yield* World
    return AddressPool.of({
      take: Effect.fnUntraced(function*(wallet) {
        const [first, ...rest] = yield* Ref.get(stale)
        yield* Ref.set(stale, rest)
        return first ?? (yield* pool.take(wallet))
      }),
      giveBack: (deposit) =>
        Effect.andThen(Ref.update(givenBack, (before) => [...before, deposit.index]), pool.giveBack(deposit))
    })
  })
).pipe(Layer.provide(MemoryAddressPool.layer))

const ledger = Layer.unwrap(
  Effect.map(World, ({ heights }) => Layer.mock(ChainLedger, { heights: Ref.get(heights) }))
)

const rates = Layer.succeed(RateSources, [
  Fixed.source(Result.getOrThrow(Fixed.parse("eth=2500,usdc=1,EUR=1.25")))
])

const house = Layer.mergeAll(Invoicing.layer, Registration.layer).pipe(
  Layer.provide(Quotes.layer().pipe(Layer.provide(rates))),
  Layer.provideMerge(Dispatch.layer.pipe(Layer.provide(strongProjections))),
  Layer.provideMerge(
    Layer.mergeAll(pool, ledger, store, Vault.layer([Redacted.make(Buffer.alloc(32, 7).toString("base64"))]))
  ),
  Layer.provideMerge(Layer.mergeAll(World.layer, MemoryViews.layer, Derivation.layer))
)

const behalf: Behalf = { tenant: merchantId, actor: "key_test" }
const open = (overrides: Partial<Opening> = {}, on: Partial<Behalf> = {}) =>
  Effect.flatMap(Invoicing, (invoicing) =>
    invoicing.open(
      { mode: "live", price: { amount: usd(25), currency: "USD" }, ...overrides },
      { ...behalf, ...on }
    ))
const shown = (overrides: Partial<Opening> = {}, on: Partial<Behalf> = {}) =>
  Effect.map(open(overrides, on), ({ row }) => row(invoiceDetails) ?? assert.fail("no row"))

const aMerchant = (policy: Partial<Policy> = {}) =>
  Effect.gen(function*() {
    const registration = yield* Registration
    const accepts = [onBase, onEthereum, onPolygon, onDev]
    const branding = { accent: "#1f6feb" }
    const shop = { id: merchantId, name: "Blue Mug Co.", currency: "EUR", accepts, branding } as const
    yield* registration.merchant({ ...shop, policy: { ...defaultPolicy, ...policy } }, behalf)
    yield* registration.wallet({ mode: "live", xpub }, behalf)
  })

/** A test in a house of its own, with a merchant who has a live wallet. */
const sentence = (
  name: string,
  test: Effect.Effect<void, unknown, Layer.Success<typeof house>>,
  policy: Partial<Policy> = {}
) => it.effect(name, () => Effect.andThen(aMerchant(policy), test).pipe(Effect.provide(house)))

const refusal = (overrides: Partial<Opening> = {}, on: Partial<Behalf> = {}) => Effect.flip(open(overrides, on))

describe("an opened invoice", () => {
  sentence(
    "can be paid at an address of the wallet, by every method that works now",
    Effect.gen(function*() {
      const invoice = yield* shown({ orderId: "1234", metadata: { cart: "77" } })
      const { addressAt } = Result.getOrThrow(Derivation.account(xpub))
      assert.strictEqual(invoice.address, addressAt(0))
      assert.deepStrictEqual(invoice.methods.map(({ asset, chain, due }) => [chain, asset, due]), [
        ["base", "usdc", usdc(25)],
        ["ethereum", "eth", ether("0.01")]
      ])
      assert.deepInclude(invoice, { status: "open", level: "small", orderId: "1234", due: value(25), mode: "live" })
      assert.deepStrictEqual(invoice.expiresAt, DateTime.makeUnsafe(900_000))
      assert.isTrue(invoice.methods.every(({ lockedUntil }) => DateTime.Equivalence(lockedUntil, invoice.expiresAt)))
      const owner = yield* (yield* Views).get(addressBook, invoice.address ?? "")
      assert.strictEqual(owner?.invoiceId, invoice.id)
    })
  )

  sentence(
    "offers only what was asked for",
    Effect.gen(function*() {
      const { methods } = yield* shown({ accepts: [onEthereum, onEthereum] })
      assert.deepStrictEqual(methods.map(({ asset }) => asset), ["eth"])
    })
  )

  sentence(
    "lasts as long as was asked for",
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* shown({ expiresIn: 60 })).expiresAt, DateTime.makeUnsafe(60_000))
    })
  )

  sentence(
    "over nothing is settled at once and uses no address",
    Effect.gen(function*() {
      const invoice = yield* shown({ price: { amount: zero, currency: "USD" } })
      assert.deepInclude(invoice, { status: "settled", address: null, methods: [] })
      const { addressAt } = Result.getOrThrow(Derivation.account(xpub))
      assert.strictEqual((yield* shown()).address, addressAt(0))
    })
  )

  sentence(
    "without a price takes whatever arrives, in the merchant's currency",
    Effect.gen(function*() {
      const invoice = yield* shown({ price: null })
      assert.deepStrictEqual(invoice.price, { amount: null, currency: "EUR" })
      assert.isTrue(invoice.methods.length > 0 && invoice.methods.every(({ due }) => due === null))
    })
  )

  sentence(
    "keeps the payer's address where only the vault reads it",
    Effect.gen(function*() {
      const { customer, id } = yield* shown({ customer: { email: Redacted.make("ada@example.com") } })
      assert.notInclude(JSON.stringify(yield* (yield* EventStore).read(id, merchantId)), "ada@")
      const opened = yield* (yield* VaultPort).open(customerPurpose(id), customer ?? "")
      assert.strictEqual(Redacted.value(opened), "ada@example.com")
    })
  )

  sentence(
    "of many at once has an address of its own",
    Effect.gen(function*() {
      const invoices = yield* Effect.all(Array.from({ length: 100 }, () => shown()), { concurrency: "unbounded" })
      assert.strictEqual(new Set(invoices.map(({ address }) => address)).size, 100)
    })
  )
})

describe("a policy for one invoice", () => {
  sentence(
    "differs only in what is said",
    Effect.gen(function*() {
      const { policy } = yield* shown({ policy: { toleranceBasisPoints: 100 } })
      assert.deepStrictEqual(policy, { ...defaultPolicy, toleranceBasisPoints: 100 })
    })
  )

  for (
    const [name, policy] of [
      ["tolerates more than half", { toleranceBasisPoints: 5001 }],
      ["is negative", { toleranceMinor: usd(0) - 1n as never }],
      ["is no number of seconds", { graceSeconds: 0.5 }]
    ] as ReadonlyArray<[string, Partial<Policy>]>
  ) {
    sentence(
      `is refused when it ${name}`,
      Effect.gen(function*() {
        assert.deepInclude(yield* refusal({ policy }), { _tag: "OutOfBounds", field: "policy" })
      })
    )
  }

  sentence(
    "never lets nothing pay for something",
    Effect.gen(function*() {
      const invoice = yield* shown({ price: { amount: usd("0.40"), currency: "USD" } })
      assert.deepInclude(invoice, { status: "open" })
      assert.strictEqual(invoice.policy.toleranceMinor, usd("0.20"))
    }),
    { toleranceMinor: usd(1), toleranceBasisPoints: 10_000 }
  )
})

describe("a method is left out", () => {
  const offered = (...changed: ReadonlyArray<Height>) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(3_600_000)
      const fresh = { time: DateTime.makeUnsafe(3_590_000), checkedAt: DateTime.makeUnsafe(3_590_000) }
      const { heights } = yield* World
      yield* Ref.set(heights, [height("ethereum", fresh), ...changed.map((each) => ({ ...fresh, ...each }))])
      return (yield* shown()).methods.map(({ chain }) => chain)
    })
  const ago = (seconds: number) => DateTime.makeUnsafe(3_600_000 - seconds * 1000)

  sentence(
    "when its chain is not watched, and only then",
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* offered(), ["ethereum"])
    })
  )
  sentence(
    "when its chain was halted",
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* offered(height("base", { halted: "deep reorg", time: ago(1), checkedAt: ago(1) })),
        [
          "ethereum"
        ]
      )
    })
  )
  sentence(
    "when nobody has looked at its chain for a minute",
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* offered(height("base", { time: ago(61), checkedAt: ago(61) })), ["ethereum"])
    })
  )
  sentence(
    "when its chain is read, but not up to now",
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* offered(height("base", { time: ago(121), checkedAt: ago(0) })), ["ethereum"])
    })
  )
  sentence(
    "and comes back when its chain does",
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* offered(height("base", { time: ago(10), checkedAt: ago(0) })), ["base", "ethereum"])
    })
  )
})

describe("no invoice is opened", () => {
  sentence(
    "when nothing works, and each method says why",
    Effect.gen(function*() {
      const { heights } = yield* World
      yield* Ref.set(heights, [height("base", { halted: "deep reorg" }), height("polygon")])
      assert.deepInclude(yield* refusal(), {
        _tag: "NoWayToPay",
        reasons: [
          { method: onBase, reason: "chain_halted" },
          { method: onEthereum, reason: "chain_not_watched" },
          { method: onPolygon, reason: "no_source" }
        ]
      })
    })
  )
  sentence(
    "with a method that the merchant does not take, or that is of the other world",
    Effect.gen(function*() {
      const foreign: Method = { chain: "base", asset: "eurc" }
      assert.deepInclude(yield* refusal({ accepts: [onBase, foreign] }), { _tag: "MethodNotAccepted", ...foreign })
      assert.deepInclude(yield* refusal({ accepts: [onDev] }), { _tag: "MethodNotAccepted", ...onDev })
    })
  )
  sentence(
    "in a mode without a wallet",
    Effect.gen(function*() {
      assert.deepInclude(yield* refusal({ mode: "test" }), { _tag: "WalletMissing", mode: "test" })
    })
  )
  sentence(
    "for nobody",
    Effect.gen(function*() {
      const nobody = { tenant: merchantId.replace(/.$/, "z") }
      assert.strictEqual((yield* refusal({}, nobody))._tag, "MerchantNotFound")
    })
  )
  for (const expiresIn of [59, 604_801, 60.5, NaN]) {
    sentence(
      `for ${expiresIn} seconds`,
      Effect.gen(function*() {
        assert.deepInclude(yield* refusal({ expiresIn }), { _tag: "OutOfBounds", field: "expiresIn" })
      })
    )
  }
})

describe("the same request again", () => {
  const receipt = { key: "test POST /v1/invoices 1", hash: "a" }

  sentence(
    "is answered with the same invoice, and its second address is given back",
    Effect.gen(function*() {
      const first = yield* open({}, { receipt })
      const again = yield* open({}, { receipt })
      assert.deepInclude(again, { id: first.id, version: first.version, replayed: true })
      assert.deepStrictEqual(yield* Ref.get((yield* World).givenBack), [1])
    })
  )
  sentence(
    "is answered even when an invoice could not be opened now",
    Effect.gen(function*() {
      const first = yield* open({}, { receipt })
      yield* TestClock.adjust("1 minute")
      yield* Ref.set((yield* World).heights, [])
      assert.strictEqual((yield* open({}, { receipt })).id, first.id)
      assert.strictEqual((yield* refusal({}, { receipt: { ...receipt, key: "another" } }))._tag, "NoWayToPay")
    })
  )
  sentence(
    "asking for something else is refused, and its address is given back",
    Effect.gen(function*() {
      yield* open({}, { receipt })
      assert.strictEqual((yield* refusal({}, { receipt: { ...receipt, hash: "b" } }))._tag, "ReceiptMismatch")
      assert.deepStrictEqual(yield* Ref.get((yield* World).givenBack), [1])
    })
  )
  sentence(
    "at the same moment opens one invoice",
    Effect.gen(function*() {
      const outcomes = yield* Effect.all(Array.from({ length: 20 }, () => open({}, { receipt })), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(outcomes.map(({ id }) => id)).size, 1)
      assert.strictEqual((yield* Ref.get((yield* World).givenBack)).length, 19)
    })
  )
})

describe("an address", () => {
  /** Addresses that invoices have, as a pool would hand them out whose leases had lapsed. */
  const used = (count: number) =>
    Effect.gen(function*() {
      const views = yield* Views
      return yield* Effect.forEach(Array.from({ length: count }), () =>
        Effect.gen(function*() {
          const { address } = yield* shown()
          const row = yield* views.get(addressBook, address ?? "")
          return row ?? assert.fail("not in the address book")
        }))
    })

  sentence(
    "that proves used is passed over for the next one",
    Effect.gen(function*() {
      const { givenBack, stale } = yield* World
      const taken = yield* used(3)
      yield* Ref.set(stale, taken)
      const invoice = yield* shown()
      assert.isFalse(taken.some(({ address }) => address === invoice.address))
      assert.deepStrictEqual(yield* Ref.get(givenBack), [])
    })
  )
  sentence(
    "is not looked for without end",
    Effect.gen(function*() {
      const taken = yield* used(9)
      yield* Ref.set((yield* World).stale, taken)
      assert.deepInclude(yield* refusal(), { _tag: "StoreUnavailable", retryAfterSeconds: 1 })
    })
  )
  sentence(
    "is not given back when the database may have written the invoice",
    Effect.gen(function*() {
      const { givenBack, silent } = yield* World
      yield* Ref.set(silent, "after")
      assert.strictEqual((yield* refusal())._tag, "StoreUnavailable")
      yield* Ref.set(silent, "no")
      assert.deepStrictEqual(yield* Ref.get(givenBack), [])
      // The next invoice gets another address, at the first try.
      const { addressAt } = Result.getOrThrow(Derivation.account(xpub))
      assert.strictEqual((yield* shown()).address, addressAt(1))
    })
  )
})
