/** One plain valid example of each thing. A test overrides only what it is about. */
import { DateTime, Result } from "effect"
import { type BaseUnits, parse, zero } from "#domain/Amount.ts"
import * as ApiKey from "#domain/ApiKey.ts"
import { Address, type AssetId, type ChainId, tokenOf } from "#domain/Chain.ts"
import * as Id from "#domain/Id.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as Merchant from "#domain/Merchant.ts"
import { dueFor, type Price, type Quote, valueOf } from "#domain/Money.ts"
import { defaultPolicy, type Policy } from "#domain/Policy.ts"
import * as Wallet from "#domain/Wallet.ts"
import * as Endpoint from "#domain/WebhookEndpoint.ts"

/** "10:00" or "10:00:30" on the day on which all examples happen. */
export const at = (time: string): DateTime.Utc => DateTime.makeUnsafe(`2026-03-02T${time}Z`)
/** The moment so many seconds after another. */
export const after = (moment: DateTime.Utc, seconds: number): DateTime.Utc => DateTime.add(moment, { seconds })

const exact = (decimals: number) => (text: string | number): BaseUnits =>
  Result.getOrThrow(parse(String(text), decimals))
export const usdc = exact(6)
export const ether = exact(18)
/** Dollars as cents. */
export const usd = exact(2)
/** Dollars as a value inside an invoice: millionths of a cent. */
export const value = exact(8)

const id = (prefix: Id.Prefix, last: number) =>
  Id.fromUuid(prefix, `019cae12-0000-7000-8000-${last.toString(16).padStart(12, "0")}`)
export const invoiceId = Invoice.InvoiceId.make(id("inv", 1))
export const merchantId = Merchant.MerchantId.make(id("mer", 2))
export const walletId = Wallet.WalletId.make(id("wal", 3))
export const apiKeyId = ApiKey.ApiKeyId.make(id("key", 4))
export const endpointId = Endpoint.EndpointId.make(id("we", 5))

/** 20 bytes that all are `byte`. */
export const address = (byte: string) => Address.make(`0x${byte.repeat(20)}`)
export const hash = (byte: string) => `0x${byte.repeat(32)}`
/** The block made at that time; another fork's block of the same number has another hash. */
export const block = (time: string, fork = "b0"): Invoice.Block => {
  const seconds = at(time).epochMilliseconds / 1000
  return { number: Math.floor(seconds / 2), hash: hash(fork), time: at(time) }
}

/** 1 USDC is 1 USD, 1 ETH is 2500 USD, 1 POL is 0.50 USD; quoted at 10:00 for a quarter of an hour. */
const rates = { usdc: [1n, 1n], usdt: [1n, 1n], eth: [2500n, 1n], pol: [1n, 2n] } as const
type Quoted = keyof typeof rates
const isQuoted = (asset: AssetId): asset is Quoted => Object.hasOwn(rates, asset)
const rateOf = (asset: AssetId) => {
  const [numerator, denominator] = isQuoted(asset) ? rates[asset] : [1n, 1n] as const
  return { numerator, denominator }
}
const decimalsOf = (chain: ChainId, asset: AssetId) => tokenOf({ chain, asset })?.decimals ?? 18

/** For the price of the example invoice, 25 USD. */
export const quote = (overrides: Partial<Quote> = {}): Quote => {
  const { asset = "usdc", chain = "base" } = overrides
  const decimals = decimalsOf(chain, asset)
  const rate = overrides.rate ?? rateOf(asset)
  return {
    chain,
    asset,
    decimals,
    due: dueFor(usd(25), "USD", decimals, rate),
    rate,
    sources: ["table"],
    quotedAt: at("10:00"),
    lockedUntil: at("10:15"),
    spreadBasisPoints: 0,
    ...overrides
  }
}

export const policy = (overrides: Partial<Policy> = {}): Policy => ({ ...defaultPolicy, ...overrides })

const { cases } = Invoice.Event
type Fields<Case extends { readonly Type: unknown }> = Omit<Case["Type"], "_tag">

/** 25 USD, opened at 10:00 until 10:15, payable in USDC on Base and in ETH on Ethereum. */
export const opening: Fields<typeof cases.InvoiceOpened> = {
  merchantId,
  mode: "live",
  price: { amount: usd(25), currency: "USD" },
  payTo: { address: address("aa"), wallet: walletId, index: 7 },
  methods: [quote(), quote({ chain: "ethereum", asset: "eth" })],
  level: "default",
  policy: defaultPolicy,
  metadata: {},
  openedAt: at("10:00"),
  expiresAt: at("10:15")
}
export const opened = (overrides: Partial<typeof opening> = {}) =>
  cases.InvoiceOpened.make({ ...opening, ...overrides })
/** Whatever arrives is welcome. */
export const topUp: Price = { amount: null, currency: "USD" }

/** 25 USDC on Base in the block of 10:05. */
export const sighting = (overrides: Partial<Invoice.Sighting> = {}): Invoice.Sighting => {
  const { asset = "usdc", chain = "base" } = overrides
  return {
    transferId: "base:a1:0",
    chain,
    asset,
    decimals: decimalsOf(chain, asset),
    amount: usdc(25),
    from: address("cc"),
    transaction: hash("a1"),
    block: block("10:05"),
    market: null,
    detectedAt: at("10:05"),
    ...overrides
  }
}

/** What `sighting` becomes, with its worth at the quoted rate. */
export const detected = (overrides: Partial<Fields<typeof cases.PaymentDetected>> = {}) => {
  const { market: _, ...seen } = sighting(overrides)
  const worth = valueOf(seen.amount, "USD", seen.decimals, rateOf(seen.asset))
  return cases.PaymentDetected.make({ ...seen, value: worth, lateness: "on_time", ...overrides })
}
export const reincluded = (overrides: Partial<Fields<typeof cases.PaymentReincluded>> = {}) =>
  cases.PaymentReincluded.make({
    transferId: "base:a1:0",
    amount: usdc(25),
    value: valueOf(overrides.amount ?? usdc(25), "USD", 6, rateOf("usdc")),
    block: block("10:07", "b1"),
    reincludedAt: at("10:07"),
    ...overrides
  })
export const confirmed = (overrides: Partial<Fields<typeof cases.PaymentConfirmed>> = {}) =>
  cases.PaymentConfirmed.make({ transferId: "base:a1:0", level: "default", confirmedAt: at("10:06"), ...overrides })
export const finalized = (overrides: Partial<Fields<typeof cases.PaymentFinalized>> = {}) =>
  cases.PaymentFinalized.make({ transferId: "base:a1:0", finalizedAt: at("10:20"), ...overrides })
export const dropped = (overrides: Partial<Fields<typeof cases.PaymentDropped>> = {}) =>
  cases.PaymentDropped.make({
    transferId: "base:a1:0",
    blockHash: hash("b0"),
    droppedAt: at("10:06"),
    ...overrides
  })
export const reversed = (overrides: Partial<Fields<typeof cases.PaymentReversed>> = {}) =>
  cases.PaymentReversed.make({
    transferId: "base:a1:0",
    blockHash: hash("b0"),
    reversedAt: at("10:08"),
    ...overrides
  })
export const closed = cases.WindowClosed.make({ closedAt: at("10:17") })
/** By the quarter of an hour of the default policy. */
export const extended = cases.WindowExtended.make({ expiresAt: at("10:30"), extendedAt: at("10:05") })
export const stood = cases.ReversalStood.make({ stoodAt: at("10:40") })
export const overdue = cases.ConfirmationOverdue.make({ overdueAt: at("11:00") })
export const marked = (overrides: Partial<Fields<typeof cases.InvoiceMarked>> = {}) =>
  cases.InvoiceMarked.make({
    as: "settled",
    reason: "paid in cash",
    by: "user:ada",
    markedAt: at("10:30"),
    ...overrides
  })

export const processing = cases.InvoiceProcessing.make({ at: at("10:05") })
export const reopened = cases.InvoiceReopened.make({ at: at("10:06") })
export const settled = (overrides: Partial<Fields<typeof cases.InvoiceSettled>> = {}) =>
  cases.InvoiceSettled.make({
    received: value(25),
    shortfall: zero,
    excess: zero,
    late: false,
    settledAt: at("10:06"),
    ...overrides
  })
export const overpaid = cases.InvoiceOverpaid.make({ excess: value(25), at: at("10:09") })
export const invoiceFinalized = cases.InvoiceFinalized.make({ finalizedAt: at("10:20") })
export const expired = cases.InvoiceExpired.make({ expiredAt: at("10:17") })
export const needsAttention = (reason: Invoice.Attention, moment = at("10:17")) =>
  cases.InvoiceNeedsAttention.make({ reason, at: moment })
export const canceled = cases.InvoiceCanceled.make({ reason: "ordered twice", canceledAt: at("10:04") })

export const registered = (
  overrides: Partial<Fields<typeof Merchant.Event.cases.MerchantRegistered>> = {}
) =>
  Merchant.Event.cases.MerchantRegistered.make({
    name: "Blue Mug Co.",
    currency: "USD",
    accepts: [{ chain: "base", asset: "usdc" }, { chain: "ethereum", asset: "eth" }],
    policy: defaultPolicy,
    branding: { accent: "#1f6feb" },
    registeredAt: at("09:00"),
    ...overrides
  })

/** An account's public key; the private one was never kept, so nobody can spend from its addresses. */
export const xpub =
  "xpub6CsCvs68DBvtuFGcbv7fmvsPuerEYV9VdCCa6PyXVjdvKWtccgG81VP1X4LKuFxeJHzjHRexEHboDN5dmqKZRB6cu3ZybaRm9HyL8SZrDbg"
export const walletRegistered = (
  overrides: Partial<Fields<typeof Wallet.Event.cases.WalletRegistered>> = {}
) =>
  Wallet.Event.cases.WalletRegistered.make({ merchantId, mode: "live", xpub, registeredAt: at("09:01"), ...overrides })

export const keyIssued = (overrides: Partial<Fields<typeof ApiKey.Event.cases.ApiKeyIssued>> = {}) =>
  ApiKey.Event.cases.ApiKeyIssued.make({
    merchantId,
    mode: "live",
    name: "Shop",
    lookup: "k7n2c9q4x1d8",
    hash: "5e".repeat(32),
    scopes: ["invoices:read", "invoices:write"],
    expiresAt: null,
    issuedAt: at("09:02"),
    ...overrides
  })
export const keyRevoked = ApiKey.Event.cases.ApiKeyRevoked.make({ revokedAt: at("12:00") })

export const endpointSettings = {
  url: "https://shop.example/hooks",
  types: null,
  ordering: "unordered"
} as const
export const endpointRegistered = (
  overrides: Partial<Fields<typeof Endpoint.Event.cases.EndpointRegistered>> = {}
) =>
  Endpoint.Event.cases.EndpointRegistered.make({
    merchantId,
    mode: "live",
    ...endpointSettings,
    secret: "sealed:1",
    registeredAt: at("09:03"),
    ...overrides
  })
export const endpointChanged = Endpoint.Event.cases.EndpointChanged.make({
  ...endpointSettings,
  url: "https://shop.example/hooks/2",
  types: ["invoice.settled"],
  changedAt: at("11:00")
})
export const secretRotated = (
  overrides: Partial<Fields<typeof Endpoint.Event.cases.SecretRotated>> = {}
) =>
  Endpoint.Event.cases.SecretRotated.make({
    secret: "sealed:2",
    previousUntil: at("12:00"),
    rotatedAt: at("11:00"),
    ...overrides
  })
export const endpointDisabled = Endpoint.Event.cases.EndpointDisabled.make({
  reason: "failing",
  disabledAt: at("11:00")
})
export const endpointEnabled = Endpoint.Event.cases.EndpointEnabled.make({ enabledAt: at("11:30") })
export const endpointDeleted = Endpoint.Event.cases.EndpointDeleted.make({ deletedAt: at("12:00") })
