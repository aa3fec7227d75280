import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Ref, Result } from "effect"
import { TestClock } from "effect/testing"
import { defaults, Quotes, type Settings } from "#commands/Quotes.ts"
import { AssetId } from "#domain/Chain.ts"
import type { Currency, Ratio } from "#domain/Money.ts"
import { type DollarPrice, RateSourceFailed, RateSources, type RateSourceShape } from "#ports/RateSource.ts"
import { ether, topUp, usd, usdc } from "../support/examples.ts"

const dollars = (cents: number): Ratio => ({ numerator: BigInt(cents), denominator: 100n })
type Table = Partial<Record<Currency, number>>

/** A source that says its table (in cents) as of now, unless told to fail, and counts how often it was asked. */
const source = (name: string, table: Table) =>
  Effect.gen(function*() {
    const asked = yield* Ref.make(0)
    const away = yield* Ref.make(false)
    const shape: RateSourceShape = {
      name,
      prices: () =>
        Effect.gen(function*() {
          yield* Ref.update(asked, (n) => n + 1)
          if (yield* Ref.get(away)) return yield* new RateSourceFailed({ source: name, reason: "away" })
          const takenAt = yield* DateTime.now
          return new Map(
            Object.entries(table).map(([currency, cents]): [Currency, DollarPrice] => [
              currency as Currency,
              { usd: dollars(cents), takenAt }
            ])
          )
        })
    }
    return { shape, asked: Ref.get(asked), go: Ref.set(away, true), come: Ref.set(away, false) }
  })

const quotesFrom = (sources: ReadonlyArray<{ readonly shape: RateSourceShape }>, settings: Partial<Settings> = {}) =>
  Quotes.make({ ...defaults, maxAgeSeconds: 120, ...settings }).pipe(
    Effect.provideService(RateSources, sources.map(({ shape }) => shape))
  )

const table: Table = { eth: 2500_00, usdc: 1_00, EUR: 1_25 }
const both = Effect.all([source("a", table), source("b", table)])
const base = { chain: "base", asset: "usdc" } as const
const coin = { chain: "ethereum", asset: "eth" } as const
const until = DateTime.makeUnsafe(900_000)

describe("quotes", () => {
  it.effect("say what each way to pay costs, by which rate, from whom and until when", () =>
    Effect.gen(function*() {
      const { quotes } = yield* quotesFrom(yield* both)
      const price = { amount: usd(25), currency: "EUR" } as const
      assert.deepStrictEqual(yield* quotes(price, [base, coin], until), {
        leftOut: [],
        quotes: [
          {
            ...base,
            decimals: 6,
            due: usdc("31.25"),
            rate: { numerator: 4n, denominator: 5n },
            sources: ["a", "b"],
            quotedAt: DateTime.makeUnsafe(0),
            lockedUntil: until,
            spreadBasisPoints: 0
          },
          {
            ...coin,
            decimals: 18,
            due: ether("0.0125"),
            rate: { numerator: 2000n, denominator: 1n },
            sources: ["a", "b"],
            quotedAt: DateTime.makeUnsafe(0),
            lockedUntil: until,
            spreadBasisPoints: 0
          }
        ]
      })
    }))

  it.effect("leave out what has no price, with the reason, and offer the rest", () =>
    Effect.gen(function*() {
      const { quotes } = yield* quotesFrom([yield* source("a", table), yield* source("b", { ...table, eth: 2700_00 })])
      const { leftOut, quotes: offered } = yield* quotes({ amount: usd(25), currency: "USD" }, [base, coin], until)
      assert.deepStrictEqual(offered.map(({ asset }) => asset), ["usdc"])
      assert.deepStrictEqual(leftOut, [{ method: coin, reason: "sources_disagree" }])
    }))

  it.effect("for a top-up name a rate and no sum", () =>
    Effect.gen(function*() {
      const { quotes } = yield* quotesFrom(yield* both)
      assert.strictEqual((yield* quotes(topUp, [coin], until)).quotes[0]?.due, null)
    }))

  it.effect("carry the spread where the price can move, and none on a stablecoin in its peg", () =>
    Effect.gen(function*() {
      const { quotes } = yield* quotesFrom(yield* both, { spreadBasisPoints: 100 })
      const { quotes: offered } = yield* quotes({ amount: usd(2500), currency: "USD" }, [base, coin], until)
      assert.deepStrictEqual(offered.map(({ due, spreadBasisPoints }) => [due, spreadBasisPoints]), [
        [usdc(2500), 0],
        [ether("1.01"), 100]
      ])
    }))

  it.effect("of late money are made as those of an invoice are", () =>
    Effect.gen(function*() {
      const { market } = yield* quotesFrom(yield* both, { spreadBasisPoints: 100 })
      const quote = yield* market(coin, "USD")
      assert.deepStrictEqual(quote?.rate, { numerator: 250_000n, denominator: 101n })
      assert.isNull(quote?.due)
      assert.isNull(yield* market({ chain: "polygon", asset: "pol" }, "USD"))
      assert.isNull(yield* market({ chain: "base", asset: "avax" }, "USD"))
    }))
})

describe("the sources", () => {
  it.effect("are asked once for a thousand invoices", () =>
    Effect.gen(function*() {
      const [a, b] = yield* both
      const { quotes } = yield* quotesFrom([a, b])
      const price = { amount: usd(25), currency: "USD" } as const
      yield* Effect.all(Array.from({ length: 1000 }, () => quotes(price, [base, coin], until)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual([yield* a.asked, yield* b.asked], [1, 1])
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(yield* a.asked, 3)
    }))

  it.effect("may be away for as long as their last word is fresh", () =>
    Effect.gen(function*() {
      const [a, b] = yield* both
      const { marketRate } = yield* quotesFrom([a, b])
      const rate = Effect.map(
        marketRate("eth", "USD"),
        Result.match({
          onSuccess: ({ sources }) => sources.join(),
          onFailure: ({ reason }) => reason
        })
      )
      assert.strictEqual(yield* rate, "a,b")
      yield* a.go
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual(yield* rate, "a,b")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* rate, "too_few_sources")
      yield* b.go
      yield* TestClock.adjust("150 seconds")
      assert.strictEqual(yield* rate, "stale")
      yield* a.come
      yield* b.come
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* rate, "a,b")
    }))

  it.effect("that never answer hold nobody up for longer than they are given", () =>
    Effect.gen(function*() {
      const stuck = { shape: { name: "stuck", prices: () => Effect.never } }
      const { marketRate } = yield* quotesFrom([yield* source("a", table), stuck], { quorum: 1 })
      const asked = yield* Effect.forkChild(marketRate("eth", "USD"))
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Result.isSuccess(yield* Fiber.join(asked)))
    }))

  it.effect("that are one in number are believed, and are two or nothing where there are more", () =>
    Effect.gen(function*() {
      const alone = yield* quotesFrom([yield* source("a", table)])
      assert.isTrue(Result.isSuccess(yield* alone.marketRate("eth", "USD")))
      const more = yield* quotesFrom([yield* source("a", table), yield* source("b", { EUR: 1_25 })])
      const rate = yield* more.marketRate("eth", "USD")
      assert.strictEqual(Result.isFailure(rate) && rate.failure.reason, "too_few_sources")
    }))
})

describe("the level that a price asks for", () => {
  it.effect("goes by its worth in dollars, whatever it is written in", () =>
    Effect.gen(function*() {
      const { level } = yield* quotesFrom(yield* both)
      assert.strictEqual(yield* level({ amount: usd("39.99"), currency: "EUR" }), "small")
      assert.strictEqual(yield* level({ amount: usd(40), currency: "EUR" }), "default")
      assert.strictEqual(yield* level({ amount: usd(8000), currency: "EUR" }), "final")
      assert.strictEqual(yield* level({ amount: ether("0.01"), currency: "eth" }), "small")
    }))

  it.effect("is the highest where the worth is not known, and the usual one for a top-up", () =>
    Effect.gen(function*() {
      const { level } = yield* quotesFrom(yield* both)
      assert.strictEqual(yield* level({ amount: 1n as never, currency: "JPY" }), "final")
      assert.strictEqual(yield* level(topUp), "default")
    }))
})

it.effect("the listing shows every asset, also those without a price, and why", () =>
  Effect.gen(function*() {
    const { listing } = yield* quotesFrom(yield* both)
    const shown = new Map((yield* listing("EUR")).map((row) => [row.asset, row]))
    assert.strictEqual(shown.size, AssetId.literals.length)
    assert.deepStrictEqual(shown.get("eth"), {
      asset: "eth",
      currency: "EUR",
      rate: "2000",
      sources: ["a", "b"],
      takenAt: DateTime.makeUnsafe(0),
      reason: null,
      stale: false
    })
    assert.deepInclude(shown.get("pol"), { rate: null, reason: "no_source", stale: false })
    assert.deepStrictEqual((yield* listing("EUR", ["eth"])).map(({ asset }) => asset), ["eth"])
  }))
