/** What a merchant is told. This is the body of every webhook, so it is as permanent as an event. */
import { Schema } from "effect"
import { BaseUnits } from "./Amount.ts"
import { Address, AssetId, ChainId, Mode } from "./Chain.ts"
import * as Id from "./Id.ts"
import * as Invoice from "./Invoice.ts"
import { Currency, Instant } from "./Money.ts"
import { EndpointId } from "./WebhookEndpoint.ts"

export const NoticeId = Id.schema("evt")

const invoiceTypes = [
  "invoice.created",
  "invoice.payment_detected",
  "invoice.partially_paid",
  "invoice.processing",
  "invoice.reopened",
  "invoice.settled",
  "invoice.overpaid",
  "invoice.finalized",
  "invoice.expired",
  "invoice.needs_attention",
  "invoice.reversed",
  "invoice.canceled",
  "payment.reincluded",
  "payment.confirmed",
  "payment.finalized",
  "payment.dropped",
  "payment.reversed"
] as const

/** All that a merchant may hear of. New ones may be added: a receiver answers 2xx to a type it does not know. */
export const NoticeType = Schema.Literals([...invoiceTypes, "endpoint.ping"])
export type NoticeType = typeof NoticeType.Type

/** The version of the payloads below. What is there stays as it is; a change that is not an addition is a new one. */
const apiVersion = Schema.Literal("v1")

const envelope = {
  id: NoticeId,
  apiVersion,
  mode: Mode,
  occurredAt: Instant,
  /** The version of what the notice is about: whoever has seen a higher one may drop this as old news. */
  sequence: Schema.Int
}

/** An exact decimal in whole units. */
const Decimal = Schema.String

const Payment = Schema.Struct({
  id: Schema.String,
  chain: ChainId,
  asset: AssetId,
  amount: Decimal,
  baseUnits: BaseUnits,
  decimals: Schema.Int,
  /** In the invoice's currency, rounded down; null for an asset that the invoice does not take. */
  value: Schema.NullOr(Decimal),
  from: Address,
  transaction: Schema.String,
  blockNumber: Schema.Int,
  blockHash: Schema.String,
  status: Schema.Literals(["detected", "confirmed", "finalized", "dropped", "reversed"]),
  late: Schema.Boolean,
  /** Late beyond what is accepted unasked: not counted until somebody decides. */
  held: Schema.Boolean
})

export const InvoiceNotice = Schema.Struct({
  ...envelope,
  type: Schema.Literals(invoiceTypes),
  data: Schema.Struct({
    invoiceId: Invoice.InvoiceId,
    orderId: Schema.NullOr(Schema.String),
    /** Ship on `settled`, and on nothing else. */
    status: Invoice.Status,
    attention: Schema.NullOr(Invoice.Attention),
    flags: Schema.Array(Schema.String),
    /** Null for a top-up. */
    price: Schema.NullOr(Decimal),
    currency: Currency,
    // All of these are in the price's currency. What is still owed is rounded up, what has arrived down.
    amountDue: Schema.NullOr(Decimal),
    amountReceived: Decimal,
    remaining: Decimal,
    shortfall: Decimal,
    excess: Decimal,
    address: Schema.NullOr(Address),
    expiresAt: Instant,
    /** The payment that this is about, where it is about one. */
    payment: Schema.optionalKey(Payment)
  })
})
export type InvoiceNotice = typeof InvoiceNotice.Type

/** Sent on request to a single endpoint, to see whether it listens. */
export const Ping = Schema.Struct({
  ...envelope,
  type: Schema.Literal("endpoint.ping"),
  data: Schema.Struct({ endpointId: EndpointId })
})

export const Notice = Schema.Union([InvoiceNotice, Ping])
export type Notice = typeof Notice.Type

const encode = Schema.encodeSync(Notice)

/** The text that is stored once, signed as it is, and sent as it is. */
export const bodyOf = (notice: Notice): string => JSON.stringify(encode(notice))

/**
 * The id of a notice: that of the event, with an ordinal mixed in where one event gives several notices. It goes
 * into the UUID's version digit, which is the same in all of the log's ids, so that no two notices can ever meet.
 */
export const noticeId = (eventId: string, ordinal: number): string => {
  const digits = Id.toUuid(eventId).replaceAll("-", "")
  const version = (Number.parseInt(digits.charAt(12), 16) ^ (ordinal & 15)).toString(16)
  return Id.fromUuid("evt", digits.slice(0, 12) + version + digits.slice(13))
}
