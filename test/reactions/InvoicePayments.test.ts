import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { units } from "#domain/Amount.ts"
import type { Address } from "#domain/Chain.ts"
import { Event, InvoiceId } from "#domain/Invoice.ts"
import { MerchantId } from "#domain/Merchant.ts"
import { Observation } from "#domain/Observation.ts"
import { defaultPolicy } from "#domain/Policy.ts"
import { alarmsOfEvent, alarmsOfObservation, Reminder } from "#reactions/InvoicePayments.ts"

const at = (clock: string) => DateTime.makeUnsafe(`2026-03-01T${clock}Z`)
const owner = {
  invoiceId: InvoiceId.make("inv_01h455vb4pex5vsknk084sn02q"),
  merchantId: MerchantId.make("mer_7zzzvb4pex5vsknk084sn02q00")
}
const transferId = "dev:0xaa:0"
const address = "0x00000000000000000000000000000000000000aa" as Address
const seen = Observation.cases.TransferSeen.make({
  chain: "dev",
  transferId,
  asset: "usdc",
  decimals: 6,
  to: address,
  from: address,
  amount: units(1n),
  transaction: "0xaa",
  block: { number: 1, hash: "0xb1", time: at("10:00:00") }
})
const orphaned = Observation.cases.TransferOrphaned.make({
  chain: "dev",
  transferId,
  to: address,
  blockHash: "0xb1",
  wasConfirmed: false,
  at: at("10:00:00")
})

describe("a transfer that a reorg took away", () => {
  it("is dropped two blocks later, not at once", () =>
    assert.deepStrictEqual(alarmsOfObservation(orphaned, owner), [{
      _tag: "Set",
      id: `drop:${transferId}`,
      at: at("10:00:04"),
      about: Reminder.cases.DropPayment.make({ ...owner, transferId, blockHash: "0xb1" })
    }]))

  it("is not dropped when it is seen again in time", () =>
    assert.deepStrictEqual(alarmsOfObservation(seen, owner), [{ _tag: "Forget", id: `drop:${transferId}` }]))
})

describe("an invoice's timers", () => {
  const { InvoiceCanceled, InvoiceProcessing, InvoiceSettled, PaymentReversed, WindowExtended } = Event.cases

  it("close the window when the grace time is over", () => {
    const event = WindowExtended.make({ expiresAt: at("10:30:00"), extendedAt: at("10:01:00") })
    assert.deepStrictEqual(alarmsOfEvent(event, owner, defaultPolicy), [{
      _tag: "Set",
      id: `close:${owner.invoiceId}`,
      at: at("10:31:00"),
      about: Reminder.cases.CloseWindow.make(owner)
    }])
  })

  it("point out a payment that has not confirmed for as long as the policy says", () => {
    const [alarm] = alarmsOfEvent(InvoiceProcessing.make({ at: at("10:00:00") }), owner, {
      ...defaultPolicy,
      stuckSeconds: 90
    })
    assert.deepStrictEqual(alarm?._tag === "Set" ? alarm.at : null, at("10:01:30"))
  })

  it("wait thirty blocks before a reversal stands", () => {
    const event = PaymentReversed.make({ transferId, blockHash: "0xb1", reversedAt: at("10:00:00") })
    const [alarm] = alarmsOfEvent(event, owner, defaultPolicy)
    assert.deepStrictEqual(alarm?._tag === "Set" ? alarm.at : null, at("10:01:00"))
  })

  it("are forgotten once nothing is open any more", () => {
    const settled = InvoiceSettled.make({
      received: units(1n),
      shortfall: units(0n),
      excess: units(0n),
      late: false,
      settledAt: at("10:00:00")
    })
    assert.deepStrictEqual(
      alarmsOfEvent(settled, owner, defaultPolicy).map(({ _tag, id }) => [_tag, id]),
      [["Forget", `close:${owner.invoiceId}`], ["Forget", `overdue:${owner.invoiceId}`]]
    )
    const canceled = InvoiceCanceled.make({ canceledAt: at("10:00:00") })
    assert.deepStrictEqual(alarmsOfEvent(canceled, owner, defaultPolicy).map(({ _tag }) => _tag), ["Forget"])
  })
})
