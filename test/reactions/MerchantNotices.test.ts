/** What merchants are told, word for word: `test/golden/notices` holds one notice of each type. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as Invoice from "#domain/Invoice.ts"
import * as Id from "#domain/Id.ts"
import { bodyOf, Notice, noticeId, NoticeType } from "#domain/Notice.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { noticesOf } from "#reactions/MerchantNotices.ts"
import {
  at,
  canceled,
  closed,
  confirmed,
  detected,
  dropped,
  endpointId,
  expired,
  extended,
  finalized,
  invoiceFinalized,
  invoiceId,
  marked,
  needsAttention,
  opened,
  overdue,
  overpaid,
  processing,
  reincluded,
  reopened,
  reversed,
  settled,
  stood,
  topUp,
  usdc
} from "../support/examples.ts"
import { projected } from "../support/specification.ts"

const eventId = Id.fromUuid("evt", "2f1c7a4e-9d3b-4c55-8a70-6b1e0d9f4c21")

/** What the last of these events gives rise to. */
const told = (...events: ReadonlyArray<Invoice.Event>) => {
  const row = projected(invoiceDetails, invoiceId)(...events)
  const last = events.at(-1)
  assert.isDefined(last)
  assert.isNotNull(row)
  const standing = Invoice.standingOf(events.reduce(Invoice.evolve, Invoice.initial))
  return noticesOf(last, { ...row, ...standing }, { eventId, occurredAt: at("10:05") })
}
const typesTold = (...events: ReadonlyArray<Invoice.Event>) => told(...events).map(({ type }) => type)

const partly = detected({ amount: usdc(10) })
const paid = [opened(), detected(), processing, confirmed(), settled()]
const twice = detected({ transferId: "base:a2:0" })

const stories: Readonly<Record<string, ReadonlyArray<Invoice.Event>>> = {
  "invoice.created": [opened({ orderId: "Größe «42» 世界" })],
  "invoice.payment_detected": [opened(), detected()],
  "invoice.partially_paid": [opened(), partly],
  "invoice.processing": [opened(), detected(), processing],
  "invoice.reopened": [opened(), detected(), processing, dropped(), reopened],
  "invoice.settled": paid,
  "invoice.overpaid": [...paid, twice, confirmed({ transferId: "base:a2:0" }), overpaid],
  "invoice.finalized": [...paid, finalized(), invoiceFinalized],
  "invoice.expired": [opened(), closed, expired],
  "invoice.needs_attention": [opened(), partly, extended, closed, needsAttention("underpaid")],
  "invoice.reversed": [...paid, reversed(), stood],
  "invoice.canceled": [opened(), canceled],
  "payment.reincluded": [opened(), detected(), processing, dropped(), reopened, reincluded()],
  "payment.confirmed": [opened(), detected(), processing, confirmed()],
  "payment.finalized": [...paid, finalized()],
  "payment.dropped": [opened(), detected(), processing, dropped()],
  "payment.reversed": [...paid, reversed()]
}

const ping = {
  id: noticeId(eventId, 0),
  type: "endpoint.ping",
  apiVersion: "v1",
  mode: "live",
  occurredAt: at("10:05"),
  sequence: 3,
  data: { endpointId }
} as const

const folder = new URL("../golden/notices/", import.meta.url)
const pretty = (body: string) => `${JSON.stringify(JSON.parse(body), null, 2)}\n`
const decode = Schema.decodeUnknownSync(Notice)

describe.each(NoticeType.literals)("the notice %s", (type) => {
  const notice = type === "endpoint.ping" ? ping : told(...stories[type] ?? []).find((notice) => notice.type === type)
  const golden = () => readFileSync(new URL(`${type}.json`, folder), "utf8")

  it("reads as its golden file", () => {
    assert.isDefined(notice)
    assert.strictEqual(pretty(bodyOf(notice)), golden())
  })

  it("is read back from it, and written to the same bytes", () => {
    assert.strictEqual(pretty(bodyOf(decode(JSON.parse(golden())))), golden())
  })
})

describe("the golden notices", () => {
  it("are those of the types that there are", () => {
    const types = NoticeType.literals.map((type) => `${type}.json`)
    assert.deepStrictEqual(readdirSync(folder).toSorted(), types.toSorted())
  })
})

describe("a merchant", () => {
  it("hears of a partial payment beside the payment, under an id of its own", () => {
    const [payment, partial] = told(opened(), partly)
    assert.deepStrictEqual([payment?.type, partial?.type], ["invoice.payment_detected", "invoice.partially_paid"])
    assert.notStrictEqual(payment?.id, partial?.id)
    assert.strictEqual(partial?.data.remaining, "15.00")
  })

  it("is not told of a shortfall that settles all the same", () => {
    assert.deepStrictEqual(typesTold(opened(), detected({ amount: usdc("24.99") })), ["invoice.payment_detected"])
  })

  it("hears of the excess with the settlement, and with each payment that adds to it", () => {
    const generous = [opened(), detected({ amount: usdc(50) }), processing, confirmed()]
    const { excess } = overpaid
    assert.deepStrictEqual(typesTold(...generous, settled({ excess })), ["invoice.settled", "invoice.overpaid"])
    assert.deepStrictEqual(typesTold(...paid, twice, confirmed({ transferId: "base:a2:0" }), overpaid), [
      "invoice.overpaid"
    ])
  })

  it("hears of what follows from these facts, and not of the facts themselves", () => {
    for (const event of [closed, extended, overdue, marked()]) assert.deepStrictEqual(typesTold(opened(), event), [])
  })

  it("is owed no amount where none was asked for", () => {
    const [created] = told(opened({ price: topUp, methods: [] }))
    assert.deepStrictEqual([created?.data.price, created?.data.amountDue, created?.data.remaining], [
      null,
      null,
      "0.00"
    ])
  })

  it("hears the version of the invoice, so that older news can be told from newer", () => {
    assert.strictEqual(told(...paid)[0]?.sequence, paid.length)
  })
})

describe("a notice of a payment", () => {
  it("has the status that follows from it, so that nobody ships what was just reversed", () => {
    const statusTold = (...events: ReadonlyArray<Invoice.Event>) => told(...events)[0]?.data.status
    assert.strictEqual(statusTold(...paid, reversed(), stood), "needs_attention")
    assert.strictEqual(statusTold(opened(), detected(), processing, dropped()), "open")
    assert.strictEqual(statusTold(opened(), detected(), processing, confirmed()), "settled")
  })
})

describe("the id of a notice", () => {
  it("is the same for the same event, and different for each of its notices", () => {
    const ids = Array.from({ length: 16 }, (_, ordinal) => noticeId(eventId, ordinal))
    assert.strictEqual(new Set(ids).size, 16)
    assert.deepStrictEqual(ids, Array.from({ length: 16 }, (_, ordinal) => noticeId(eventId, ordinal)))
  })

  it("111: never holds a point, which parts it from the time in what is signed", () => {
    assert.match(noticeId(eventId, 1), /^evt_[0-9a-z]{26}$/)
  })
})
