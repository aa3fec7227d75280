/** The rows by which merchants, wallets, keys, endpoints and addresses are found. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type * as Endpoint from "#domain/WebhookEndpoint.ts"
import { addressBook, apiKeys, endpoints, merchants, wallets } from "#projections/Directory.ts"
import {
  address,
  apiKeyId,
  at,
  canceled,
  endpointChanged,
  endpointDeleted,
  endpointDisabled,
  endpointEnabled,
  endpointId,
  endpointRegistered,
  invoiceId,
  keyIssued,
  keyRevoked,
  merchantId,
  opened,
  registered,
  secretRotated,
  walletId,
  walletRegistered,
  xpub
} from "../support/examples.ts"
import { projected } from "../support/specification.ts"

describe("the directory", () => {
  it("finds a merchant with all that it registered", () => {
    const { _tag, registeredAt, ...details } = registered()
    assert.deepStrictEqual(projected(merchants, merchantId)(registered()), {
      id: merchantId,
      ...details,
      createdAt: registeredAt
    })
  })

  it("finds a wallet by its id", () =>
    assert.deepStrictEqual(projected(wallets, walletId)(walletRegistered()), {
      id: walletId,
      merchantId,
      mode: "live",
      xpub,
      createdAt: at("09:01")
    }))

  it("survives its own writing and reading", () => {
    const trip = <Row>(codec: Schema.Codec<Row, unknown>, row: Row | null) => {
      if (row === null) return assert.fail("no row")
      const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(codec)(row)))
      assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(json), row)
    }
    trip(merchants.row, projected(merchants, merchantId)(registered()))
    trip(wallets.row, projected(wallets, walletId)(walletRegistered()))
    trip(apiKeys.row, projected(apiKeys, apiKeyId)(keyIssued({ expiresAt: at("23:00") })))
    trip(endpoints.row, projected(endpoints, endpointId)(endpointRegistered(), secretRotated(), endpointChanged))
    trip(addressBook.row, projected(addressBook, invoiceId)(opened()))
  })
})

describe("an API key's row", () => {
  const row = projected(apiKeys, apiKeyId)

  it("is found by the public half of the key", () => {
    const issued = row(keyIssued())
    assert.strictEqual(issued === null ? null : apiKeys.key(apiKeyId, issued), keyIssued().lookup)
  })

  it("says who may do what, and keeps no secret but its hash", () => {
    const { _tag, issuedAt, ...details } = keyIssued()
    assert.deepStrictEqual(row(keyIssued()), { id: apiKeyId, ...details, revoked: false, createdAt: issuedAt })
  })

  it("stays, revoked", () => assert.strictEqual(row(keyIssued(), keyRevoked)?.revoked, true))

  it("is not made by a revocation alone", () => assert.isNull(row(keyRevoked)))
})

describe("an endpoint's row", () => {
  const row = projected(endpoints, endpointId)
  const registeredRow = {
    id: endpointId,
    merchantId,
    mode: "live",
    url: "https://shop.example/hooks",
    description: null,
    types: null,
    ordering: "unordered",
    status: "enabled",
    disabledBecause: null,
    secrets: [{ sealed: "sealed:1", until: null }],
    version: 1,
    createdAt: at("09:03")
  } as const

  it("says where to, what of, and in which order", () =>
    assert.deepStrictEqual(row(endpointRegistered()), registeredRow))

  it("takes new settings, all of them", () =>
    assert.deepStrictEqual(row(endpointRegistered({ description: "The shop" }), endpointChanged), {
      ...registeredRow,
      url: "https://shop.example/hooks/2",
      types: ["invoice.settled"],
      version: 2
    }))

  it("says why it is disabled, until it is enabled again", () => {
    assert.deepStrictEqual(row(endpointRegistered(), endpointDisabled), {
      ...registeredRow,
      status: "disabled",
      disabledBecause: "failing",
      version: 2
    })
    assert.deepStrictEqual(row(endpointRegistered(), endpointDisabled, endpointEnabled), {
      ...registeredRow,
      version: 3
    })
  })

  it("stays, deleted", () => assert.strictEqual(row(endpointRegistered(), endpointDeleted)?.status, "deleted"))

  it("is made by nothing but a registration", () => assert.isNull(row(endpointChanged, endpointDisabled)))

  describe("keeps its secrets", () => {
    const third = secretRotated({ secret: "sealed:3", rotatedAt: at("11:30"), previousUntil: at("12:30") })
    const laterThird = secretRotated({ secret: "sealed:3", rotatedAt: at("12:00"), previousUntil: at("13:00") })
    const secrets = (...events: ReadonlyArray<Endpoint.Event>) => row(...events)?.secrets

    it("newest first, the one before until its time is over", () =>
      assert.deepStrictEqual(secrets(endpointRegistered(), secretRotated()), [
        { sealed: "sealed:2", until: null },
        { sealed: "sealed:1", until: at("12:00") }
      ]))

    it("for as long as was promised, however soon the next rotation", () =>
      assert.deepStrictEqual(secrets(endpointRegistered(), secretRotated(), third), [
        { sealed: "sealed:3", until: null },
        { sealed: "sealed:2", until: at("12:30") },
        { sealed: "sealed:1", until: at("12:00") }
      ]))

    it("and forgets those whose time is over", () =>
      assert.deepStrictEqual(secrets(endpointRegistered(), secretRotated(), laterThird), [
        { sealed: "sealed:3", until: null },
        { sealed: "sealed:2", until: at("13:00") }
      ]))

    it("and never more than four, however often they are rotated", () => {
      const often = Array.from({ length: 20 }, (_, i) => secretRotated({ secret: `sealed:${i + 2}` }))
      assert.deepStrictEqual(secrets(endpointRegistered(), ...often)?.map(({ sealed }) => sealed), [
        "sealed:21",
        "sealed:20",
        "sealed:19",
        "sealed:18"
      ])
    })
  })
})

describe("the address book", () => {
  const row = projected(addressBook, invoiceId)

  it("53: says whose an address is, and where in the wallet it comes from", () => {
    const entry = row(opened())
    assert.deepStrictEqual(entry, {
      address: address("aa"),
      invoiceId,
      merchantId,
      mode: "live",
      wallet: walletId,
      index: 7,
      createdAt: at("10:00")
    })
    assert.strictEqual(entry === null ? null : addressBook.key(invoiceId, entry), address("aa"))
  })

  it("decision 26: keeps an address whatever becomes of the invoice", () =>
    assert.deepStrictEqual(row(opened(), canceled), row(opened())))

  it("decision 20: has no entry for an invoice without an address", () => assert.isNull(row(opened({ payTo: null }))))
})
