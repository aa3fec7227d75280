/** How a merchant comes to be, and the wallet that is paid into. */
import { Context, Effect, Layer } from "effect"
import type { Mode } from "#domain/Chain.ts"
import * as Merchant from "#domain/Merchant.ts"
import { defaultPolicy } from "#domain/Policy.ts"
import * as Wallet from "#domain/Wallet.ts"
import { Derivation } from "#ports/Derivation.ts"
import { type Behalf, Dispatch } from "./Dispatch.ts"
import { RegisterMerchant, RegisterWallet } from "./Merchants.ts"
import { newId } from "./NewId.ts"

type Registered = typeof Merchant.Event.cases.MerchantRegistered.Type

interface NewMerchant {
  /** Made if it is not given. A given one makes registering twice change nothing. */
  readonly id?: Merchant.MerchantId
  readonly name: string
  readonly currency: Registered["currency"]
  readonly accepts: Registered["accepts"]
  readonly policy?: Registered["policy"]
  readonly branding: Registered["branding"]
}

interface NewWallet {
  readonly id?: Wallet.WalletId
  readonly mode: Mode
  /** Of the account, as any wallet program exports it. */
  readonly xpub: string
}

export class Registration extends Context.Service<Registration>()("checkout/commands/Registration", {
  make: Effect.gen(function*() {
    const { dispatch } = yield* Dispatch
    const derivation = yield* Derivation

    return {
      merchant: Effect.fn("Registration.merchant")(function*(
        { id: given, policy = defaultPolicy, ...details }: NewMerchant,
        behalf: Omit<Behalf, "tenant">
      ) {
        const id = Merchant.MerchantId.make(given ?? (yield* newId(Merchant.aggregate)))
        yield* dispatch(RegisterMerchant, id, { ...details, policy }, { ...behalf, tenant: id })
        return id
      }),

      /** Refuses what is no account's xpub, and above all what could spend. */
      wallet: Effect.fn("Registration.wallet")(function*({ id: given, mode, xpub }: NewWallet, behalf: Behalf) {
        yield* Effect.fromResult(Wallet.inspectXpub(xpub))
        yield* Effect.fromResult(derivation.account(xpub))
        const id = Wallet.WalletId.make(given ?? (yield* newId(Wallet.aggregate)))
        const merchantId = Merchant.MerchantId.make(behalf.tenant)
        yield* dispatch(RegisterWallet, id, { merchantId, mode, xpub }, behalf)
        return id
      })
    }
  })
}) {
  /** Needs `Dispatch` and `Derivation`. */
  static readonly layer = Layer.effect(this, this.make)
}
