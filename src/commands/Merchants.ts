/** What may be asked of a merchant's own records: the merchant, its wallets, keys and endpoints. */
import { Result } from "effect"
import * as ApiKey from "#domain/ApiKey.ts"
import * as Merchant from "#domain/Merchant.ts"
import * as Wallet from "#domain/Wallet.ts"
import * as Endpoint from "#domain/WebhookEndpoint.ts"
import * as Command from "./Command.ts"

const { _tag: _m, registeredAt: _mAt, ...merchant } = Merchant.Event.cases.MerchantRegistered.fields
const { _tag: _w, registeredAt: _wAt, ...wallet } = Wallet.Event.cases.WalletRegistered.fields
const { _tag: _k, issuedAt: _kAt, ...key } = ApiKey.Event.cases.ApiKeyIssued.fields
const { _tag: _e, registeredAt: _eAt, ...endpoint } = Endpoint.Event.cases.EndpointRegistered.fields
const { _tag: _c, changedAt: _cAt, ...settings } = Endpoint.Event.cases.EndpointChanged.fields
const { _tag: _s, rotatedAt: _sAt, ...rotation } = Endpoint.Event.cases.SecretRotated.fields

export const RegisterMerchant = Command.make("RegisterMerchant", {
  aggregate: Merchant.aggregate,
  asks: merchant,
  decide: (details, { now }) => Merchant.register({ ...details, registeredAt: now })
})

export const RegisterWallet = Command.make("RegisterWallet", {
  aggregate: Wallet.aggregate,
  asks: wallet,
  decide: (details, { now }) => Wallet.register({ ...details, registeredAt: now })
})

export const IssueApiKey = Command.make("IssueApiKey", {
  aggregate: ApiKey.aggregate,
  asks: key,
  decide: (details, { now }) => ApiKey.issue({ ...details, issuedAt: now })
})

export const RevokeApiKey = Command.make("RevokeApiKey", {
  aggregate: ApiKey.aggregate,
  asks: {},
  decide: (_, { now }) => ApiKey.revoke({ revokedAt: now })
})

export const RegisterEndpoint = Command.make("RegisterEndpoint", {
  aggregate: Endpoint.aggregate,
  opens: true,
  asks: endpoint,
  decide: (details, { now }) => Endpoint.register({ ...details, registeredAt: now })
})

export const ChangeEndpoint = Command.make("ChangeEndpoint", {
  aggregate: Endpoint.aggregate,
  asks: settings,
  decide: (details, { now }) => Endpoint.change({ ...details, changedAt: now })
})

export const RotateSecret = Command.make("RotateSecret", {
  aggregate: Endpoint.aggregate,
  asks: rotation,
  decide: (details, { now }) => Endpoint.rotateSecret({ ...details, rotatedAt: now })
})

export const DisableEndpoint = Command.make("DisableEndpoint", {
  aggregate: Endpoint.aggregate,
  asks: { reason: Endpoint.Event.cases.EndpointDisabled.fields.reason },
  decide: (details, { now }) => Endpoint.disable({ ...details, disabledAt: now })
})

export const EnableEndpoint = Command.make("EnableEndpoint", {
  aggregate: Endpoint.aggregate,
  asks: {},
  decide: (_, { now }) => Endpoint.enable({ enabledAt: now })
})

export const DeleteEndpoint = Command.make("DeleteEndpoint", {
  aggregate: Endpoint.aggregate,
  asks: {},
  decide: (_, { now }) => Endpoint.remove({ deletedAt: now })
})

/** Changes nothing: keeps the receipt of something that was done to an endpoint's deliveries, outside of its stream. */
export const KeepReceipt = Command.make("KeepReceipt", {
  aggregate: Endpoint.aggregate,
  asks: {},
  decide: () => () => Result.succeed([])
})
