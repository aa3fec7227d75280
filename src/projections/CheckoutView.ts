/** What a payer may see of an invoice: every public field is in this schema, and nothing else leaves the server. */
import { DateTime, Schema } from "effect"
import { type BaseUnits, format, formatShort, mulDivDown, pow10 } from "#domain/Amount.ts"
import { type Address, AssetId, assets, ChainId, chains, depthOf, Mode, tokenOf } from "#domain/Chain.ts"
import { Attention, InvoiceId, remaining } from "#domain/Invoice.ts"
import { type Currency, digitsOf, Instant, isFiat, minorCovering, minorOfValue, type Quote } from "#domain/Money.ts"
import type { MerchantRow } from "./Directory.ts"
import { countedOf, type InvoiceDetails, isLive, type PaymentRow, remainingValue } from "./InvoiceDetails.ts"

/** What the page says in its headline; one at a time. `choosing` and `waiting` differ only in what the payer has picked. */
export const CheckoutState = Schema.Literals([
  "choosing",
  "waiting",
  "seen",
  "partial",
  "paid",
  "overpaid",
  "paid_late",
  "needs_attention",
  "expired",
  "canceled",
  "reversed",
  "checking"
])
export type CheckoutState = typeof CheckoutState.Type

/** An exact decimal: "27.1045". */
const Decimal = Schema.String

const CheckoutMethod = Schema.Struct({
  /** `chain-asset`, as in `?method=base-usdc`. */
  id: Schema.String,
  chain: ChainId,
  chainName: Schema.String,
  asset: AssetId,
  symbol: Schema.String,
  assetName: Schema.String,
  /** Null for a top-up: any amount. */
  due: Schema.NullOr(Decimal),
  /** What is left to send by this method, rounded up. */
  remaining: Schema.NullOr(Decimal),
  /** EIP-681: what a wallet opens. */
  paymentUri: Schema.NullOr(Schema.String),
  /** What one unit costs in the price's currency. */
  rate: Decimal,
  quotedAt: Instant,
  lockedUntil: Instant,
  /** About how long a transfer takes until it counts. */
  confirmationSeconds: Schema.Int,
  /** Our reading of this chain is not up to date. Money sent is safe, and is shown later. */
  behind: Schema.Boolean
})
type CheckoutMethod = typeof CheckoutMethod.Type

const CheckoutPayment = Schema.Struct({
  id: Schema.String,
  chainName: Schema.String,
  symbol: Schema.String,
  methodId: Schema.String,
  amount: Decimal,
  /** In the price's currency, rounded down; null where we do not take the asset. */
  value: Schema.NullOr(Decimal),
  status: Schema.Literals(["detected", "confirmed", "dropped", "reversed"]),
  confirmations: Schema.Int,
  required: Schema.Int,
  /** About how long until it counts; zero once it does. */
  secondsLeft: Schema.Int,
  transaction: Schema.String,
  url: Schema.NullOr(Schema.String),
  late: Schema.Boolean,
  held: Schema.Boolean,
  firstSeenAt: Instant
})
type CheckoutPayment = typeof CheckoutPayment.Type

export const CheckoutSnapshot = Schema.Struct({
  id: InvoiceId,
  mode: Mode,
  /** Equal only where the page would look the same, the clock aside. */
  revision: Schema.String,
  /** Of the invoice; with `serverTime` it tells which of two snapshots is the newer. */
  version: Schema.Int,
  serverTime: Instant,
  state: CheckoutState,
  attention: Schema.NullOr(Attention),
  merchant: Schema.Struct({
    name: Schema.String,
    accent: Schema.String,
    website: Schema.NullOr(Schema.String),
    supportEmail: Schema.NullOr(Schema.String)
  }),
  price: Schema.Struct({ amount: Schema.NullOr(Decimal), currency: Schema.String, fiat: Schema.Boolean }),
  /** In the price's currency. Received rounds down, what is left rounds up, as it does in the books. */
  received: Decimal,
  remaining: Decimal,
  excess: Decimal,
  description: Schema.NullOr(Schema.String),
  orderId: Schema.NullOr(Schema.String),
  redirectUrl: Schema.NullOr(Schema.String),
  address: Schema.NullOr(Schema.String),
  methods: Schema.Array(CheckoutMethod),
  payments: Schema.Array(CheckoutPayment),
  createdAt: Instant,
  expiresAt: Instant,
  settledAt: Schema.NullOr(Instant)
})
export type CheckoutSnapshot = typeof CheckoutSnapshot.Type

/** How far a chain was read; the part of `ChainLedger.heights` that a page needs. */
export interface ChainHeight {
  readonly chain: ChainId
  readonly number: number
  readonly checkedAt: DateTime.Utc
  readonly halted: string | null
}

/** A scanner asks its node every second or two; silence for longer than this is worth telling. */
const behindAfterMs = 60_000

export const checkoutView = (
  details: InvoiceDetails,
  merchant: MerchantRow,
  heights: ReadonlyArray<ChainHeight>,
  now: DateTime.Utc
): CheckoutSnapshot => {
  const methods = byNetworkCost(details.methods).map((quote) => methodOf(details, quote, heights, now))
  const payments = details.payments.map((payment) => paymentOf(details, payment, heights))
  const state = stateOf(details, now)
  const decimal = (minor: BaseUnits) => format(minor, digitsOf(details.price.currency))
  return {
    id: details.id,
    mode: details.mode,
    revision: revisionOf(details.version, state, methods, payments),
    version: details.version,
    serverTime: now,
    state,
    attention: details.attention,
    merchant: {
      name: merchant.name,
      accent: merchant.branding.accent,
      website: webUrl(merchant.branding.website),
      supportEmail: merchant.branding.supportEmail ?? null
    },
    price: {
      amount: details.price.amount === null ? null : decimal(details.price.amount),
      currency: nameOf(details.price.currency),
      fiat: isFiat(details.price.currency)
    },
    received: decimal(minorOfValue(details.received)),
    remaining: decimal(minorCovering(remainingValue(details))),
    excess: decimal(minorOfValue(details.excess)),
    description: details.description,
    orderId: details.orderId,
    redirectUrl: webUrl(details.redirectUrl),
    address: details.address,
    methods,
    payments,
    createdAt: details.createdAt,
    expiresAt: details.expiresAt,
    settledAt: details.settledAt
  }
}

/** What a link may lead to. Whatever let another scheme into the books, it goes no further. */
const webUrl = (text: string | null | undefined): string | null =>
  text != null && /^https?:\/\//i.test(text) && URL.canParse(text) ? text : null

/** All the ifs of what a payer is told are here. */
const stateOf = (details: InvoiceDetails, now: DateTime.Utc): CheckoutState => {
  switch (details.status) {
    case "open": {
      const overdue = now.epochMilliseconds >= details.expiresAt.epochMilliseconds
      // Time is up by the clock, but not by the chains: until they are read to the end, nothing is said to have expired.
      if (overdue && !details.closed) return "checking"
      if (details.received > 0n && details.price.amount !== null) return "partial"
      return details.methods.length > 1 ? "choosing" : "waiting"
    }
    case "processing":
      return "seen"
    case "settled":
      if (details.excess > 0n) return "overpaid"
      return details.flags.includes("paid_late") ? "paid_late" : "paid"
    case "needs_attention":
      return details.attention === "reversed" ? "reversed" : "needs_attention"
    case "expired":
    case "canceled":
      return details.status
  }
}

/** Ethereum's own fee is often a dollar or more, the others' a few cents: it comes last. Else the merchant's order. */
const byNetworkCost = (methods: ReadonlyArray<Quote>): ReadonlyArray<Quote> => [
  ...methods.filter(({ chain }) => chain !== "ethereum"),
  ...methods.filter(({ chain }) => chain === "ethereum")
]

const methodOf = (
  details: InvoiceDetails,
  quote: Quote,
  heights: ReadonlyArray<ChainHeight>,
  now: DateTime.Utc
): CheckoutMethod => {
  const { blockSeconds, name } = chains[quote.chain]
  const { address, level } = details
  const left = quote.due === null ? null : remaining(quote, details, countedOf(details))
  return {
    id: methodId(quote),
    chain: quote.chain,
    chainName: name,
    asset: quote.asset,
    symbol: assets[quote.asset].symbol,
    assetName: assets[quote.asset].name,
    due: quote.due === null ? null : formatShort(quote.due, quote.decimals),
    remaining: left === null ? null : formatShort(left, quote.decimals),
    paymentUri: address === null ? null : paymentUri(address, quote, left),
    rate: rateOf(quote),
    quotedAt: quote.quotedAt,
    lockedUntil: quote.lockedUntil,
    confirmationSeconds: Math.ceil(depthOf(quote.chain, level) * blockSeconds),
    behind: isBehind(heights.find(({ chain }) => chain === quote.chain), now)
  }
}

const methodId = ({ asset, chain }: Pick<Quote, "asset" | "chain">) => `${chain}-${asset}`

/** EIP-681, by integers: base units, and the contract where there is one. */
export const paymentUri = (address: Address, { asset, chain }: Quote, amount: BaseUnits | null): string => {
  const { chainId } = chains[chain]
  const contract = tokenOf({ asset, chain })?.contract ?? null
  if (contract === null) return `ethereum:${address}@${chainId}${amount === null ? "" : `?value=${amount}`}`
  return `ethereum:${contract}@${chainId}/transfer?address=${address}${amount === null ? "" : `&uint256=${amount}`}`
}

const rateDecimals = 8
const rateOf = ({ rate }: Quote) =>
  formatShort(mulDivDown(rate.numerator, pow10(rateDecimals), rate.denominator), rateDecimals)

const isBehind = (height: ChainHeight | undefined, now: DateTime.Utc) =>
  height === undefined || height.halted !== null ||
  now.epochMilliseconds - height.checkedAt.epochMilliseconds > behindAfterMs

const paymentOf = (
  { level, price }: InvoiceDetails,
  payment: PaymentRow,
  heights: ReadonlyArray<ChainHeight>
): CheckoutPayment => {
  const { blockSeconds, explorer, name } = chains[payment.chain]
  const required = depthOf(payment.chain, level)
  const confirmations = confirmationsOf(payment, required, heights)
  const pending = payment.status === "detected"
  return {
    id: payment.transferId,
    chainName: name,
    symbol: assets[payment.asset].symbol,
    methodId: methodId(payment),
    amount: formatShort(payment.amount, payment.decimals),
    value: payment.value === null ? null : format(minorOfValue(payment.value), digitsOf(price.currency)),
    status: payment.status === "finalized" ? "confirmed" : payment.status,
    confirmations,
    required,
    secondsLeft: pending ? Math.ceil((required - confirmations) * blockSeconds) : 0,
    transaction: payment.transaction,
    url: explorer === null ? null : explorer.replace("{tx}", payment.transaction),
    late: payment.late,
    held: payment.held,
    firstSeenAt: payment.firstSeenAt
  }
}

/** Blocks on top of the transfer's own, and that one. Never beyond what is asked: nobody waits for more. */
export const confirmationsOf = (payment: PaymentRow, required: number, heights: ReadonlyArray<ChainHeight>): number => {
  if (!isLive(payment)) return 0
  if (payment.status !== "detected") return required
  const head = heights.find(({ chain }) => chain === payment.chain)?.number ?? payment.block.number
  return Math.min(Math.max(head - payment.block.number + 1, 1), required)
}

const revisionOf = (
  version: number,
  state: CheckoutState,
  methods: ReadonlyArray<CheckoutMethod>,
  payments: ReadonlyArray<CheckoutPayment>
): string => {
  const counts = payments.map(({ confirmations }) => confirmations).join("-")
  const behind = methods.map((method) => method.behind ? "b" : "k").join("")
  return [version, state, counts, behind].join(".")
}

const nameOf = (currency: Currency) => isFiat(currency) ? currency : assets[currency].symbol
