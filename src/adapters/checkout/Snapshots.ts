/**
 * The payer's view of an invoice, read from the strong models at every call, with its QR codes.
 *
 * This is why the address on the page can be believed: it is never cached, passed through a browser or taken from a
 * link. The page itself compares what it shows with every snapshot it gets (`web/checkout/guard.ts`).
 */
import { Cache, DateTime, Effect, Exit, Schema } from "effect"
import { encode as encodeQr } from "uqr"
import { getAddress } from "viem"
import { InvoiceId } from "#domain/Invoice.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import type { StoreUnavailable } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { CheckoutSnapshot, checkoutView } from "#projections/CheckoutView.ts"
import { merchants } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"

/** A QR code: `size` × `size` modules, row by row, one bit each, in base64. A tenth of what its SVG would weigh. */
export interface Code {
  readonly size: number
  readonly bits: string
}

/** What the page is drawn from, on the server and in the browser. JSON. */
export interface Snapshot extends Encoded {
  readonly codes: {
    /** The bare address: what exchanges and every wallet can scan. */
    readonly address: Code | null
    /** By method: the EIP-681 link with chain, token and the amount that is left. */
    readonly links: Readonly<Record<string, Code>>
  }
}
type Encoded = typeof CheckoutSnapshot.Encoded

export interface Snapshots {
  /** Null for an invoice that does not exist, and for text that is no invoice's id. */
  readonly current: (id: string) => Effect.Effect<Snapshot | null, StoreUnavailable>
}

export const make: Effect.Effect<Snapshots, never, Views | ChainLedger> = Effect.gen(function*() {
  const views = yield* Views
  const ledger = yield* ChainLedger
  // A merchant's name and colour are not worth a query for each viewer and tick.
  const merchant = yield* Cache.makeWith((id: string) => views.get(merchants, id), {
    capacity: 1000,
    timeToLive: (found) => Exit.isSuccess(found) && found.value !== null ? "1 minute" : 0
  })
  const current = Effect.fn("Checkout.snapshot")(function*(id: string) {
    if (!isInvoiceId(id)) return null
    const details = yield* views.get(invoiceDetails, id)
    if (details === null) return null
    const owner = yield* Cache.get(merchant, details.merchantId)
    if (owner === null) return null
    const view = checkoutView(details, owner, yield* ledger.heights, yield* DateTime.now)
    return withCodes(encode(view))
  })
  return { current }
})

const isInvoiceId = Schema.is(InvoiceId)
const encode = Schema.encodeSync(CheckoutSnapshot)

const withCodes = (view: Encoded): Snapshot => {
  // The checksum lets a wallet, or a careful person, notice a wrong digit.
  const address = view.address === null ? null : getAddress(view.address)
  const links = view.methods.flatMap(({ id, paymentUri }) => paymentUri === null ? [] : [[id, codeOf(paymentUri)]])
  return {
    ...view,
    address,
    codes: { address: address === null ? null : codeOf(address), links: Object.fromEntries(links) }
  }
}

const remembered = new Map<string, Code>()
const codesRemembered = 2000

/** A millisecond of work, and the same for every viewer and tick: the latest are kept. */
const codeOf = (text: string): Code => {
  const known = remembered.get(text)
  if (known !== undefined) return known
  const { data, size } = encodeQr(text, { ecc: "M", border: 0 })
  const bytes = new Uint8Array(Math.ceil((size * size) / 8))
  data.flat().forEach((dark, i) => {
    if (dark) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (0x80 >> (i & 7))
  })
  const code = { size, bits: Buffer.from(bytes).toString("base64") }
  const [oldest] = remembered.keys()
  if (remembered.size >= codesRemembered && oldest !== undefined) remembered.delete(oldest)
  remembered.set(text, code)
  return code
}
