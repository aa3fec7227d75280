/** What an invoice's row shows after each event. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { zero } from "#domain/Amount.ts"
import type * as Invoice from "#domain/Invoice.ts"
import { type InvoiceDetails, invoiceDetails, isOpenAt, remainingValue } from "#projections/InvoiceDetails.ts"
import {
  address,
  at,
  block,
  canceled,
  closed,
  confirmed,
  detected,
  expired,
  extended,
  finalized,
  hash,
  invoiceFinalized,
  invoiceId,
  marked,
  needsAttention,
  opened,
  opening,
  overpaid,
  processing,
  reincluded,
  reversed,
  settled,
  stood,
  usdc,
  value
} from "../support/examples.ts"
import { projected } from "../support/specification.ts"

const rowOf = (...events: ReadonlyArray<Invoice.Event>): InvoiceDetails => {
  const row = projected(invoiceDetails, invoiceId)(...events)
  return row ?? assert.fail("no row")
}
const second = { transferId: "base:a2:0", transaction: hash("a2") }
const isPaid = [opened(), detected(), processing, confirmed(), settled()]

const fresh: InvoiceDetails = {
  id: invoiceId,
  merchantId: opening.merchantId,
  mode: "live",
  status: "open",
  attention: null,
  flags: [],
  version: 1,
  price: opening.price,
  due: value(25),
  received: zero,
  shortfall: zero,
  excess: zero,
  address: address("aa"),
  methods: opening.methods,
  payments: [],
  level: "default",
  policy: opening.policy,
  orderId: null,
  description: null,
  redirectUrl: null,
  metadata: {},
  customer: null,
  closed: false,
  createdAt: at("10:00"),
  expiresAt: at("10:15"),
  settledAt: null,
  finalizedAt: null,
  updatedAt: at("10:00")
}
const paidBy: InvoiceDetails["payments"][number] = {
  transferId: "base:a1:0",
  chain: "base",
  asset: "usdc",
  decimals: 6,
  amount: usdc(25),
  value: value(25),
  from: address("cc"),
  transaction: hash("a1"),
  block: block("10:05"),
  status: "detected",
  late: false,
  held: false,
  firstSeenAt: at("10:05"),
  confirmedAt: null
}

describe("an invoice's row", () => {
  it("shows what was asked", () => assert.deepStrictEqual(rowOf(opened()), fresh))

  it("shows a payment as soon as it is seen", () =>
    assert.deepStrictEqual(rowOf(opened(), detected(), processing), {
      ...fresh,
      status: "processing",
      received: value(25),
      payments: [paidBy],
      version: 3,
      updatedAt: at("12:00")
    }))

  it("shows when it was settled, and when finally", () =>
    assert.deepStrictEqual(rowOf(...isPaid, finalized(), invoiceFinalized), {
      ...fresh,
      status: "settled",
      received: value(25),
      payments: [{ ...paidBy, status: "finalized", confirmedAt: at("10:06") }],
      settledAt: at("10:06"),
      finalizedAt: at("10:20"),
      version: 7,
      updatedAt: at("12:00")
    }))

  it("is not made by anything but an opening", () =>
    assert.isNull(projected(invoiceDetails, invoiceId)(detected(), processing)))

  it("survives its own writing and reading", () => {
    const row = rowOf(...isPaid, detected({ ...second, value: null }), finalized(), invoiceFinalized)
    const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(invoiceDetails.row)(row)))
    assert.deepStrictEqual(Schema.decodeUnknownSync(invoiceDetails.row)(json), row)
  })

  it("shows a payment in the block where it stands now, first seen when it was", () => {
    const [payment] = rowOf(opened(), detected(), processing, reincluded()).payments
    assert.deepStrictEqual(payment, { ...paidBy, block: block("10:07", "b1") })
  })

  it("shows the time that was given on top", () => {
    const row = rowOf(opened(), detected({ amount: usdc(10) }), extended)
    assert.deepStrictEqual(row.expiresAt, at("10:30"))
    assert.strictEqual(remainingValue(row), value(15))
  })

  it("shows what needs attention, and that it no longer does", () => {
    const short = [opened(), detected({ amount: usdc(10) }), extended, closed, needsAttention("underpaid")]
    assert.deepStrictEqual([rowOf(...short).status, rowOf(...short).attention], ["needs_attention", "underpaid"])
    const row = rowOf(...short, marked(), settled({ received: zero, shortfall: value(25) }))
    assert.deepStrictEqual([row.status, row.attention], ["settled", null])
  })

  it("has nothing left to pay once more arrived than was asked", () =>
    assert.strictEqual(remainingValue(rowOf(opened(), detected({ amount: usdc(30) }), processing)), zero))

  it("can be paid in time while it is open, to the last millisecond and no longer", () => {
    assert.isTrue(isOpenAt(fresh, at("10:14:59.999")))
    assert.isFalse(isOpenAt(fresh, at("10:15")))
    assert.isFalse(isOpenAt(rowOf(opened(), canceled), at("10:05")))
  })
})

describe("the flags of an invoice", () => {
  const late = { lateness: "late_accepted" } as const
  const flags = (...events: ReadonlyArray<Invoice.Event>) => rowOf(...events).flags
  const doubled = [...isPaid, detected(second), confirmed({ transferId: "base:a2:0" }), overpaid]

  it("are none for an invoice that was simply paid", () => assert.deepStrictEqual(flags(...isPaid), []))

  it("say that a part arrived, while it is a part", () => {
    const part = [opened(), detected({ amount: usdc(10) }), extended]
    assert.deepStrictEqual(flags(...part), ["partially_paid"])
    assert.deepStrictEqual(flags(...part, detected({ ...second, amount: usdc(15) }), processing), ["multiple_payments"])
  })

  it("do not call a part what is within the tolerance", () =>
    assert.deepStrictEqual(flags(opened(), detected({ amount: usdc("24.9") }), processing), []))

  it("45: say that too little was accepted, and how much too little", () => {
    const accepted = settled({ received: value("24.9"), shortfall: value("0.1") })
    const row = rowOf(opened(), detected({ amount: usdc("24.9") }), processing, confirmed(), accepted)
    assert.deepStrictEqual([row.flags, row.shortfall], [["underpaid_accepted"], value("0.1")])
  })

  it("45: say that too much arrived, and how much too much", () => {
    assert.deepStrictEqual(flags(...doubled), ["overpaid", "multiple_payments"])
    assert.strictEqual(rowOf(...doubled).excess, value(25))
  })

  it("decision 11: offer no excess for refund that a reorg took back", () => {
    const row = rowOf(...doubled, reversed({ transferId: "base:a2:0" }))
    assert.deepStrictEqual([row.flags, row.excess, row.received], [[], zero, value(25)])
  })

  it("decision 2: say that it was paid late, counted or not", () => {
    assert.deepStrictEqual(flags(opened(), closed, expired, detected(late), processing), ["paid_late"])
    const held = rowOf(opened(), closed, expired, detected({ lateness: "late_held" }), needsAttention("late"))
    assert.deepStrictEqual([held.flags, held.received], [["paid_late"], zero])
  })

  it("41: say that something arrived which has no price", () =>
    assert.deepStrictEqual(flags(opened(), detected({ value: null })), ["wrong_asset"]))

  it("decision 18: say that a person decided, for ever", () =>
    assert.deepStrictEqual(flags(opened(), marked(), settled({ received: zero })), ["marked"]))

  it("decision 11: say that a settlement was undone, for ever, and none of it remains", () => {
    const undone = [...isPaid, finalized(), invoiceFinalized, reversed(), stood, needsAttention("reversed")]
    const { excess, finalizedAt, flags, received, settledAt, shortfall, status } = rowOf(...undone)
    assert.deepStrictEqual(
      { excess, finalizedAt, flags, received, settledAt, shortfall, status },
      {
        excess: zero,
        finalizedAt: null,
        flags: ["reversed"],
        received: zero,
        settledAt: null,
        shortfall: zero,
        status: "needs_attention"
      }
    )
    const again = [detected(second), confirmed({ transferId: "base:a2:0" }), settled()]
    assert.deepStrictEqual(rowOf(...undone, ...again).flags, ["reversed"])
  })
})
