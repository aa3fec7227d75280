/** Chainlink's price feeds, read from a chain through a node: no account, no key. */
import { DateTime, Effect, Result } from "effect"
import { createPublicClient, type Hex, http, parseAbi, type PublicClient } from "viem"
import { type Address, assets } from "#domain/Chain.ts"
import { pow10 } from "#domain/Amount.ts"
import { type Currency, isFiat } from "#domain/Money.ts"
import { type DollarPrice, RateSourceFailed, type RateSourceShape } from "#ports/RateSource.ts"

interface Feed {
  readonly currency: Currency
  /** The proxy that answers for «currency / USD». */
  readonly address: Address
  /** Seconds after which the feed speaks even if nothing moved. Default: an hour for free prices, a day for the others. */
  readonly heartbeatSeconds?: number
}

export interface Options {
  /** Shown as the quote's source: `chainlink:ethereum`. */
  readonly name: string
  readonly url: string
  readonly feeds: ReadonlyArray<Feed>
  readonly timeoutMillis?: number
}

const aggregator = parseAbi([
  "function decimals() view returns (uint8)",
  "function description() view returns (string)",
  "function latestRoundData() view returns (uint80, int256, uint256, uint256, uint80)"
])

/** A heartbeat comes in a transaction, which may wait for cheaper gas. */
const heartbeatGraceSeconds = 1800

/** All feeds of one chain. One that does not speak is left out; the source has failed when none does. */
export const source = ({ feeds, name, timeoutMillis = 4000, url }: Options): RateSourceShape => {
  // One HTTP request for all calls of a round. Effect owns retries and time-outs.
  const client = createPublicClient({
    transport: http(url, { batch: { batchSize: 100 }, retryCount: 0, timeout: timeoutMillis })
  })
  const decimals = new Map<Address, number>()
  const silent = new Set<Address>()
  // Said once per outage: this runs twice a minute.
  const lament = ({ address, currency }: Feed, reason: string) =>
    Effect.suspend(() => {
      if (silent.has(address)) return Effect.void
      silent.add(address)
      return Effect.logWarning("a price feed does not answer", { source: name, currency, reason })
    })
  const priceOf = (feed: Feed) =>
    Effect.tryPromise({
      try: () => read(client, feed, decimals),
      // A node's message may repeat the URL, and the URL may hold a key.
      catch: (error) => new RateSourceFailed({ source: name, reason: error instanceof Error ? error.name : "unknown" })
    }).pipe(
      Effect.tap(() => Effect.sync(() => silent.delete(feed.address))),
      Effect.tapError(({ reason }) => lament(feed, reason)),
      Effect.result
    )
  return {
    name,
    prices: Effect.fnUntraced(function*(currencies) {
      const asked = feeds.filter(({ currency }) => currencies.includes(currency))
      const results = yield* Effect.forEach(asked, priceOf, { concurrency: "unbounded" })
      const [failed] = results.filter(Result.isFailure)
      if (failed !== undefined && results.every(Result.isFailure)) return yield* failed.failure
      return new Map(
        results.flatMap((result) => Result.isSuccess(result) && result.success !== null ? [result.success] : [])
      )
    })
  }
}

const read = async (
  client: PublicClient,
  { address, currency, heartbeatSeconds = heartbeatOf(currency) }: Feed,
  decimals: Map<Address, number>
): Promise<readonly [Currency, DollarPrice] | null> => {
  const call = { address: address as Hex, abi: aggregator }
  const [places, [round, answer, startedAt, updatedAt, answeredIn]] = await Promise.all([
    decimals.get(address) ?? introduced(client, address, currency),
    client.readContract({ ...call, functionName: "latestRoundData" })
  ])
  decimals.set(address, places)
  // A round under way has a start and no answer yet, or carries over the answer of an earlier one.
  if (startedAt === 0n || updatedAt === 0n || answeredIn < round) return null
  // No chain's clock goes that far; whatever wrote this is no feed.
  if (updatedAt > 8_000_000_000n) return null
  return [currency, {
    usd: { numerator: answer, denominator: pow10(places) },
    takenAt: DateTime.makeUnsafe(Number(updatedAt) * 1000),
    validSeconds: heartbeatSeconds + heartbeatGraceSeconds
  }]
}

/** The feed's decimals, once it has said that it is about this currency: a mistaken address would price everything. */
const introduced = async (client: PublicClient, address: Address, currency: Currency): Promise<number> => {
  const call = { address: address as Hex, abi: aggregator }
  const [places, about] = await Promise.all([
    client.readContract({ ...call, functionName: "decimals" }),
    client.readContract({ ...call, functionName: "description" })
  ])
  const expected = `${isFiat(currency) ? currency : assets[currency].symbol} / USD`
  if (about !== expected) throw new AnotherFeed(expected)
  return places
}

class AnotherFeed extends Error {
  override readonly name = "AnotherFeed"
}

const heartbeatOf = (currency: Currency): number => isFiat(currency) || assets[currency].peg !== null ? 86_400 : 3600
