/** Opening an invoice: the ways to pay that work now, what each would cost, and an address that is nobody else's. */
import { Cache, Context, DateTime, Duration, Effect, Exit, Layer, Option, type Redacted, Result, Schema } from "effect"
import { type BaseUnits, units } from "#domain/Amount.ts"
import { AssetId, ChainId, chains, Method, Mode, tokenOf } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { MerchantId } from "#domain/Merchant.ts"
import { Currency, type Price } from "#domain/Money.ts"
import { Policy } from "#domain/Policy.ts"
import { Reason } from "#domain/Rates.ts"
import { AddressPool } from "#ports/AddressPool.ts"
import { ChainLedger, type Height } from "#ports/ChainLedger.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { Vault } from "#ports/Vault.ts"
import { type View, Views } from "#ports/Views.ts"
import { type Behalf, Dispatch } from "./Dispatch.ts"
import { OpenInvoice } from "./Invoices.ts"
import { newId } from "./NewId.ts"
import { Quotes } from "./Quotes.ts"

/** What a merchant asks for. The merchant is the one on whose behalf it is asked. */
export interface Opening {
  readonly mode: Mode
  /** Null for a top-up, which is counted in the merchant's currency. */
  readonly price: { readonly amount: BaseUnits; readonly currency: Currency } | null
  /** Default: all that the merchant accepts. */
  readonly accepts?: ReadonlyArray<Method>
  /** Seconds for which the price holds. */
  readonly expiresIn?: number
  readonly orderId?: string
  readonly description?: string
  readonly redirectUrl?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly customer?: { readonly email: Redacted.Redacted<string> }
  /** Where this invoice differs from what the merchant does otherwise. */
  readonly policy?: Partial<Policy>
}

const usualSeconds = 900
const Seconds = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 60, maximum: 7 * 86_400 })))
const isSeconds = Schema.is(Seconds)
const isPolicy = Schema.is(Policy)

/** A tolerance may not reach the price, or an invoice would be settled by nothing. It ends at half of it. */
const mostToleratedBasisPoints = 5000

export class MerchantNotFound extends Schema.TaggedError<MerchantNotFound>()("MerchantNotFound", {}) {}
/** The merchant has no wallet in this mode to be paid into. */
export class WalletMissing extends Schema.TaggedError<WalletMissing>()("WalletMissing", { mode: Mode }) {}
/** The merchant does not take this, or it does not exist in this mode. */
export class MethodNotAccepted extends Schema.TaggedError<MethodNotAccepted>()("MethodNotAccepted", {
  chain: ChainId,
  asset: AssetId
}) {}
/** A number that is asked for lies outside of what makes sense. */
export class OutOfBounds extends Schema.TaggedError<OutOfBounds>()("OutOfBounds", {
  field: Schema.Literals(["expiresIn", "policy"])
}) {}

/** Why a way to pay cannot be offered now: its price, or its chain, which is not read, or not up to now. */
const Unavailable = Schema.Literals([...Reason.literals, "chain_not_watched", "chain_halted", "chain_behind"])
type Unavailable = typeof Unavailable.Type

/** No accepted method works now: try later. With no `reasons`, the merchant accepts nothing in this mode. */
export class NoWayToPay extends Schema.TaggedError<NoWayToPay>()("NoWayToPay", {
  reasons: Schema.Array(Schema.Struct({ method: Method, reason: Unavailable }))
}) {}

/** As much of the rows as an invoice is made of. */
const MerchantRow = Schema.Struct({ currency: Currency, accepts: Schema.Array(Method), policy: Policy })
const merchants: View<typeof MerchantRow.Type> = { name: "merchants", row: MerchantRow }
const WalletRow = Schema.Struct({ id: Schema.String })
const wallets: View<typeof WalletRow.Type> = { name: "wallets", row: WalletRow }

/** What a merchant changed is seen after this at the latest. */
const rememberFor = Duration.seconds(5)
const rememberAtMost = 10_000
/** A chain that fell silent is noticed after this at the latest, besides the time below. */
const heightsFor = Duration.seconds(1)

/** What binds a payer's sealed e-mail address to the invoice. */
export const customerPurpose = (invoiceId: string) => `invoices|customer|${invoiceId}`

/** Addresses tried for one invoice: one that proves used was given out under a lease that had lapsed. */
const addressesTried = 8

export class Invoicing extends Context.Service<Invoicing>()("checkout/commands/Invoicing", {
  make: Effect.gen(function*() {
    const views = yield* Views
    const pool = yield* AddressPool
    const vault = yield* Vault
    const quotes = yield* Quotes
    const { answered, dispatch } = yield* Dispatch
    const ledger = yield* ChainLedger

    const remembered = { capacity: rememberAtMost, timeToLive: whileThere }
    const merchantRows = yield* Cache.makeWith((id: string) => views.get(merchants, id), remembered)
    const walletRows = {
      test: yield* Cache.makeWith((id: string) => walletOf(id, "test"), remembered),
      live: yield* Cache.makeWith((id: string) => walletOf(id, "live"), remembered)
    }
    function walletOf(tenant: string, mode: Mode) {
      return Effect.map(
        views.list(wallets, { tenant, contains: { mode }, limit: 1 }),
        ([newest]) => newest ?? null
      )
    }
    const heights = yield* Effect.cachedWithTTL(ledger.heights, heightsFor)

    /** Quotes for every way to pay that is asked for and works now; refuses if there is none. */
    const offer = Effect.fnUntraced(function*(
      price: Price,
      methods: ReadonlyArray<Method>,
      expiresAt: DateTime.Utc
    ) {
      const known = new Map((yield* heights).map((height) => [height.chain, height]))
      const now = yield* DateTime.now
      const silent = methods.flatMap((method) => {
        const reason = silence(known.get(method.chain), now)
        return reason === null ? [] : [{ method, reason }]
      })
      const read = methods.filter((method) => !silent.some((out) => out.method === method))
      const { leftOut, quotes: offered } = yield* quotes.quotes(price, read, expiresAt)
      if (offered.length === 0) return yield* new NoWayToPay({ reasons: [...silent, ...leftOut] })
      return offered
    })

    const payable = Effect.fnUntraced(function*(
      id: Invoice.InvoiceId,
      details: Omit<typeof OpenInvoice.asks.Type, "payTo">,
      behalf: Behalf
    ) {
      const { mode } = details
      const wallet = yield* Cache.get(walletRows[mode], behalf.tenant)
      if (wallet === null) return yield* new WalletMissing({ mode })
      const attempt = Effect.gen(function*() {
        const payTo = yield* pool.take(wallet.id)
        return yield* dispatch(OpenInvoice, id, { ...details, payTo }, behalf).pipe(
          Effect.onExit((exit) => surelyUnused(exit, id) ? pool.giveBack(payTo) : Effect.void)
        )
      })
      return yield* attempt.pipe(
        Effect.retry({ while: ({ _tag }) => _tag === "NotUnique", times: addressesTried - 1 }),
        Effect.catchTags({
          // So many used addresses in a row mean that a process sleeps for longer than its leases last.
          NotUnique: () =>
            Effect.fail(new StoreUnavailable({ reason: "addresses were used twice", retryAfterSeconds: 1 })),
          WalletUnknown: () => Effect.fail(new WalletMissing({ mode }))
        })
      )
    })

    const openNew = Effect.fnUntraced(function*(opening: Opening, behalf: Behalf) {
      const { accepts, customer, expiresIn = usualSeconds, metadata = {}, mode, policy: overrides, ...said } = opening
      const merchant = yield* Cache.get(merchantRows, behalf.tenant)
      if (merchant === null) return yield* new MerchantNotFound()
      if (!isSeconds(expiresIn)) return yield* new OutOfBounds({ field: "expiresIn" })

      const price: Price = said.price ?? { amount: null, currency: merchant.currency }
      const policy = yield* Effect.fromResult(policyFor(price, merchant.policy, overrides))
      const methods = yield* Effect.fromResult(chosen(merchant.accepts, accepts, mode))
      const expiresAt = DateTime.add(yield* DateTime.now, { seconds: expiresIn })
      const id = Invoice.InvoiceId.make(yield* newId(Invoice.aggregate))
      const sealed = customer === undefined ? null : yield* vault.seal(customerPurpose(id), customer.email)

      const details = {
        merchantId: MerchantId.make(behalf.tenant),
        mode,
        price,
        policy,
        metadata,
        expiresAt,
        ...(said.orderId !== undefined && { orderId: said.orderId }),
        ...(said.description !== undefined && { description: said.description }),
        ...(said.redirectUrl !== undefined && { redirectUrl: said.redirectUrl }),
        ...(sealed !== null && { customer: sealed })
      }
      if (price.amount === 0n) {
        return yield* dispatch(OpenInvoice, id, { ...details, methods: [], level: "small", payTo: null }, behalf)
      }
      const offered = yield* offer(price, methods, expiresAt)
      const level = yield* quotes.level(price)
      return yield* payable(id, { ...details, methods: offered, level }, behalf)
    })

    return {
      /** Opens an invoice, or answers with the one that the same request opened before. */
      open: Effect.fn("Invoicing.open")((opening: Opening, behalf: Behalf) =>
        openNew(opening, behalf).pipe(
          // What cannot be had now may have been had by the same request before.
          Effect.catchTag(
            ["NoWayToPay", "MethodNotAccepted", "WalletMissing", "MerchantNotFound"],
            (refusal) => Effect.filterOrFail(answered(OpenInvoice, behalf), (before) => before !== null, () => refusal)
          )
        )
      )
    }
  })
}) {
  /** Needs `Views`, `AddressPool`, `Vault`, `Quotes`, `Dispatch` and `ChainLedger`. */
  static readonly layer = Layer.effect(this, this.make)
}

/** What is not there yet may be there the next moment. */
const whileThere = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) && exit.value !== null ? rememberFor : Duration.zero

const same = (a: Method) => (b: Method) => a.chain === b.chain && a.asset === b.asset

const chosen = (
  accepted: ReadonlyArray<Method>,
  asked: ReadonlyArray<Method> | undefined,
  mode: Mode
): Result.Result<ReadonlyArray<Method>, MethodNotAccepted> => {
  const here = accepted.filter((method) => chains[method.chain].mode === mode && tokenOf(method) !== undefined)
  if (asked === undefined) return Result.succeed(here)
  const foreign = asked.find((method) => !here.some(same(method)))
  return foreign === undefined
    ? Result.succeed(here.filter((method) => asked.some(same(method))))
    : Result.fail(new MethodNotAccepted({ chain: foreign.chain, asset: foreign.asset }))
}

const policyFor = (
  { amount }: Price,
  usual: Policy,
  overrides: Partial<Policy> = {}
): Result.Result<Policy, OutOfBounds> => {
  const asked: Policy = { ...usual, ...overrides }
  const sensible = isPolicy(asked) && asked.toleranceMinor >= 0n &&
    (overrides.toleranceBasisPoints ?? 0) <= mostToleratedBasisPoints
  if (!sensible) return Result.fail(new OutOfBounds({ field: "policy" }))
  // A merchant's usual sum may be more than a small invoice is over.
  const half = amount === null ? asked.toleranceMinor : amount / 2n
  return Result.succeed({
    ...asked,
    toleranceBasisPoints: Math.min(asked.toleranceBasisPoints, mostToleratedBasisPoints),
    toleranceMinor: units(asked.toleranceMinor < half ? asked.toleranceMinor : half)
  })
}

/** A scanner that has not looked for so long is not looking. */
const unheardSeconds = 60
/** And one whose newest block is older than this, or than so many blocks take, has not caught up. */
const behindSeconds = 120
const behindBlocks = 20

/** Why payments on a chain would not be seen in time; null if they would. */
const silence = (height: Height | undefined, now: DateTime.Utc): Unavailable | null => {
  if (height === undefined) return "chain_not_watched"
  if (height.halted !== null) return "chain_halted"
  const { blockSeconds, mode } = chains[height.chain]
  const age = (since: DateTime.Utc) => (now.epochMilliseconds - since.epochMilliseconds) / 1000
  if (age(height.checkedAt) > unheardSeconds) return "chain_behind"
  // A development chain may mine only when it is asked to.
  const regular = mode === "live"
  return regular && age(height.time) > Math.max(behindSeconds, behindBlocks * blockSeconds) ? "chain_behind" : null
}

/**
 * Whether an attempt certainly left its address unused. When the database does not answer, the invoice may stand all
 * the same: then the lease lapses, and whoever sweeps it sees.
 */
const surelyUnused = (exit: Exit.Exit<{ readonly id: string }, { readonly _tag: string }>, id: string): boolean => {
  if (Exit.isSuccess(exit)) return exit.value.id !== id
  const failure = Exit.findErrorOption(exit)
  return Option.isSome(failure) && !["NotUnique", "StoreUnavailable"].includes(failure.value._tag)
}
