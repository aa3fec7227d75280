import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Result } from "effect"
import { type Hex, numberToHex, parseAbi } from "viem"
import { freePort } from "#adapters/embedded/Ports.ts"
import * as Chainlink from "#adapters/rates/Chainlink.ts"
import { pow10 } from "#domain/Amount.ts"
import type { Currency } from "#domain/Money.ts"
import * as Rates from "#domain/Rates.ts"
import { type Client, furnished } from "../../support/anvil.ts"
import { address } from "../../support/examples.ts"

const feedAbi = parseAbi(["function setAnswerOf(int256 answer, uint256 updatedAt)"])

const say = (client: Client, feed: Hex, answer: bigint, updatedAt = 0n) =>
  Effect.promise(async () => {
    const [account] = await client.getAddresses()
    if (account === undefined) return assert.fail("no account")
    const hash = await client.writeContract({
      address: feed,
      abi: feedAbi,
      functionName: "setAnswerOf",
      args: [answer, updatedAt],
      account
    })
    await client.mine({ blocks: 1 })
    await client.waitForTransactionReceipt({ hash })
  })

/** Answers «8» to decimals(), «ETH / USD» to description(), and its first five words of storage to anything else. */
const rawFeed = "0x5f3560e01c8063313ce56714603857637284e4161460415"
  + "7" + "5f545f52" + "600154602052" + "600254604052" + "600354606052" + "600454608052" + "60a05ff3"
  + "5b60085f5260205ff3"
  + "5b60205f52600960205268455448202f20555344" + "60b81b60405260605ff3"

/** The latest round as the chain would show it: round, answer, startedAt, updatedAt, answeredInRound. */
const rounds = (client: Client, feed: Hex, words: ReadonlyArray<bigint>) =>
  Effect.promise(async () => {
    await client.setCode({ address: feed, bytecode: rawFeed as Hex })
    for (const [slot, word] of words.entries()) {
      await client.setStorageAt({
        address: feed,
        index: slot,
        value: numberToHex(BigInt.asUintN(256, word), { size: 32 })
      })
    }
  })

const rules: Rates.Rules = { maxAgeSeconds: 60, maxDeviationBasisPoints: 200, maxDepegBasisPoints: 200, quorum: 1 }

/** What the rules make of the feed's word. */
const judged = (source: ReturnType<typeof Chainlink.source>, currency: Currency) =>
  Effect.gen(function*() {
    const prices = yield* source.prices([currency])
    const answers = [...prices].map(([of, price]) => [of, [{ source: source.name, ...price }]] as const)
    const result = Rates.dollarsFor(currency, new Map(answers), yield* DateTime.now, rules)
    return Result.isSuccess(result) ? Rates.decimalOf(result.success.rate) : result.failure.reason
  })

describe("a Chainlink feed", () => {
  it.live("says the price, when it was taken, and for how long it holds", () =>
    Effect.gen(function*() {
      const { client, contracts, url } = yield* furnished
      const source = Chainlink.source({
        name: "chainlink:dev",
        url,
        feeds: [{ currency: "eth", address: contracts.ethUsd }, { currency: "EUR", address: contracts.eurUsd }]
      })
      const prices = yield* source.prices(["eth", "EUR", "JPY"])
      const { timestamp } = yield* Effect.promise(() => client.getBlock())
      assert.deepStrictEqual([...prices], [
        ["eth", {
          usd: { numerator: 2500n * pow10(8), denominator: pow10(8) },
          takenAt: DateTime.makeUnsafe(Number(timestamp) * 1000),
          validSeconds: 3600 + 1800
        }],
        ["EUR", {
          usd: { numerator: 108n * pow10(6), denominator: pow10(8) },
          takenAt: DateTime.makeUnsafe(Number(timestamp) * 1000),
          validSeconds: 86_400 + 1800
        }]
      ])

      assert.strictEqual(yield* judged(source, "eth"), "2500")
      yield* say(client, contracts.ethUsd as Hex, 3000_12000000n)
      assert.strictEqual(yield* judged(source, "eth"), "3000.12")
    }))

  it.live("is not believed when it says nothing, less than nothing, or something old", () =>
    Effect.gen(function*() {
      const { client, contracts, url } = yield* furnished
      const feeds = [{ currency: "eth" as const, address: contracts.ethUsd }]
      const source = Chainlink.source({ name: "chainlink:dev", url, feeds })
      yield* say(client, contracts.ethUsd as Hex, 0n)
      assert.strictEqual(yield* judged(source, "eth"), "absurd")
      yield* say(client, contracts.ethUsd as Hex, -2500_00000000n)
      assert.strictEqual(yield* judged(source, "eth"), "absurd")
      const { timestamp } = yield* Effect.promise(() => client.getBlock())
      yield* say(client, contracts.ethUsd as Hex, 2500_00000000n, timestamp - 5500n)
      assert.strictEqual(yield* judged(source, "eth"), "stale")
    }))

  it.live("is left out while its round is not finished", () =>
    Effect.gen(function*() {
      const { client, url } = yield* furnished
      const feed = address("fe")
      const source = Chainlink.source({ name: "chainlink:dev", url, feeds: [{ currency: "eth", address: feed }] })
      const { timestamp: now } = yield* Effect.promise(() => client.getBlock())
      const answer = 2500_00000000n
      for (
        const [words, said] of [
          [[7n, answer, now, now, 7n], "2500"],
          [[7n, answer, now, 0n, 7n], "no_source"],
          [[7n, answer, 0n, now, 7n], "no_source"],
          [[7n, answer, now, now, 6n], "no_source"],
          [[7n, answer, now, 2n ** 250n, 7n], "no_source"]
        ] as ReadonlyArray<[ReadonlyArray<bigint>, string]>
      ) {
        yield* rounds(client, feed as Hex, words)
        assert.strictEqual(yield* judged(source, "eth"), said)
      }
    }))

  it.live("that is no contract, or about something else, is left out, and the others speak", () =>
    Effect.gen(function*() {
      const { contracts, url } = yield* furnished
      const source = Chainlink.source({
        name: "chainlink:dev",
        url,
        feeds: [
          { currency: "EUR", address: address("00") },
          { currency: "GBP", address: contracts.eurUsd },
          { currency: "eth", address: contracts.ethUsd }
        ]
      })
      assert.deepStrictEqual([...(yield* source.prices(["eth", "EUR", "GBP"])).keys()], ["eth"])
    }))

  it.live("whose node is away fails, without naming the node's URL", () =>
    Effect.gen(function*() {
      const url = `http://127.0.0.1:${yield* freePort}/v2/secret-key`
      const source = Chainlink.source({
        name: "chainlink:dev",
        url,
        feeds: [{ currency: "eth", address: address("fe") }]
      })
      const failed = yield* Effect.flip(source.prices(["eth"]))
      assert.strictEqual(failed._tag, "RateSourceFailed")
      assert.notInclude(JSON.stringify(failed), "secret-key")
    }))
})
