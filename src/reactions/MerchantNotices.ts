/** Which events a merchant hears about, and in what words. Pure: telling them is somebody else's job. */
import type { DateTime } from "effect"
import { type BaseUnits, format } from "#domain/Amount.ts"
import type { Block, Event } from "#domain/Invoice.ts"
import { digitsOf, minorCovering, minorOfValue, type Price } from "#domain/Money.ts"
import { type InvoiceNotice, noticeId } from "#domain/Notice.ts"
import { paymentIdOf } from "#domain/Observation.ts"

type Type = InvoiceNotice["type"]
type Data = InvoiceNotice["data"]
type PaymentPart = Data["payment"] & object

type Told = "orderId" | "status" | "attention" | "flags" | "address" | "expiresAt"

/**
 * What has to be known of an invoice to tell of it; the read model `InvoiceDetails` knows more. Its status is the one
 * that follows from the event: the log has it one event later, and a reversal that says `settled` would be believed.
 */
export interface Standing extends Pick<Data, Told> {
  readonly id: Data["invoiceId"]
  readonly mode: InvoiceNotice["mode"]
  readonly version: number
  readonly price: Price
  /** Values, as are the next three: millionths of the price's minor unit. */
  readonly due: BaseUnits
  readonly received: BaseUnits
  readonly shortfall: BaseUnits
  readonly excess: BaseUnits
  readonly payments: ReadonlyArray<PaymentStanding>
}

type PaymentTold = "chain" | "asset" | "decimals" | "from" | "transaction" | "status" | "late" | "held"

interface PaymentStanding extends Pick<PaymentPart, PaymentTold> {
  readonly transferId: string
  readonly amount: BaseUnits
  readonly value: BaseUnits | null
  readonly block: Block
}

/** `row`: the invoice as it stands right after the event. `at`: the event's own id and time, not those of the telling. */
export const noticesOf = (
  event: Event,
  row: Standing,
  at: { readonly eventId: string; readonly occurredAt: DateTime.Utc }
): ReadonlyArray<InvoiceNotice> => {
  const payment = "transferId" in event
    ? row.payments.find((known) => known.transferId === event.transferId)
    : undefined
  return typesOf(event, row).map((type, ordinal): InvoiceNotice => ({
    id: noticeId(at.eventId, ordinal),
    type,
    apiVersion: "v1",
    mode: row.mode,
    occurredAt: at.occurredAt,
    sequence: row.version,
    data: dataOf(row, payment)
  }))
}

/** Their order is part of their ids: new ones are added at the end. */
const typesOf = (event: Event, row: Standing): ReadonlyArray<Type> => {
  switch (event._tag) {
    case "InvoiceOpened":
      return ["invoice.created"]
    case "PaymentDetected":
      return row.flags.includes("partially_paid")
        ? ["invoice.payment_detected", "invoice.partially_paid"]
        : ["invoice.payment_detected"]
    case "PaymentReincluded":
      return ["payment.reincluded"]
    case "PaymentConfirmed":
      return ["payment.confirmed"]
    case "PaymentFinalized":
      return ["payment.finalized"]
    case "PaymentDropped":
      return ["payment.dropped"]
    case "PaymentReversed":
      return ["payment.reversed"]
    case "ReversalStood":
      return ["invoice.reversed"]
    case "InvoiceProcessing":
      return ["invoice.processing"]
    case "InvoiceReopened":
      return ["invoice.reopened"]
    case "InvoiceSettled":
      return event.excess > 0n ? ["invoice.settled", "invoice.overpaid"] : ["invoice.settled"]
    case "InvoiceOverpaid":
      return ["invoice.overpaid"]
    case "InvoiceFinalized":
      return ["invoice.finalized"]
    case "InvoiceExpired":
      return ["invoice.expired"]
    case "InvoiceNeedsAttention":
      return ["invoice.needs_attention"]
    case "InvoiceCanceled":
      return ["invoice.canceled"]
    // Facts whose consequence is an event, and a notice, of its own.
    case "WindowClosed":
    case "WindowExtended":
    case "ConfirmationOverdue":
    case "InvoiceMarked":
      return []
  }
}

const dataOf = (row: Standing, payment: PaymentStanding | undefined): Data => {
  const { amount, currency } = row.price
  const decimal = (minor: bigint) => format(minor, digitsOf(currency))
  const left = row.due > row.received ? row.due - row.received : 0n
  return {
    invoiceId: row.id,
    orderId: row.orderId,
    status: row.status,
    attention: row.attention,
    flags: row.flags,
    price: amount === null ? null : decimal(amount),
    currency,
    amountDue: amount === null ? null : decimal(minorCovering(row.due)),
    amountReceived: decimal(minorOfValue(row.received)),
    remaining: decimal(minorCovering(left)),
    shortfall: decimal(minorCovering(row.shortfall)),
    excess: decimal(minorOfValue(row.excess)),
    address: row.address,
    expiresAt: row.expiresAt,
    ...(payment !== undefined && { payment: paymentOf(payment, decimal) })
  }
}

const paymentOf = (row: PaymentStanding, decimal: (minor: bigint) => string): PaymentPart => ({
  id: paymentIdOf(row.transferId),
  chain: row.chain,
  asset: row.asset,
  amount: format(row.amount, row.decimals),
  baseUnits: row.amount,
  decimals: row.decimals,
  value: row.value === null ? null : decimal(minorOfValue(row.value)),
  from: row.from,
  transaction: row.transaction,
  blockNumber: row.block.number,
  blockHash: row.block.hash,
  status: row.status,
  late: row.late,
  held: row.held
})
