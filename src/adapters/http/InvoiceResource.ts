/** An invoice as the API shows it: the one place where a row becomes what integrators read. */
import { Context, Schema } from "effect"
import { getAddress } from "viem"
import { format, formatShort } from "#domain/Amount.ts"
import { AssetId, ChainId, depthOf, Mode } from "#domain/Chain.ts"
import { paymentIdOf } from "#domain/Observation.ts"
import * as Id from "#domain/Id.ts"
import { Attention, InvoiceId, remaining, Status } from "#domain/Invoice.ts"
import {
  type Currency,
  digitsOf,
  type Fiat,
  fiat,
  Instant,
  isFiat,
  minorCovering,
  minorOfValue,
  type Quote
} from "#domain/Money.ts"
import { decimalOf } from "#domain/Rates.ts"
import type { Height } from "#ports/ChainLedger.ts"
import { confirmationsOf, paymentUri } from "#projections/CheckoutView.ts"
import { countedOf, Flag, type InvoiceDetails, PaymentRow, remainingValue } from "#projections/InvoiceDetails.ts"

export const FiatCode = Schema.Literals(Object.keys(fiat) as ReadonlyArray<Fiat>)

const Decimal = Schema.String.annotate({
  description: "An exact decimal. Never a JSON number.",
  examples: ["25.00"]
})

const Money = Schema.Union([
  Schema.Struct({ amount: Decimal, currency: FiatCode }),
  Schema.Struct({ amount: Decimal, asset: AssetId })
]).annotate({ identifier: "Money", description: "An amount in a currency, or in an asset whatever chain it is on." })
type Money = typeof Money.Type

const ChainMoney = Schema.Struct({
  amount: Decimal,
  asset: AssetId,
  chain: ChainId,
  baseUnits: Schema.String.annotate({
    description: "The same in the token's smallest unit, as contracts count it.",
    examples: ["27104500"]
  }),
  decimals: Schema.Int
}).annotate({ identifier: "ChainMoney", description: "An amount of a token on a chain." })

const MethodResource = Schema.Struct({
  chain: ChainId,
  asset: AssetId,
  address: Schema.NullOr(Schema.String),
  due: Schema.NullOr(ChainMoney).annotate({ description: "The whole price by this method. Null for a top-up." }),
  remaining: Schema.NullOr(ChainMoney).annotate({ description: "What is left to send. Null for a top-up." }),
  quote: Schema.Struct({
    rate: Decimal.annotate({ description: "What one whole unit of the asset was worth, rounded to 12 decimals." }),
    sources: Schema.Array(Schema.String),
    quotedAt: Instant,
    lockedUntil: Instant,
    spread: Decimal.annotate({ description: "Percent added to the market price.", examples: ["0.5"] })
  }),
  paymentUri: Schema.NullOr(Schema.String).annotate({
    description: "EIP-681: what a wallet opens, for what is left to send."
  })
}).annotate({ identifier: "PaymentMethod" })

const PaymentResource = Schema.Struct({
  id: Id.schema("pay"),
  chain: ChainId,
  asset: AssetId,
  amount: ChainMoney,
  value: Schema.NullOr(Money).annotate({
    description: "Its worth at the locked quote, rounded down. Null where the asset is none that this invoice takes."
  }),
  transaction: Schema.String,
  from: Schema.String,
  block: Schema.Struct({ number: Schema.Int, hash: Schema.String, time: Instant }),
  status: PaymentRow.fields.status,
  confirmations: Schema.Int,
  required: Schema.Int,
  firstSeenAt: Instant,
  confirmedAt: Schema.NullOr(Instant),
  late: Schema.Boolean
}).annotate({ identifier: "Payment" })

export const InvoiceResource = Schema.Struct({
  id: InvoiceId,
  mode: Mode,
  status: Status.annotate({ description: "Ship when `status` is `settled`, and on nothing else." }),
  attention: Schema.NullOr(Attention).annotate({ description: "Why somebody must look, while `needs_attention`." }),
  flags: Schema.Array(Flag),
  version: Schema.Int.annotate({ description: "Rises with every change. Of two answers the higher is the newer." }),
  price: Schema.NullOr(Money).annotate({ description: "Null for a top-up." }),
  received: Money,
  remaining: Schema.NullOr(Money).annotate({ description: "Rounded up. Null for a top-up." }),
  excess: Money,
  methods: Schema.Array(MethodResource),
  payments: Schema.Array(PaymentResource),
  checkoutUrl: Schema.String.annotate({ description: "The page to send the payer to." }),
  redirectUrl: Schema.NullOr(Schema.String),
  orderId: Schema.NullOr(Schema.String),
  description: Schema.NullOr(Schema.String),
  metadata: Schema.Record(Schema.String, Schema.String),
  createdAt: Instant,
  expiresAt: Instant,
  settledAt: Schema.NullOr(Instant),
  finalizedAt: Schema.NullOr(Instant)
}).annotate({ identifier: "Invoice" })
export type InvoiceResource = typeof InvoiceResource.Type

/** How the outside reaches this server: no slash at the end. */
export class PublicUrl extends Context.Service<PublicUrl, string>()("checkout/http/PublicUrl") {}

const checkoutPath = (id: string) => `/i/${id}`

export const resourceOf = (
  row: InvoiceDetails,
  heights: ReadonlyArray<Height>,
  publicUrl: string
): InvoiceResource => {
  const topUp = row.price.amount === null
  const money = (minor: bigint) => moneyOf(minor, row.price.currency)
  return {
    id: row.id,
    mode: row.mode,
    status: row.status,
    attention: row.attention,
    flags: row.flags,
    version: row.version,
    price: row.price.amount === null ? null : money(row.price.amount),
    received: money(minorOfValue(row.received)),
    remaining: topUp ? null : money(minorCovering(remainingValue(row))),
    excess: money(minorOfValue(row.excess)),
    methods: row.methods.map((quote) => methodOf(row, quote)),
    payments: row.payments.map((payment) => paymentOf(row, payment, heights)),
    checkoutUrl: publicUrl + checkoutPath(row.id),
    redirectUrl: row.redirectUrl,
    orderId: row.orderId,
    description: row.description,
    metadata: row.metadata,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    settledAt: row.settledAt,
    finalizedAt: row.finalizedAt
  }
}

const moneyOf = (minor: bigint, currency: Currency): Money => {
  const amount = format(minor, digitsOf(currency))
  return isFiat(currency) ? { amount, currency } : { amount, asset: currency }
}

type Token = Pick<Quote, "asset" | "chain" | "decimals">
const chainMoneyOf = (units: bigint, { asset, chain, decimals }: Token): typeof ChainMoney.Type => ({
  amount: format(units, decimals),
  asset,
  chain,
  baseUnits: units.toString(),
  decimals
})

const methodOf = (row: InvoiceDetails, quote: Quote): typeof MethodResource.Type => {
  const { address } = row
  const left = quote.due === null ? null : remaining(quote, row, countedOf(row))
  return {
    chain: quote.chain,
    asset: quote.asset,
    address: address === null ? null : getAddress(address),
    due: quote.due === null ? null : chainMoneyOf(quote.due, quote),
    remaining: left === null ? null : chainMoneyOf(left, quote),
    quote: {
      rate: decimalOf(quote.rate),
      sources: quote.sources,
      quotedAt: quote.quotedAt,
      lockedUntil: quote.lockedUntil,
      spread: formatShort(BigInt(quote.spreadBasisPoints), 2)
    },
    paymentUri: address === null ? null : paymentUri(address, quote, left)
  }
}

const paymentOf = (
  { level, price }: InvoiceDetails,
  payment: PaymentRow,
  heights: ReadonlyArray<Height>
): typeof PaymentResource.Type => {
  const required = depthOf(payment.chain, level)
  return {
    id: paymentIdOf(payment.transferId),
    chain: payment.chain,
    asset: payment.asset,
    amount: chainMoneyOf(payment.amount, payment),
    value: payment.value === null ? null : moneyOf(minorOfValue(payment.value), price.currency),
    transaction: payment.transaction,
    from: getAddress(payment.from),
    block: payment.block,
    status: payment.status,
    confirmations: confirmationsOf(payment, required, heights),
    required,
    firstSeenAt: payment.firstSeenAt,
    confirmedAt: payment.confirmedAt,
    late: payment.late
  }
}
