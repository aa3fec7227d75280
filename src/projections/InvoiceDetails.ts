/** What the API and the checkout page show of an invoice. One row per invoice, written with its events. */
import { DateTime, Schema } from "effect"
import { BaseUnits, max, zero } from "#domain/Amount.ts"
import { Address, AssetId, ChainId, Level, Mode } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { Instant, Price, Quote, valueOfPrice } from "#domain/Money.ts"
import { Policy } from "#domain/Policy.ts"
import type { Projection } from "#domain/Projection.ts"

export const Flag = Schema.Literals([
  "partially_paid",
  "underpaid_accepted",
  "overpaid",
  "paid_late",
  "multiple_payments",
  "wrong_asset",
  "reversed",
  "marked"
])
export type Flag = typeof Flag.Type

export const PaymentRow = Schema.Struct({
  transferId: Schema.String,
  chain: ChainId,
  asset: AssetId,
  decimals: Schema.Int,
  amount: BaseUnits,
  value: Schema.NullOr(BaseUnits),
  from: Address,
  transaction: Schema.String,
  block: Invoice.Block,
  status: Schema.Literals(["detected", "confirmed", "finalized", "dropped", "reversed"]),
  late: Schema.Boolean,
  /** Late beyond what the merchant accepts unasked: not counted until somebody decides. */
  held: Schema.Boolean,
  firstSeenAt: Instant,
  confirmedAt: Schema.NullOr(Instant)
})
export type PaymentRow = typeof PaymentRow.Type

export const InvoiceDetails = Schema.Struct({
  id: Invoice.InvoiceId,
  merchantId: Schema.String,
  mode: Mode,
  status: Invoice.Status,
  attention: Schema.NullOr(Invoice.Attention),
  flags: Schema.Array(Flag),
  version: Schema.Int,
  price: Price,
  /** Values: millionths of the price's minor unit. */
  due: BaseUnits,
  received: BaseUnits,
  shortfall: BaseUnits,
  excess: BaseUnits,
  address: Schema.NullOr(Address),
  methods: Schema.Array(Quote),
  payments: Schema.Array(PaymentRow),
  level: Level,
  policy: Policy,
  orderId: Schema.NullOr(Schema.String),
  description: Schema.NullOr(Schema.String),
  redirectUrl: Schema.NullOr(Schema.String),
  metadata: Schema.Record(Schema.String, Schema.String),
  customer: Schema.NullOr(Schema.String),
  /** Time is up and every chain was read to beyond it. */
  closed: Schema.Boolean,
  createdAt: Instant,
  expiresAt: Instant,
  settledAt: Schema.NullOr(Instant),
  finalizedAt: Schema.NullOr(Instant),
  updatedAt: Instant
})
export type InvoiceDetails = typeof InvoiceDetails.Type

type Event = Invoice.Event

const opened = (event: Extract<Event, { _tag: "InvoiceOpened" }>, id: string): InvoiceDetails => ({
  id: Invoice.InvoiceId.make(id),
  merchantId: event.merchantId,
  mode: event.mode,
  status: "open",
  attention: null,
  flags: [],
  version: 1,
  price: event.price,
  due: valueOfPrice(event.price.amount ?? 0n),
  received: zero,
  shortfall: zero,
  excess: zero,
  address: event.payTo?.address ?? null,
  methods: event.methods,
  payments: [],
  level: event.level,
  policy: event.policy,
  orderId: event.orderId ?? null,
  description: event.description ?? null,
  redirectUrl: event.redirectUrl ?? null,
  metadata: event.metadata,
  customer: event.customer ?? null,
  closed: false,
  createdAt: event.openedAt,
  expiresAt: event.expiresAt,
  settledAt: null,
  finalizedAt: null,
  updatedAt: event.openedAt
})

/** The branch of each event; what follows from all payments together is worked out after it. */
const change = (row: InvoiceDetails, event: Event): InvoiceDetails => {
  const payment = (transferId: string, fields: Partial<PaymentRow>): InvoiceDetails => ({
    ...row,
    payments: row.payments.map((known) => known.transferId === transferId ? { ...known, ...fields } : known)
  })
  switch (event._tag) {
    case "PaymentDetected": {
      const { _tag, detectedAt, lateness, quote: _quote, ...seen } = event
      const late = lateness !== "on_time"
      const fresh: PaymentRow = {
        ...seen,
        status: "detected",
        late,
        held: lateness === "late_held",
        firstSeenAt: detectedAt,
        confirmedAt: null
      }
      return { ...row, payments: [...row.payments, fresh] }
    }
    case "PaymentReincluded":
      return payment(event.transferId, {
        amount: event.amount,
        value: event.value,
        block: event.block,
        status: "detected",
        confirmedAt: null
      })
    case "PaymentConfirmed":
      return payment(event.transferId, { status: "confirmed", confirmedAt: event.confirmedAt })
    case "PaymentFinalized":
      return payment(event.transferId, { status: "finalized" })
    case "PaymentDropped":
      return payment(event.transferId, { status: "dropped", confirmedAt: null })
    case "PaymentReversed":
      return payment(event.transferId, { status: "reversed", confirmedAt: null })
    case "WindowClosed":
      return { ...row, closed: true }
    case "WindowExtended":
      return { ...row, expiresAt: event.expiresAt }
    case "ReversalStood":
      return { ...row, shortfall: zero, settledAt: null, finalizedAt: null, flags: [...row.flags, "reversed"] }
    case "InvoiceMarked":
      return { ...row, flags: [...row.flags, "marked"] }
    case "InvoiceProcessing":
      return { ...row, status: "processing", attention: null }
    case "InvoiceReopened":
      return { ...row, status: "open", attention: null }
    case "InvoiceSettled":
      return {
        ...row,
        status: "settled",
        attention: null,
        shortfall: event.shortfall,
        settledAt: event.settledAt
      }
    case "InvoiceFinalized":
      return { ...row, finalizedAt: event.finalizedAt }
    case "InvoiceExpired":
      return { ...row, status: "expired", attention: null }
    case "InvoiceNeedsAttention":
      return { ...row, status: "needs_attention", attention: event.reason }
    case "InvoiceCanceled":
      return { ...row, status: "canceled", attention: null }
    default:
      return row
  }
}

export const isLive = ({ status }: Pick<PaymentRow, "status">) => status !== "dropped" && status !== "reversed"

const isSure = ({ status }: PaymentRow) => status === "confirmed" || status === "finalized"

/** The payments that count towards the price: on the chain, and not held for somebody to decide. */
export const countedOf = ({ payments }: Pick<InvoiceDetails, "payments">) =>
  payments.filter((payment) => isLive(payment) && !payment.held)

const flagsOf = (row: InvoiceDetails): ReadonlyArray<Flag> => {
  const live = row.payments.filter(isLive)
  const short = row.received > 0n && row.received + Invoice.tolerance(row) < row.due
  const has: Record<Flag, boolean> = {
    partially_paid: short && row.status !== "settled",
    underpaid_accepted: row.status === "settled" && row.shortfall > 0n && row.received < row.due,
    overpaid: row.excess > 0n,
    paid_late: live.some(({ late }) => late),
    multiple_payments: live.length > 1,
    wrong_asset: live.some(({ value }) => value === null),
    reversed: row.flags.includes("reversed"),
    marked: row.flags.includes("marked")
  }
  return Flag.literals.filter((flag) => has[flag])
}

const apply: Projection<InvoiceDetails, Event>["apply"] = (row, event, { recordedAt, stream, version }) => {
  if (event._tag === "InvoiceOpened") return opened(event, stream)
  if (row === null) return null
  const next = change(row, event)
  const counted = countedOf(next)
  const received = Invoice.worthOf(next, counted)
  // Worked out anew each time: an excess that a reorg took back must not be offered for refund.
  const excess = next.settledAt === null ? zero : Invoice.excessOf(next, Invoice.worthOf(next, counted.filter(isSure)))
  const balanced = { ...next, received, excess }
  return { ...balanced, flags: flagsOf(balanced), version, updatedAt: recordedAt }
}

export const invoiceDetails: Projection<InvoiceDetails, Event> = {
  name: "invoice_details",
  aggregate: Invoice.aggregate,
  row: InvoiceDetails,
  key: (stream) => stream,
  apply
}

/** What is left to pay, as a value; never negative. */
export const remainingValue = ({ due, received }: Pick<InvoiceDetails, "due" | "received">) => max(0n, due - received)

/** Whether a payer can still pay it in time, by the server's clock. */
export const isOpenAt = ({ expiresAt, status }: InvoiceDetails, now: DateTime.Utc) =>
  status === "open" && now.epochMilliseconds < expiresAt.epochMilliseconds
