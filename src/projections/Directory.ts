/** The small strong read models by which things are found: merchants, wallets, keys, endpoints, addresses. */
import { Schema } from "effect"
import * as ApiKey from "#domain/ApiKey.ts"
import { Address, Mode } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as Merchant from "#domain/Merchant.ts"
import { Instant } from "#domain/Money.ts"
import type { Projection } from "#domain/Projection.ts"
import * as Wallet from "#domain/Wallet.ts"
import * as Endpoint from "#domain/WebhookEndpoint.ts"

const { MerchantRegistered } = Merchant.Event.cases
export const MerchantRow = Schema.Struct({
  id: Schema.String,
  name: MerchantRegistered.fields.name,
  currency: MerchantRegistered.fields.currency,
  accepts: MerchantRegistered.fields.accepts,
  policy: MerchantRegistered.fields.policy,
  branding: MerchantRegistered.fields.branding,
  createdAt: Instant
})
export type MerchantRow = typeof MerchantRow.Type

export const merchants: Projection<MerchantRow, Merchant.Event> = {
  name: "merchants",
  aggregate: Merchant.aggregate,
  row: MerchantRow,
  key: (stream) => stream,
  apply: (_, { _tag, registeredAt, ...details }, { stream }) => ({ id: stream, ...details, createdAt: registeredAt })
}

export const WalletRow = Schema.Struct({
  id: Schema.String,
  merchantId: Schema.String,
  mode: Mode,
  xpub: Schema.String,
  createdAt: Instant
})
export type WalletRow = typeof WalletRow.Type

export const wallets: Projection<WalletRow, Wallet.Event> = {
  name: "wallets",
  aggregate: Wallet.aggregate,
  row: WalletRow,
  key: (stream) => stream,
  apply: (_, { merchantId, mode, registeredAt, xpub }, { stream }) => ({
    id: stream,
    merchantId,
    mode,
    xpub,
    createdAt: registeredAt
  })
}

export const ApiKeyRow = Schema.Struct({
  id: Schema.String,
  merchantId: Schema.String,
  mode: Mode,
  name: Schema.String,
  lookup: Schema.String,
  hash: Schema.String,
  scopes: Schema.Array(ApiKey.Scope),
  expiresAt: Schema.NullOr(Instant),
  revoked: Schema.Boolean,
  createdAt: Instant
})
export type ApiKeyRow = typeof ApiKeyRow.Type

/** Keyed by the public half of the key: that is what a request brings. */
export const apiKeys: Projection<ApiKeyRow, ApiKey.Event> = {
  name: "api_keys",
  aggregate: ApiKey.aggregate,
  row: ApiKeyRow,
  key: (_, { lookup }) => lookup,
  apply: (row, event, { stream }) => {
    if (event._tag === "ApiKeyIssued") {
      const { _tag, issuedAt, ...details } = event
      return { id: stream, ...details, revoked: false, createdAt: issuedAt }
    }
    return row === null ? null : { ...row, revoked: true }
  }
}

/** However often a secret is rotated within the overlap: each one is a signature on every request. */
const maxSecrets = 4

export const EndpointRow = Schema.Struct({
  id: Schema.String,
  merchantId: Schema.String,
  mode: Mode,
  url: Schema.String,
  description: Schema.NullOr(Schema.String),
  types: Schema.NullOr(Schema.Array(Schema.String)),
  ordering: Endpoint.Event.cases.EndpointRegistered.fields.ordering,
  status: Schema.Literals(["enabled", "disabled", "deleted"]),
  disabledBecause: Schema.NullOr(Endpoint.Event.cases.EndpointDisabled.fields.reason),
  /** Sealed; newest first. All that are still valid sign every request. */
  secrets: Schema.Array(Schema.Struct({ sealed: Schema.String, until: Schema.NullOr(Instant) })),
  version: Schema.Int,
  createdAt: Instant
})
export type EndpointRow = typeof EndpointRow.Type

export const endpoints: Projection<EndpointRow, Endpoint.Event> = {
  name: "endpoints",
  aggregate: Endpoint.aggregate,
  row: EndpointRow,
  key: (stream) => stream,
  apply: (row, event, { stream, version }) => {
    if (event._tag === "EndpointRegistered") {
      const { _tag, registeredAt, secret, ...details } = event
      return {
        id: stream,
        ...details,
        description: details.description ?? null,
        status: "enabled",
        disabledBecause: null,
        secrets: [{ sealed: secret, until: null }],
        version,
        createdAt: registeredAt
      }
    }
    if (row === null) return null
    switch (event._tag) {
      case "EndpointChanged": {
        const { description = null, ordering, types, url } = event
        return { ...row, description, ordering, types, url, version }
      }
      case "SecretRotated": {
        const previous = row.secrets.map(({ sealed, until }) => ({ sealed, until: until ?? event.previousUntil }))
        const valid = previous.filter(({ until }) => until.epochMilliseconds > event.rotatedAt.epochMilliseconds)
        return { ...row, secrets: [{ sealed: event.secret, until: null }, ...valid].slice(0, maxSecrets), version }
      }
      case "EndpointDisabled":
        return { ...row, status: "disabled", disabledBecause: event.reason, version }
      case "EndpointEnabled":
        return { ...row, status: "enabled", disabledBecause: null, version }
      case "EndpointDeleted":
        return { ...row, status: "deleted", version }
    }
  }
}

export const AddressRow = Schema.Struct({
  address: Address,
  invoiceId: Invoice.InvoiceId,
  merchantId: Schema.String,
  mode: Mode,
  wallet: Schema.String,
  index: Schema.Int,
  createdAt: Instant
})
export type AddressRow = typeof AddressRow.Type

/** Whose address is it? Address and (wallet, index) are unique, so that none is ever given out twice. */
export const addressBook: Projection<AddressRow, Invoice.Event> = {
  name: "address_book",
  aggregate: Invoice.aggregate,
  row: AddressRow,
  key: (_, { address }) => address,
  apply: (row, event, { stream }) => {
    if (event._tag !== "InvoiceOpened" || event.payTo === null) return row
    const { merchantId, mode, openedAt, payTo } = event
    return { ...payTo, invoiceId: Invoice.InvoiceId.make(stream), merchantId, mode, createdAt: openedAt }
  }
}
