/** What follows for an invoice from what the chains show, from its own events, and from time. Pure. */
import { DateTime, Schema } from "effect"
import { ChainId, chains } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { MerchantId } from "#domain/Merchant.ts"
import type { Observation } from "#domain/Observation.ts"
import type { Policy } from "#domain/Policy.ts"

/** Whose invoice it is. */
export const Owner = { invoiceId: Invoice.InvoiceId, merchantId: MerchantId }
export interface Owner {
  readonly invoiceId: Invoice.InvoiceId
  readonly merchantId: MerchantId
}

/** What a timer reminds us of. Kept in the database: add optional fields, never rename. */
export const Reminder = Schema.TaggedUnion({
  CloseWindow: Owner,
  NoteOverdue: Owner,
  DropPayment: { ...Owner, transferId: Schema.String, blockHash: Schema.String },
  LetReversalStand: Owner
})
export type Reminder = typeof Reminder.Type
const { CloseWindow, DropPayment, LetReversalStand, NoteOverdue } = Reminder.cases

/** A timer to set, to move, or to forget. */
export type Alarm =
  | { readonly _tag: "Set"; readonly id: string; readonly at: DateTime.Utc; readonly about: Reminder }
  | { readonly _tag: "Forget"; readonly id: string }

/**
 * Blocks to wait before a transfer in an orphaned block is given up: the same transaction nearly always returns in
 * the next ones, and a page that flickers frightens (chain.md 1.7).
 */
const dropGraceBlocks = 2
/** Blocks to wait for a payment that had counted, before a person must look (invoice.md, 11). */
const reversalGraceBlocks = 30

const ids = {
  close: (invoiceId: string) => `close:${invoiceId}`,
  overdue: (invoiceId: string) => `overdue:${invoiceId}`,
  stand: (invoiceId: string) => `stand:${invoiceId}`,
  drop: (transferId: string) => `drop:${transferId}`
}

const set = (id: string, at: DateTime.Utc, about: Reminder): Alarm => ({ _tag: "Set", id, at, about })
const forget = (id: string): Alarm => ({ _tag: "Forget", id })
const blocksLater = (at: DateTime.Utc, chain: ChainId, blocks: number) =>
  DateTime.add(at, { milliseconds: blocks * chains[chain].blockSeconds * 1000 })

/** A transfer that is gone is dropped after a pause, and one that is back is not dropped at all. */
export const alarmsOfObservation = (observation: Observation, owner: Owner): ReadonlyArray<Alarm> => {
  switch (observation._tag) {
    case "TransferSeen":
      return [forget(ids.drop(observation.transferId))]
    case "TransferOrphaned": {
      const { at, blockHash, chain, transferId } = observation
      const about = DropPayment.make({ ...owner, transferId, blockHash })
      return [set(ids.drop(transferId), blocksLater(at, chain, dropGraceBlocks), about)]
    }
    default:
      return []
  }
}

/** An invoice's own events wind and unwind its timers. */
export const alarmsOfEvent = (event: Invoice.Event, owner: Owner, policy: Policy): ReadonlyArray<Alarm> => {
  const { invoiceId } = owner
  const close = (expiresAt: DateTime.Utc) =>
    set(ids.close(invoiceId), DateTime.add(expiresAt, { seconds: policy.graceSeconds }), CloseWindow.make(owner))
  switch (event._tag) {
    case "InvoiceOpened":
    case "WindowExtended":
      return [close(event.expiresAt)]
    case "InvoiceProcessing":
      return [
        set(ids.overdue(invoiceId), DateTime.add(event.at, { seconds: policy.stuckSeconds }), NoteOverdue.make(owner))
      ]
    case "PaymentReversed": {
      const chain = Schema.decodeUnknownSync(ChainId)(event.transferId.split(":")[0])
      const at = blocksLater(event.reversedAt, chain, reversalGraceBlocks)
      return [set(ids.stand(invoiceId), at, LetReversalStand.make(owner))]
    }
    case "InvoiceSettled":
      return [forget(ids.close(invoiceId)), forget(ids.overdue(invoiceId))]
    case "InvoiceCanceled":
    case "WindowClosed":
      return [forget(ids.close(invoiceId))]
    case "InvoiceReopened":
      return [forget(ids.overdue(invoiceId))]
    default:
      return []
  }
}
