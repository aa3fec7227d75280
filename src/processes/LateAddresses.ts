/** Looks for transfers to an address in blocks that were read before the invoice that owns it was opened. */
import { Effect, Layer } from "effect"
import * as Invoice from "#domain/Invoice.ts"
import * as History from "#commands/History.ts"
import { Bus, type Group, type Message } from "#ports/Bus.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"

const group: Group = { name: "late-addresses", topic: "domain-events", consumers: 1, batch: 200, tries: 10 }

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const { consume } = yield* Bus
    const { backfill } = yield* ChainLedger
    yield* consume(group, (messages) => {
      const addresses = messages.flatMap(addressOf)
      return addresses.length === 0 ? Effect.void : backfill(addresses)
    })
  })
)

const addressOf = ({ body, headers, schemaVersion, type }: Message) => {
  if (headers.category !== Invoice.aggregate.category || type !== "InvoiceOpened") return []
  const event = History.decode(Invoice.aggregate, { type, schemaVersion, data: body })
  return event._tag === "InvoiceOpened" && event.payTo !== null ? [event.payTo.address] : []
}
