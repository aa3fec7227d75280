/** What anyone may ask of an invoice, over HTTP, from a process or at the operators' prompt. */
import { Schema } from "effect"
import { BaseUnits } from "#domain/Amount.ts"
import { Address, AssetId, ChainId, Level } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { Instant, Quote } from "#domain/Money.ts"
import * as Command from "./Command.ts"

const { _tag: _opened, openedAt: _openedAt, ...opening } = Invoice.Event.cases.InvoiceOpened.fields

export const OpenInvoice = Command.make("OpenInvoice", {
  aggregate: Invoice.aggregate,
  opens: true,
  asks: opening,
  decide: (details, { now }) => Invoice.open({ ...details, openedAt: now })
})

export const DetectPayment = Command.make("DetectPayment", {
  aggregate: Invoice.aggregate,
  asks: {
    transferId: Schema.String,
    chain: ChainId,
    asset: AssetId,
    decimals: Schema.Int,
    amount: BaseUnits,
    from: Address,
    transaction: Schema.String,
    block: Invoice.Block,
    market: Schema.NullOr(Quote)
  },
  decide: (details, { now }) => Invoice.detectPayment({ ...details, detectedAt: now })
})

export const ConfirmPayment = Command.make("ConfirmPayment", {
  aggregate: Invoice.aggregate,
  asks: { transferId: Schema.String, blockHash: Schema.String, level: Level },
  decide: (details, { now }) => Invoice.confirmPayment({ ...details, at: now })
})

export const DropPayment = Command.make("DropPayment", {
  aggregate: Invoice.aggregate,
  asks: { transferId: Schema.String, blockHash: Schema.String },
  decide: (details, { now }) => Invoice.dropPayment({ ...details, at: now })
})

export const LetReversalStand = Command.make("LetReversalStand", {
  aggregate: Invoice.aggregate,
  asks: {},
  decide: (_, { now }) => Invoice.letReversalStand(now)
})

export const CloseWindow = Command.make("CloseWindow", {
  aggregate: Invoice.aggregate,
  asks: { readUntil: Instant },
  decide: ({ readUntil }, { now }) => Invoice.closeWindow({ readUntil, at: now })
})

export const NoteOverdue = Command.make("NoteOverdue", {
  aggregate: Invoice.aggregate,
  asks: {},
  decide: (_, { now }) => Invoice.noteOverdue(now)
})

export const CancelInvoice = Command.make("CancelInvoice", {
  aggregate: Invoice.aggregate,
  asks: { reason: Schema.optionalKey(Schema.String.pipe(Schema.check(Schema.isBetweenLength(1, 500)))) },
  decide: (details, { now }) => Invoice.cancel({ ...details, at: now })
})

export const MarkInvoice = Command.make("MarkInvoice", {
  aggregate: Invoice.aggregate,
  asks: {
    as: Invoice.Event.cases.InvoiceMarked.fields.as,
    reason: Schema.String.pipe(Schema.check(Schema.isBetweenLength(1, 500)))
  },
  decide: ({ as, reason }, { actor, now }) => Invoice.mark({ as, reason, by: actor, markedAt: now })
})
