/** Invoices that are opened through Dispatch as fast as one may, each with an address and a receipt of its own. */
import { Effect } from "effect"
import { Dispatch } from "#commands/Dispatch.ts"
import { OpenInvoice } from "#commands/Invoices.ts"
import { newId } from "#commands/NewId.ts"
import { Address } from "#domain/Chain.ts"
import { toUuid } from "#domain/Id.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as Merchant from "#domain/Merchant.ts"
import * as Wallet from "#domain/Wallet.ts"
import { opening } from "../test/support/examples.ts"

/** Payable in one asset. */
const { openedAt: _, ...example } = { ...opening, methods: opening.methods.slice(0, 1) }

/** Opens one, and answers with its id and its address. */
export const opener = (overrides: Partial<typeof example> = {}) =>
  Effect.gen(function*() {
    const { dispatch } = yield* Dispatch
    const merchantId = overrides.merchantId ?? Merchant.MerchantId.make(yield* newId(Merchant.aggregate))
    const wallet = yield* newId(Wallet.aggregate)
    let opened = 0
    return Effect.gen(function*() {
      const id = yield* newId(Invoice.aggregate)
      const index = opened++
      const address = Address.make(`0x${toUuid(id).replaceAll("-", "")}${index.toString(16).padStart(8, "0")}`)
      const asked = { ...example, merchantId, ...overrides, payTo: { address, wallet, index } }
      yield* dispatch(OpenInvoice, id, asked, {
        tenant: merchantId,
        actor: "bench",
        receipt: { key: id, hash: "bench" }
      })
      return { id, address }
    })
  })
