/** What the reference shows: real answers and real notices, which the domain itself makes from a few short stories. */
import { DateTime, Result, Schema } from "effect"
import { type BaseUnits, units } from "#domain/Amount.ts"
import { Address } from "#domain/Chain.ts"
import * as Id from "#domain/Id.ts"
import * as Invoice from "#domain/Invoice.ts"
import { MerchantId } from "#domain/Merchant.ts"
import type { Quote } from "#domain/Money.ts"
import { bodyOf, type Notice, NoticeType } from "#domain/Notice.ts"
import { defaultPolicy } from "#domain/Policy.ts"
import { EndpointId } from "#domain/WebhookEndpoint.ts"
import { type InvoiceDetails, invoiceDetails } from "#projections/InvoiceDetails.ts"
import { noticesOf } from "#reactions/MerchantNotices.ts"
import { InvoiceResource, resourceOf } from "./InvoiceResource.ts"

const began = DateTime.makeUnsafe("2026-03-01T10:00:00.000Z")
const after = (seconds: number) => DateTime.add(began, { seconds })
const uuid = (last: number) => `019caa0d-8080-7000-8000-${last.toString(16).padStart(12, "0")}`

const invoiceId = Id.fromUuid("inv", uuid(1))
const endpointId = EndpointId.make(Id.fromUuid("we", uuid(2)))
const deliveryId = Id.fromUuid("dlv", uuid(3))

const quote: Quote = {
  chain: "base",
  asset: "usdc",
  decimals: 6,
  due: units(27_104_500n),
  rate: { numerator: 2500n * 10_000n, denominator: 271_045n * 100n },
  sources: ["chainlink", "kraken"],
  quotedAt: after(-20),
  lockedUntil: after(900),
  spreadBasisPoints: 0
}

type Step = (state: Invoice.State) => Result.Result<ReadonlyArray<Invoice.Event>, unknown>

const open = Invoice.open({
  merchantId: MerchantId.make(Id.fromUuid("mer", uuid(4))),
  mode: "test",
  price: { amount: units(2500n), currency: "EUR" },
  payTo: { address: Address.make("0x8ba1f109551bd432803012645ac136ddd64dba72"), wallet: "", index: 7 },
  methods: [quote],
  level: "default",
  policy: defaultPolicy,
  orderId: "1234",
  description: "Blue mug",
  redirectUrl: "https://shop.example/thanks",
  metadata: { cart: "77" },
  openedAt: began,
  expiresAt: after(900)
})

const block = { number: 27_000_111, hash: `0x${"3f".repeat(32)}`, time: after(120) }
const paying = (amount: BaseUnits, digit = "5b") => {
  const transaction = `0x${digit.repeat(32)}`
  const transferId = `base:${transaction}:3`
  const depth = (level: "default" | "final", at: number): Step =>
    Invoice.confirmPayment({ transferId, blockHash: block.hash, level, at: after(at) })
  return {
    seen: Invoice.detectPayment({
      transferId,
      chain: "base",
      asset: "usdc",
      decimals: 6,
      amount,
      from: Address.make("0x71c7656ec7ab88b098defb751b7401b5f6d8976f"),
      transaction,
      block,
      market: null,
      detectedAt: after(122)
    }),
    seenAgain: Invoice.detectPayment({
      transferId,
      chain: "base",
      asset: "usdc",
      decimals: 6,
      amount,
      from: Address.make("0x71c7656ec7ab88b098defb751b7401b5f6d8976f"),
      transaction,
      block: { ...block, number: block.number + 1, hash: `0x${"4a".repeat(32)}` },
      market: null,
      detectedAt: after(130)
    }),
    sure: depth("default", 140),
    final: depth("final", 1800),
    gone: Invoice.dropPayment({ transferId, blockHash: block.hash, at: after(126) })
  }
}
const exact = paying(units(27_104_500n))
const half = paying(units(13_000_000n))
const double = paying(units(54_209_000n))
const timeIsUp = Invoice.closeWindow({ readUntil: after(100_000), at: after(1000) })

/** Every notice comes up in one of them. */
const stories: ReadonlyArray<ReadonlyArray<Step>> = [
  [open, exact.seen, exact.sure, exact.final],
  [open, half.seen, half.sure, Invoice.closeWindow({ readUntil: after(100_000), at: after(2000) })],
  [open, double.seen, double.sure],
  [open, exact.seen, exact.gone, exact.seenAgain],
  [open, exact.seen, exact.sure, exact.gone, Invoice.letReversalStand(after(1900))],
  [open, timeIsUp],
  [open, Invoice.cancel({ reason: "The order was changed.", at: after(60) })]
]

interface Told {
  readonly rows: ReadonlyArray<InvoiceDetails>
  readonly notices: ReadonlyArray<Notice>
}

const tell = (steps: ReadonlyArray<Step>, story: number): Told => {
  let state = Invoice.initial
  let row: InvoiceDetails | null = null
  let version = 0
  const rows: Array<InvoiceDetails> = []
  const notices: Array<Notice> = []
  for (const step of steps) {
    for (const event of Result.getOrThrow(step(state))) {
      version++
      const occurredAt = after(version)
      const eventId = Id.fromUuid("evt", uuid(0x100 * (story + 1) + version))
      state = Invoice.evolve(state, event)
      row = invoiceDetails.apply(row, event, { stream: invoiceId, version, recordedAt: occurredAt })
      if (row === null) continue
      rows.push(row)
      notices.push(...noticesOf(event, row, { eventId, occurredAt }))
    }
  }
  return { rows, notices }
}

const told = stories.map(tell)

const ping: Notice = {
  id: Id.fromUuid("evt", uuid(5)),
  type: "endpoint.ping",
  apiVersion: "v1",
  mode: "test",
  occurredAt: began,
  sequence: 1,
  data: { endpointId }
}

/** One body for each type of notice, as it is signed and sent. */
export const notices: ReadonlyArray<{ readonly type: NoticeType; readonly body: string }> = NoticeType.literals.map(
  (type) => {
    const notice = [...told.flatMap(({ notices }) => notices), ping].find((notice) => notice.type === type)
    if (notice === undefined) throw new Error(`no story tells of ${type}`)
    return { type, body: bodyOf(notice) }
  }
)

const encodeInvoice = Schema.encodeSync(InvoiceResource)
const heights = [
  { chain: "base", number: 27_000_114, time: began, finalized: 26_999_000, checkedAt: began, halted: null }
] as const
const [paid] = told
const invoiceAfter = (events: number) =>
  encodeInvoice(resourceOf(paid!.rows[events - 1]!, heights, "https://pay.example"))
const invoice = invoiceAfter(1)

const endpoint = {
  id: endpointId,
  mode: "test",
  url: "https://shop.example/webhooks",
  description: "Orders",
  types: null,
  ordering: "unordered",
  status: "enabled",
  disabledBecause: null,
  version: 1,
  createdAt: "2026-03-01T10:00:00.000Z"
}
const withSecret = { ...endpoint, secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" }
const delivery = {
  id: deliveryId,
  eventId: Id.fromUuid("evt", uuid(6)),
  type: "invoice.settled",
  invoiceId,
  status: "delivered",
  attempts: 1,
  nextAttemptAt: null,
  createdAt: "2026-03-01T10:02:22.000Z"
}
const settled = notices.find(({ type }) => type === "invoice.settled")!
const attempt = {
  number: 1,
  at: "2026-03-01T10:02:22.410Z",
  durationMs: 84,
  outcome: "success",
  status: 204,
  detail: ""
}
const rate = {
  asset: "eth",
  currency: "EUR",
  rate: "2310.55",
  sources: ["chainlink", "kraken"],
  takenAt: "2026-03-01T09:59:40.000Z",
  stale: false,
  reason: null
}
const pageOf = (item: unknown, nextCursor: string | null = null) => ({ data: [item], hasMore: false, nextCursor })

/** By the name of the schema in the document. */
export const schemas: Readonly<Record<string, unknown>> = {
  NewInvoice: {
    price: { amount: "25.00", currency: "EUR" },
    orderId: "1234",
    description: "Blue mug",
    metadata: { cart: "77" }
  },
  PriceAsked: { amount: "25.00", currency: "EUR" },
  Money: { amount: "25.00", currency: "EUR" },
  ChainMoney: { amount: "27.104500", asset: "usdc", chain: "base", baseUnits: "27104500", decimals: 6 },
  Invoice: invoice,
  PaymentMethod: invoice.methods[0],
  Payment: invoiceAfter(2).payments[0],
  InvoicePage: pageOf(invoice),
  EventPage: pageOf(JSON.parse(settled.body), "1042"),
  NewWebhookEndpoint: { url: "https://shop.example/webhooks" },
  WebhookEndpoint: endpoint,
  WebhookEndpointWithSecret: withSecret,
  WebhookEndpointPage: pageOf(endpoint),
  WebhookEndpointChange: { types: ["invoice.settled", "invoice.expired"] },
  Delivery: delivery,
  Attempt: attempt,
  DeliveryPage: pageOf(delivery),
  DeliveryWithAttempts: { ...delivery, payload: settled.body, log: [attempt] },
  Recovered: { recovered: 12 },
  Rate: rate,
  RateList: { data: [rate] },
  Readiness: {
    status: "ready",
    database: { status: "ok", milliseconds: 2 },
    bus: { status: "ok", milliseconds: 3 },
    chains: [{
      chain: "base",
      status: "ok",
      height: 27_000_114,
      finalized: 26_999_000,
      blockTime: "2026-03-01T10:02:27.000Z",
      ageSeconds: 1,
      haltedBecause: null
    }]
  }
}

/** Bodies of requests whose schema has no name of its own, by operation. */
export const requests: Readonly<Record<string, unknown>> = {
  "invoices.cancel": { reason: "The order was changed." },
  "invoices.mark": { as: "settled", reason: "Paid in cash at the counter." },
  "webhookEndpoints.rotateSecret": { overlapSeconds: 86_400 },
  "webhookEndpoints.recover": { since: "2026-03-01T00:00:00.000Z" }
}

/** Values of parameters in paths, by the resource. */
export const parameters: Readonly<Record<string, string>> = {
  "/v1/invoices/{id}": invoiceId,
  "/v1/webhook-endpoints/{id}": endpointId,
  deliveryId
}
