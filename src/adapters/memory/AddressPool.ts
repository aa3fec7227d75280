/** Deposit addresses of one process, derived when they are asked for. */
import { Effect, Layer } from "effect"
import { AddressPool, type Deposit, WalletUnknown } from "#ports/AddressPool.ts"
import { type Account, Derivation } from "#ports/Derivation.ts"
import { Views } from "#ports/Views.ts"
import { wallets } from "#projections/Directory.ts"

interface Shelf {
  readonly account: Account
  next: number
  /** Given back, lowest index first. */
  readonly returned: Array<Deposit>
}

/** Needs `Views`, where the wallets are, and `Derivation`. */
export const layer = Layer.effect(
  AddressPool,
  Effect.gen(function*() {
    const views = yield* Views
    const derivation = yield* Derivation
    const shelves = new Map<string, Shelf>()
    // Two wallets of the same account share its addresses between them.
    const derived = new Set<string>()

    const shelfOf = Effect.fnUntraced(function*(wallet: string) {
      const row = yield* views.get(wallets, wallet)
      if (row === null) return yield* new WalletUnknown({ wallet })
      // Its checksum was verified when it was registered.
      const account = yield* Effect.orDie(Effect.fromResult(derivation.account(row.xpub)))
      const known = shelves.get(wallet)
      if (known !== undefined) return known
      const shelf: Shelf = { account, next: 0, returned: [] }
      shelves.set(wallet, shelf)
      return shelf
    })

    const derive = (wallet: string, shelf: Shelf): Deposit => {
      for (;;) {
        const index = shelf.next++
        const address = shelf.account.addressAt(index)
        if (address === null || derived.has(address)) continue
        derived.add(address)
        return { wallet, index, address }
      }
    }

    return AddressPool.of({
      take: Effect.fnUntraced(function*(wallet) {
        const shelf = shelves.get(wallet) ?? (yield* shelfOf(wallet))
        return shelf.returned.shift() ?? derive(wallet, shelf)
      }),
      giveBack: (deposit) =>
        Effect.sync(() => {
          const returned = shelves.get(deposit.wallet)?.returned
          returned?.push(deposit)
          returned?.sort((a, b) => a.index - b.index)
        })
    })
  })
)
