/** Deposit addresses, derived ahead of time and leased a few at a time, so that no invoice waits for another. */
import { Context, type Effect, Schema } from "effect"
import type { Address } from "#domain/Chain.ts"
import type { StoreUnavailable } from "./EventStore.ts"

export interface Deposit {
  readonly wallet: string
  /** The child's index below the account's external chain: 0/index. */
  readonly index: number
  readonly address: Address
}

export class WalletUnknown extends Schema.TaggedError<WalletUnknown>()("WalletUnknown", { wallet: Schema.String }) {}

/** What every implementation owes is in `test/contracts/AddressPool.contract.ts`. */
export class AddressPool extends Context.Service<AddressPool, {
  /**
   * An address that nobody else has been given, a low one. It lapses back into the pool if no invoice comes to use it,
   * so one that comes very late may find it used: the address book's uniqueness is the last word.
   */
  readonly take: (wallet: string) => Effect.Effect<Deposit, WalletUnknown | StoreUnavailable>
  /** Not needed after all, and surely in no invoice. */
  readonly giveBack: (deposit: Deposit) => Effect.Effect<void>
}>()("checkout/ports/AddressPool") {}
