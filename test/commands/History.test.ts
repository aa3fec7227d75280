/** What is written without the codec is what the codec would have written. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as History from "#commands/History.ts"
import * as ApiKey from "#domain/ApiKey.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as Merchant from "#domain/Merchant.ts"
import * as Wallet from "#domain/Wallet.ts"
import * as Endpoint from "#domain/WebhookEndpoint.ts"
import { addressBook, apiKeys, endpoints, merchants, wallets } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"

type Codec = Schema.Codec<unknown, unknown>
const events = { ApiKey, Endpoint, Invoice, Merchant, Wallet }
const stored: ReadonlyArray<readonly [string, Codec]> = [
  ...Object.entries(events).map(([name, { Event }]) => [`events of ${name}`, Event as Codec] as const),
  ...[invoiceDetails, addressBook, merchants, wallets, apiKeys, endpoints].map((projection) =>
    [`rows of ${projection.name}`, projection.row as Codec] as const
  )
]

describe.each(stored)("%s", (_, codec) => {
  const encode = Schema.encodeSync(codec)
  it.prop("are plain JSON, as their codec has it", { value: Schema.toType(codec) }, ({ value }) => {
    assert.deepStrictEqual(JSON.parse(JSON.stringify(History.plain(value))), JSON.parse(JSON.stringify(encode(value))))
  })
})

it("keeps a key of a merchant's that means something to JavaScript", () =>
  assert.strictEqual(JSON.stringify(History.plain(JSON.parse('{"__proto__":"x"}'))), '{"__proto__":"x"}'))
