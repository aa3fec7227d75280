/** Chainlink's price feeds, read from a chain through a node: no account, no key. */
import { DateTime, Effect } from "effect"
import { createPublicClient, type Hex, http, parseAbi, type PublicClient } from "viem"
import { type Address, assets } from "#domain/Chain.ts"
import { pow10 } from "#domain/Amount.ts"
import { type Currency, isFiat } from "#domain/Money.ts"
import { type DollarPrice, RateSourceFailed, type RateSourceShape } from "#ports/RateSource.ts"

export interface Feed {
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
  "function latestRoundData() view returns (uint80, int256, uint256, uint256, uint80)"
])

/** A heartbeat comes in a transaction, which may wait for cheaper gas. */
const heartbeatGraceSeconds = 1800

/** All feeds of one chain. A feed that has no finished round is left out; one whose node is away fails all. */
export const source = ({ feeds, name, timeoutMillis = 4000, url }: Options): RateSourceShape => {
  // One HTTP request for all calls of a round. Effect owns retries and time-outs.
  const client = createPublicClient({
    transport: http(url, { batch: { batchSize: 100 }, retryCount: 0, timeout: timeoutMillis })
  })
  const decimals = new Map<Address, number>()
  return {
    name,
    prices: (currencies) =>
      Effect.forEach(feeds.filter(({ currency }) => currencies.includes(currency)), (feed) =>
        Effect.tryPromise({
          try: () => read(client, feed, decimals),
          // A node's message may repeat the URL, and the URL may hold a key.
          catch: (error) =>
            new RateSourceFailed({
              source: name,
              reason: `${feed.currency}: ${error instanceof Error ? error.name : "unknown"}`
            })
        }), { concurrency: "unbounded" }).pipe(
          Effect.map((prices) => new Map(prices.flatMap((price) => price === null ? [] : [price])))
        )
  }
}

const read = async (
  client: PublicClient,
  { address, currency, heartbeatSeconds = heartbeatOf(currency) }: Feed,
  decimals: Map<Address, number>
): Promise<readonly [Currency, DollarPrice] | null> => {
  const call = { address: address as Hex, abi: aggregator }
  const [places, [round, answer, startedAt, updatedAt, answeredIn]] = await Promise.all([
    decimals.get(address) ?? client.readContract({ ...call, functionName: "decimals" }),
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

const heartbeatOf = (currency: Currency): number => isFiat(currency) || assets[currency].peg !== null ? 86_400 : 3600
