/** The chains and assets we know: what a payment may be made with, and when it counts as final. */
import { Schema } from "effect"

/** The world a key, an invoice or a chain belongs to. Live and test never mix. */
export const Mode = Schema.Literals(["test", "live"])
export type Mode = typeof Mode.Type

/** An EVM address: lower case, compared as text. Checksums are for showing. */
export const Address = Schema.String.pipe(
  Schema.check(Schema.isPattern(/^0x[0-9a-f]{40}$/)),
  Schema.brand("Address")
)
export type Address = typeof Address.Type

export const AssetId = Schema.Literals(["eth", "usdc", "usdt", "dai", "eurc", "pol", "bnb", "avax"])
export type AssetId = typeof AssetId.Type

export interface Asset {
  readonly symbol: string
  readonly name: string
  /** The currency a stablecoin follows; null for one whose price moves freely. */
  readonly peg: "USD" | "EUR" | null
  /** Decimals in which a price in this asset is written. On a chain, the token's own count. */
  readonly decimals: number
}

export const assets: Readonly<Record<AssetId, Asset>> = {
  eth: { symbol: "ETH", name: "Ether", peg: null, decimals: 18 },
  usdc: { symbol: "USDC", name: "USD Coin", peg: "USD", decimals: 6 },
  usdt: { symbol: "USDT", name: "Tether USD", peg: "USD", decimals: 6 },
  dai: { symbol: "DAI", name: "Dai", peg: "USD", decimals: 18 },
  eurc: { symbol: "EURC", name: "Euro Coin", peg: "EUR", decimals: 6 },
  pol: { symbol: "POL", name: "Polygon", peg: null, decimals: 18 },
  bnb: { symbol: "BNB", name: "BNB", peg: null, decimals: 18 },
  avax: { symbol: "AVAX", name: "Avalanche", peg: null, decimals: 18 }
}

export const ChainId = Schema.Literals([
  "dev",
  "ethereum",
  "base",
  "arbitrum",
  "optimism",
  "polygon",
  "bnb",
  "avalanche"
])
export type ChainId = typeof ChainId.Type

/** How sure we are of a transfer, in rising order. Which one an invoice waits for depends on its worth. */
export const Level = Schema.Literals(["small", "default", "final"])
export type Level = typeof Level.Type
const levels: ReadonlyArray<Level> = ["small", "default", "final"]
export const atLeast = (reached: Level, required: Level): boolean => levels.indexOf(reached) >= levels.indexOf(required)

export interface Token {
  readonly asset: AssetId
  /** The contract; its symbol is never trusted. Null for the chain's own coin. */
  readonly contract: Address | null
  readonly decimals: number
}

export interface Chain {
  readonly id: ChainId
  readonly name: string
  readonly mode: Mode
  /** EIP-155. */
  readonly chainId: number
  readonly blockSeconds: number
  /** Blocks that include the transfer's own, for the levels below `final`. Sources: chain.md 1.4. */
  readonly confirmations: { readonly small: number; readonly default: number }
  /** Depth that counts as final where the node's `finalized` tag stalls or is only computed. */
  readonly finalDepth: number
  /** Blocks kept below the tip, to follow a reorg back. */
  readonly window: number
  /** Page of a transaction in a block explorer, with {tx}. */
  readonly explorer: string | null
  readonly tokens: ReadonlyArray<Token>
}

const a = (hex: string) => hex.toLowerCase() as Address
const coin = (asset: AssetId): Token => ({ asset, contract: null, decimals: 18 })
const token = (asset: AssetId, decimals: number, contract: string): Token => ({
  asset,
  contract: a(contract),
  decimals
})

/** The registry. Adding an EVM chain is an entry here and an RPC setting. Contracts: the issuers' own published lists. */
export const chains: Readonly<Record<ChainId, Chain>> = {
  dev: {
    id: "dev",
    name: "Development chain",
    mode: "test",
    chainId: 31337,
    blockSeconds: 2,
    confirmations: { small: 1, default: 2 },
    finalDepth: 64,
    window: 128,
    explorer: null,
    // The addresses that anvil's first account gives to its first two contracts.
    tokens: [
      coin("eth"),
      token("usdc", 6, "0x5FbDB2315678afecb367f032d93F642f64180aa3"),
      token("dai", 18, "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512")
    ]
  },
  ethereum: {
    id: "ethereum",
    name: "Ethereum",
    mode: "live",
    chainId: 1,
    blockSeconds: 12,
    confirmations: { small: 2, default: 12 },
    finalDepth: 96,
    window: 160,
    explorer: "https://etherscan.io/tx/{tx}",
    tokens: [
      coin("eth"),
      token("usdc", 6, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
      token("usdt", 6, "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
      token("dai", 18, "0x6B175474E89094C44Da98b954EedeAC495271d0F"),
      token("eurc", 6, "0x1aBaEA1f7C830bD89Acc67eC4af516284b1bC33c")
    ]
  },
  base: {
    id: "base",
    name: "Base",
    mode: "live",
    chainId: 8453,
    blockSeconds: 2,
    confirmations: { small: 1, default: 10 },
    finalDepth: 900,
    window: 1024,
    explorer: "https://basescan.org/tx/{tx}",
    tokens: [
      coin("eth"),
      token("usdc", 6, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
      token("eurc", 6, "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42")
    ]
  },
  arbitrum: {
    id: "arbitrum",
    name: "Arbitrum One",
    mode: "live",
    chainId: 42161,
    blockSeconds: 0.25,
    confirmations: { small: 4, default: 80 },
    finalDepth: 7200,
    window: 8192,
    explorer: "https://arbiscan.io/tx/{tx}",
    tokens: [
      coin("eth"),
      token("usdc", 6, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
      token("usdt", 6, "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9")
    ]
  },
  optimism: {
    id: "optimism",
    name: "OP Mainnet",
    mode: "live",
    chainId: 10,
    blockSeconds: 2,
    confirmations: { small: 1, default: 10 },
    finalDepth: 900,
    window: 1024,
    explorer: "https://optimistic.etherscan.io/tx/{tx}",
    tokens: [coin("eth"), token("usdc", 6, "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85")]
  },
  polygon: {
    id: "polygon",
    name: "Polygon PoS",
    mode: "live",
    chainId: 137,
    blockSeconds: 2,
    // The chain's own milestones are quick, but the tag stalls at times; then 200 blocks will do.
    confirmations: { small: 33, default: 200 },
    finalDepth: 200,
    window: 256,
    explorer: "https://polygonscan.com/tx/{tx}",
    tokens: [coin("pol"), token("usdc", 6, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359")]
  },
  bnb: {
    id: "bnb",
    name: "BNB Smart Chain",
    mode: "live",
    chainId: 56,
    blockSeconds: 0.75,
    confirmations: { small: 15, default: 96 },
    finalDepth: 96,
    window: 256,
    explorer: "https://bscscan.com/tx/{tx}",
    tokens: [
      coin("bnb"),
      token("usdc", 18, "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d"),
      token("usdt", 18, "0x55d398326f99059fF775485246999027B3197955")
    ]
  },
  avalanche: {
    id: "avalanche",
    name: "Avalanche C-Chain",
    mode: "live",
    chainId: 43114,
    blockSeconds: 2,
    confirmations: { small: 1, default: 1 },
    finalDepth: 1,
    window: 64,
    explorer: "https://snowtrace.io/tx/{tx}",
    tokens: [coin("avax"), token("usdc", 6, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E")]
  }
}

/** One way to pay: an asset on a chain. */
export const Method = Schema.Struct({ chain: ChainId, asset: AssetId })
export type Method = typeof Method.Type

export const tokenOf = ({ asset, chain }: Method): Token | undefined =>
  chains[chain].tokens.find((token) => token.asset === asset)

/** Confirmations a transfer needs on this chain for a level; for `final`, the depth that stands in for the tag. */
export const depthOf = (chain: ChainId, level: Level): number =>
  level === "final" ? chains[chain].finalDepth : chains[chain].confirmations[level]
