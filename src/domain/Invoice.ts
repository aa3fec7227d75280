/** An invoice: what a customer owes a merchant, and what the chains have shown so far. */
import { DateTime, Result, Schema } from "effect"
import type { Aggregate, Decision } from "./Aggregate.ts"
import { type BaseUnits, BaseUnits as BaseUnitsSchema, max, mulDivDown, sum, zero } from "./Amount.ts"
import { Address, AssetId, assets, atLeast, ChainId, Level, type Method, Mode } from "./Chain.ts"
import * as Id from "./Id.ts"
import { MerchantId } from "./Merchant.ts"
import { type Currency, dueForValue, Instant, legible, Price, Quote, valueOf, valueOfPrice } from "./Money.ts"
import { Policy } from "./Policy.ts"

export const InvoiceId = Id.schema("inv").pipe(Schema.brand("InvoiceId"))
export type InvoiceId = typeof InvoiceId.Type

// Events. Stored for ever: add optional fields, never rename.

export const Block = Schema.Struct({ number: Schema.Int, hash: Schema.String, time: Instant })
export type Block = typeof Block.Type

/** On time; late, but within what the merchant accepts; or late and waiting for somebody to decide. */
const Lateness = Schema.Literals(["on_time", "late_accepted", "late_held"])

export const Attention = Schema.Literals(["underpaid", "late", "wrong_asset", "paid_after_cancel", "reversed", "stuck"])
export type Attention = typeof Attention.Type

export const Event = Schema.TaggedUnion({
  InvoiceOpened: {
    merchantId: MerchantId,
    mode: Mode,
    price: Price,
    /** Null only for an invoice over nothing, which needs no address. */
    payTo: Schema.NullOr(Schema.Struct({ address: Address, wallet: Schema.String, index: Schema.Int })),
    methods: Schema.Array(Quote),
    /** How sure we must be of a payment before it counts; follows from what the invoice is worth. */
    level: Level,
    policy: Policy,
    orderId: Schema.optionalKey(Schema.String),
    description: Schema.optionalKey(Schema.String),
    redirectUrl: Schema.optionalKey(Schema.String),
    metadata: Schema.Record(Schema.String, Schema.String),
    /** Sealed with the subject's own key: an event never holds personal data in clear. */
    customer: Schema.optionalKey(Schema.String),
    openedAt: Instant,
    expiresAt: Instant
  },
  /** A transfer to the invoice's address stands in a block. */
  PaymentDetected: {
    transferId: Schema.String,
    chain: ChainId,
    asset: AssetId,
    decimals: Schema.Int,
    amount: BaseUnitsSchema,
    /** Its worth at the locked quote; null where the asset is none that this invoice takes. */
    value: Schema.NullOr(BaseUnitsSchema),
    from: Address,
    transaction: Schema.String,
    block: Block,
    lateness: Lateness,
    /** The quote made for it, where it came in an asset that was not offered but is accepted. */
    quote: Schema.optionalKey(Quote),
    detectedAt: Instant
  },
  /** The same transfer came back in another block. When it was first seen still decides whether it was in time. */
  PaymentReincluded: {
    transferId: Schema.String,
    amount: BaseUnitsSchema,
    value: Schema.NullOr(BaseUnitsSchema),
    block: Block,
    reincludedAt: Instant
  },
  PaymentConfirmed: { transferId: Schema.String, level: Level, confirmedAt: Instant },
  PaymentFinalized: { transferId: Schema.String, finalizedAt: Instant },
  /** A reorg took it away before it counted. */
  PaymentDropped: { transferId: Schema.String, blockHash: Schema.String, droppedAt: Instant },
  /** A reorg took it away after it had counted, or after the invoice was settled. It may yet return. */
  PaymentReversed: { transferId: Schema.String, blockHash: Schema.String, reversedAt: Instant },
  /** Time is up, and every chain has been read to beyond it. */
  WindowClosed: { closedAt: Instant },
  WindowExtended: { expiresAt: Instant, extendedAt: Instant },
  /** A counted payment has stayed away for longer than reorgs last. */
  ReversalStood: { stoodAt: Instant },
  ConfirmationOverdue: { overdueAt: Instant },
  InvoiceMarked: {
    as: Schema.Literals(["settled", "written_off"]),
    reason: Schema.String,
    by: Schema.String,
    markedAt: Instant
  },

  InvoiceProcessing: { at: Instant },
  InvoiceReopened: { at: Instant },
  InvoiceSettled: {
    received: BaseUnitsSchema,
    shortfall: BaseUnitsSchema,
    excess: BaseUnitsSchema,
    late: Schema.Boolean,
    settledAt: Instant
  },
  InvoiceOverpaid: { excess: BaseUnitsSchema, at: Instant },
  InvoiceFinalized: { finalizedAt: Instant },
  InvoiceExpired: { expiredAt: Instant },
  InvoiceNeedsAttention: { reason: Attention, at: Instant },
  InvoiceCanceled: { reason: Schema.optionalKey(Schema.String), canceledAt: Instant }
})
export type Event = typeof Event.Type

const {
  ConfirmationOverdue,
  InvoiceCanceled,
  InvoiceExpired,
  InvoiceFinalized,
  InvoiceMarked,
  InvoiceNeedsAttention,
  InvoiceOpened,
  InvoiceOverpaid,
  InvoiceProcessing,
  InvoiceReopened,
  InvoiceSettled,
  PaymentConfirmed,
  PaymentDetected,
  PaymentDropped,
  PaymentFinalized,
  PaymentReincluded,
  PaymentReversed,
  ReversalStood,
  WindowClosed,
  WindowExtended
} = Event.cases

// State. Only what a decision reads.

export const Status = Schema.Literals(["open", "processing", "settled", "expired", "canceled", "needs_attention"])
export type Status = typeof Status.Type

export interface Payment {
  readonly chain: ChainId
  readonly asset: AssetId
  readonly decimals: number
  readonly amount: BaseUnits
  readonly value: BaseUnits | null
  readonly quote: Quote | undefined
  readonly lateness: typeof Lateness.Type
  readonly status: "detected" | "confirmed" | "finalized" | "dropped" | "reversed"
  readonly blockHash: string
}

export interface State {
  readonly status: Status | "unopened"
  readonly attention: Attention | null
  readonly merchantId: MerchantId | null
  readonly price: Price
  readonly methods: ReadonlyArray<Quote>
  readonly level: Level
  readonly policy: Policy | null
  readonly expiresAt: DateTime.Utc | null
  readonly payments: ReadonlyMap<string, Payment>
  // Facts that a status follows from.
  readonly closed: boolean
  readonly extended: boolean
  readonly canceled: boolean
  readonly marked: "settled" | "written_off" | null
  readonly settled: boolean
  readonly reversal: "none" | "waiting" | "stood"
  readonly overdue: boolean
  // What has been said, so as not to say it again.
  readonly receivedTold: BaseUnits
  readonly excessTold: BaseUnits
  readonly finalized: boolean
}

export const initial: State = {
  status: "unopened",
  attention: null,
  merchantId: null,
  price: { amount: zero, currency: "USD" },
  methods: [],
  level: "default",
  policy: null,
  expiresAt: null,
  payments: new Map(),
  closed: false,
  extended: false,
  canceled: false,
  marked: null,
  settled: false,
  reversal: "none",
  overdue: false,
  receivedTold: zero,
  excessTold: zero,
  finalized: false
}

const withPayment = (state: State, transferId: string, change: Partial<Payment>): State => {
  const payment = state.payments.get(transferId)
  return payment === undefined
    ? state
    : { ...state, payments: new Map(state.payments).set(transferId, { ...payment, ...change }) }
}

export const evolve = (state: State, event: Event): State =>
  Event.match(event, {
    InvoiceOpened: ({ expiresAt, level, merchantId, methods, policy, price }): State => ({
      ...state,
      status: "open",
      merchantId,
      price,
      methods,
      level,
      policy,
      expiresAt
    }),
    PaymentDetected: ({ amount, asset, block, chain, decimals, lateness, quote, transferId, value }): State => ({
      ...state,
      // Money that comes after somebody wrote the invoice off must be looked at again.
      marked: state.marked === "written_off" ? null : state.marked,
      payments: new Map(state.payments).set(transferId, {
        chain,
        asset,
        decimals,
        amount,
        value,
        quote,
        lateness,
        status: "detected",
        blockHash: block.hash
      })
    }),
    PaymentReincluded: ({ amount, block, transferId, value }): State =>
      withPayment(state, transferId, { amount, value, status: "detected", blockHash: block.hash }),
    PaymentConfirmed: ({ transferId }): State => {
      const next = withPayment(state, transferId, { status: "confirmed" })
      const stillGone = [...next.payments.values()].some(({ status }) => status === "reversed")
      return { ...next, overdue: false, reversal: state.reversal === "waiting" && !stillGone ? "none" : state.reversal }
    },
    PaymentFinalized: ({ transferId }): State => withPayment(state, transferId, { status: "finalized" }),
    PaymentDropped: ({ transferId }): State => ({
      ...withPayment(state, transferId, { status: "dropped" }),
      overdue: false
    }),
    PaymentReversed: ({ transferId }): State => ({
      ...withPayment(state, transferId, { status: "reversed" }),
      overdue: false,
      reversal: state.settled ? "waiting" : state.reversal
    }),
    WindowClosed: (): State => ({ ...state, closed: true }),
    WindowExtended: ({ expiresAt }): State => ({ ...state, expiresAt, extended: true }),
    ReversalStood: (): State => ({ ...state, reversal: "stood", settled: false, finalized: false }),
    ConfirmationOverdue: (): State => ({ ...state, overdue: true }),
    InvoiceMarked: ({ as }): State => ({ ...state, marked: as }),
    InvoiceProcessing: (): State => ({ ...state, status: "processing", attention: null }),
    InvoiceReopened: (): State => ({ ...state, status: "open", attention: null }),
    InvoiceSettled: ({ excess, received }): State => ({
      ...state,
      status: "settled",
      attention: null,
      settled: true,
      marked: state.marked === "written_off" ? null : state.marked,
      reversal: "none",
      receivedTold: received,
      excessTold: excess
    }),
    InvoiceOverpaid: ({ excess }): State => ({ ...state, excessTold: excess }),
    InvoiceFinalized: (): State => ({ ...state, finalized: true }),
    InvoiceExpired: (): State => ({ ...state, status: "expired", attention: null }),
    InvoiceNeedsAttention: ({ reason }): State => ({ ...state, status: "needs_attention", attention: reason }),
    InvoiceCanceled: (): State => ({ ...state, status: "canceled", canceled: true, attention: null })
  })

export const aggregate: Aggregate<State, Event> = {
  category: "invoice",
  prefix: "inv",
  evergreen: false,
  events: Event,
  initial,
  evolve
}

// Refusals. What a decision can say instead of events.

export class InvoiceExists extends Schema.TaggedError<InvoiceExists>()("InvoiceExists", {}) {}
export class InvoiceNotFound extends Schema.TaggedError<InvoiceNotFound>()("InvoiceNotFound", {}) {}
/** A payment is under way or has arrived: what was paid for can no longer be called off. */
export class PaymentUnderWay extends Schema.TaggedError<PaymentUnderWay>()("PaymentUnderWay", { status: Status }) {}
/** The invoice is in no state from which that can be done. */
export class NotPossibleNow extends Schema.TaggedError<NotPossibleNow>()("NotPossibleNow", { status: Status }) {}

// What the facts add up to.

const isLive = ({ status }: Payment) => status !== "dropped" && status !== "reversed"
const isSure = ({ status }: Payment) => status === "confirmed" || status === "finalized"
const counts = (payment: Payment) => payment.value !== null && payment.lateness !== "late_held"

type Counted = Pick<Payment, "asset" | "chain" | "amount" | "value">

const isBy = ({ asset, chain }: Pick<Quote, "asset" | "chain">) => (payment: Counted) =>
  payment.asset === asset && payment.chain === chain

/**
 * What payments are worth together. Those by one quote are added up before they are valued, so that who pays in parts
 * loses nothing to rounding.
 */
export const worthOf = (
  { methods, price }: Pick<State, "methods" | "price">,
  payments: ReadonlyArray<Counted>
): BaseUnits => {
  const asOffered = methods.map((quote) =>
    valueOf(sum(payments.filter(isBy(quote)).map(({ amount }) => amount)), price.currency, quote.decimals, quote.rate)
  )
  const unasked = payments.filter((payment) => offered({ methods }, payment) === undefined)
  return sum([...asOffered, ...unasked.map(({ value }) => value ?? 0n)])
}

/** What was asked, and what of it has been seen and is sure, as values. */
export const balance = (state: State) => {
  const live = [...state.payments.values()].filter(isLive)
  const due = valueOfPrice(state.price.amount ?? 0n)
  const counted = live.filter(counts)
  return { live, due, seen: worthOf(state, counted), sure: worthOf(state, counted.filter(isSure)) }
}

/** The larger of a share of the price and an absolute amount (invoice.md, 3). */
export const tolerance = ({ policy, price }: Pick<State, "policy" | "price">): bigint =>
  policy === null ? 0n : max(
    mulDivDown(valueOfPrice(price.amount ?? 0n), BigInt(policy.toleranceBasisPoints), 10_000n),
    valueOfPrice(policy.toleranceMinor)
  )

/** Whether a value settles the invoice. Nothing settles only an invoice over nothing, however much is tolerated. */
const covers = (state: State, value: bigint): boolean => {
  const { amount } = state.price
  if (amount === null) return state.closed && value > 0n
  return amount === 0n || (value > 0n && value + tolerance(state) >= valueOfPrice(amount))
}

/** What of a value is more than was asked, and more than is not worth mentioning (invoice.md, 5). */
export const excessOf = ({ policy, price }: Pick<State, "policy" | "price">, received: bigint): BaseUnits => {
  if (price.amount === null) return zero
  const due = valueOfPrice(price.amount)
  const over = max(0n, received - due)
  return over > mulDivDown(due, BigInt(policy?.excessBasisPoints ?? 0), 10_000n) ? over : zero
}

interface Standing {
  readonly status: Status
  readonly attention: Attention | null
}
const standing = (status: Status): Standing => ({ status, attention: null })
const attention = (reason: Attention): Standing => ({ status: "needs_attention", attention: reason })

/** The status is a function of the facts, and of nothing else. All the ifs are here. */
export const standingOf = (state: State): Standing => {
  const { live, seen, sure } = balance(state)
  const topUp = state.price.amount === null
  const paid = covers(state, sure) && !(topUp && seen > sure)
  const writtenOff = state.marked === "written_off"

  if (state.marked === "settled" || state.settled) return standing("settled")
  if (writtenOff && (state.canceled || !paid)) return standing("expired")
  if (state.canceled) return live.length > 0 ? attention("paid_after_cancel") : standing("canceled")
  if (paid) return standing("settled")
  if (state.reversal === "stood") return attention("reversed")
  if (state.overdue && covers(state, seen)) return attention("stuck")
  if (covers(state, seen)) return standing("processing")
  if (!state.closed) return standing("open")
  if (live.some(({ lateness, value }) => value !== null && lateness === "late_held")) return attention("late")
  if (live.some(({ value }) => value === null)) return attention("wrong_asset")
  return seen > 0n ? attention("underpaid") : standing("expired")
}

/** What follows from facts: the change of status they bring, and what must be said because of it. */
const conclude = (state: State, facts: ReadonlyArray<Event>, at: DateTime.Utc): Decision<Event> => {
  const next = facts.reduce(evolve, state)
  const events: Array<Event> = [...facts]
  const { attention, status } = standingOf(next)
  const { due, live, seen, sure } = balance(next)

  // A top-up that a reversal took a part from settles anew, for what is left.
  const anew = status === "settled" && !next.settled
  if (status !== next.status || attention !== next.attention || anew) {
    switch (status) {
      case "open":
        events.push(InvoiceReopened.make({ at }))
        break
      case "processing":
        events.push(InvoiceProcessing.make({ at }))
        break
      case "settled":
        events.push(InvoiceSettled.make({
          received: sure,
          shortfall: max(0n, due - sure),
          excess: excessOf(next, sure),
          late: live.some((payment) => counts(payment) && payment.lateness === "late_accepted"),
          settledAt: at
        }))
        break
      case "needs_attention":
        events.push(InvoiceNeedsAttention.make({ reason: attention ?? "underpaid", at }))
        break
      case "expired":
        events.push(InvoiceExpired.make({ expiredAt: at }))
        break
      case "canceled":
        events.push(InvoiceCanceled.make({ canceledAt: at }))
        break
    }
  }
  if (next.settled && excessOf(next, sure) > next.excessTold) {
    events.push(InvoiceOverpaid.make({ excess: excessOf(next, sure), at }))
  }
  if (
    status === "open" && !next.extended && seen > 0n && next.price.amount !== null &&
    next.expiresAt !== null && next.policy !== null && next.policy.extendSeconds > 0
  ) {
    const expiresAt = DateTime.add(next.expiresAt, { seconds: next.policy.extendSeconds })
    events.push(WindowExtended.make({ expiresAt, extendedAt: at }))
  }
  const counted = live.filter((payment) => counts(payment) && isSure(payment))
  if (status === "settled" && !next.finalized && counted.length > 0 && counted.every((p) => p.status === "finalized")) {
    events.push(InvoiceFinalized.make({ finalizedAt: at }))
  }
  return Result.succeed(events)
}

const nothing: Decision<Event> = Result.succeed([])

// Decisions. No events means: already so.

type Fields<Case extends { readonly Type: unknown }> = Omit<Case["Type"], "_tag">

export const open = (details: Fields<typeof InvoiceOpened>) => (state: State): Decision<Event, InvoiceExists> =>
  state.status === "unopened"
    ? conclude(state, [InvoiceOpened.make(details)], details.openedAt)
    : Result.fail(new InvoiceExists())

export interface Sighting {
  readonly transferId: string
  readonly chain: ChainId
  readonly asset: AssetId
  readonly decimals: number
  readonly amount: BaseUnits
  readonly from: Address
  readonly transaction: string
  readonly block: Block
  /** Today's market quote: made where the asset was not offered, or the transfer may be late. */
  readonly market: Quote | null
  readonly detectedAt: DateTime.Utc
}

/**
 * A transfer that the chain shows is a fact: it is never refused, whatever state the invoice is in. One of nothing
 * is no money, and anybody may send it to stop a merchant from canceling.
 */
export const detectPayment = (seen: Sighting) => (state: State) => {
  if (state.status === "unopened" || seen.amount === 0n) return nothing
  const known = state.payments.get(seen.transferId)
  if (known !== undefined) {
    if (known.blockHash === seen.block.hash && isLive(known)) return nothing
    const quote = known.quote ?? offered(state, seen)
    const value = quote === undefined ? null : valueIn(state, seen, quote)
    const { amount, block, detectedAt, transferId } = seen
    return conclude(
      state,
      [PaymentReincluded.make({ transferId, amount, value, block, reincludedAt: detectedAt })],
      detectedAt
    )
  }
  const { market, ...details } = seen
  const quote = offered(state, seen) ?? market ?? undefined
  const detected = PaymentDetected.make({
    ...details,
    value: quote === undefined ? null : valueIn(state, seen, quote),
    lateness: latenessOf(state, seen),
    ...(quote !== undefined && quote === market ? { quote } : {})
  })
  return conclude(state, [detected], seen.detectedAt)
}

const offered = (
  { methods }: Pick<State, "methods">,
  { asset, chain }: Pick<Sighting, "asset" | "chain">
): Quote | undefined => methods.find((quote) => quote.asset === asset && quote.chain === chain)

const valueIn = ({ price }: State, { amount, decimals }: Sighting, { rate }: Quote): BaseUnits =>
  valueOf(amount, price.currency, decimals, rate)

/** By the block's own time, never by the time of processing: our downtime makes nobody late (invoice.md, 1 and 2). */
const latenessOf = (state: State, seen: Sighting): typeof Lateness.Type => {
  const { expiresAt, policy } = state
  if (expiresAt === null || policy === null) return "on_time"
  const lateBy = (seen.block.time.epochMilliseconds - expiresAt.epochMilliseconds) / 1000
  if (lateBy <= policy.graceSeconds) return "on_time"
  if (lateBy > policy.lateWithinSeconds) return "late_held"
  return steady(state, seen, policy) ? "late_accepted" : "late_held"
}

/** Whether the asset is still worth about what it was quoted at. A stablecoin priced in its peg always is. */
const steady = (state: State, seen: Sighting, policy: Policy): boolean => {
  const locked = offered(state, seen)
  if (locked === undefined || pegged(seen.asset, state.price.currency)) return true
  if (seen.market === null) return false
  const then = locked.rate.numerator * seen.market.rate.denominator
  const now = seen.market.rate.numerator * locked.rate.denominator
  const moved = now > then ? now - then : then - now
  return moved * 10_000n <= then * BigInt(policy.maxRateMoveBasisPoints)
}

const pegged = (asset: AssetId, currency: Currency) => asset === currency || assets[asset].peg === currency

/**
 * Whether the market's price is to be had before this sighting is decided on. For an asset that this invoice did not
 * offer, only if the merchant accepts it elsewhere and its price stands still: others are for a person to look at
 * (invoice.md, 15).
 */
export const needsMarket = (
  state: Pick<State, "methods" | "price" | "expiresAt">,
  seen: Pick<Sighting, "asset" | "chain" | "block">,
  accepts: ReadonlyArray<Method>
): boolean => {
  if (offered(state, seen) === undefined) {
    return assets[seen.asset].peg !== null && accepts.some(({ asset }) => asset === seen.asset)
  }
  const late = state.expiresAt !== null && seen.block.time.epochMilliseconds > state.expiresAt.epochMilliseconds
  return late && !pegged(seen.asset, state.price.currency)
}

/** The chain's word that a transfer is as deep as `level`. Counts once it is as deep as this invoice asks. */
export const confirmPayment = (
  details: {
    readonly transferId: string
    readonly blockHash: string
    readonly level: Level
    readonly at: DateTime.Utc
  }
) =>
(state: State) => {
  const { at, blockHash, level, transferId } = details
  const payment = state.payments.get(transferId)
  if (payment === undefined || !isLive(payment) || payment.blockHash !== blockHash) return nothing
  const facts: Array<Event> = []
  if (!isSure(payment) && atLeast(level, state.level)) {
    facts.push(PaymentConfirmed.make({ transferId, level, confirmedAt: at }))
  }
  if (level === "final" && payment.status !== "finalized") {
    facts.push(PaymentFinalized.make({ transferId, finalizedAt: at }))
  }
  return facts.length === 0 ? nothing : conclude(state, facts, at)
}

/** A reorg removed the block that held the transfer. Says nothing if it stands in another one by now. */
export const dropPayment =
  (details: { readonly transferId: string; readonly blockHash: string; readonly at: DateTime.Utc }) =>
  (
    state: State
  ) => {
    const { at, blockHash, transferId } = details
    const payment = state.payments.get(transferId)
    if (payment === undefined || !isLive(payment) || payment.blockHash !== blockHash) return nothing
    const fact = isSure(payment) || state.settled
      ? PaymentReversed.make({ transferId, blockHash, reversedAt: at })
      : PaymentDropped.make({ transferId, blockHash, droppedAt: at })
    return conclude(state, [fact], at)
  }

/** Called when a payment that had settled the invoice has stayed away for the grace time of a reorg. */
export const letReversalStand = (at: DateTime.Utc) => (state: State) => {
  if (state.reversal !== "waiting") return nothing
  const { seen } = balance(state)
  const stillPaid = state.price.amount === null ? seen >= state.receivedTold : covers(state, seen)
  return stillPaid || state.marked === "settled" ? nothing : conclude(state, [ReversalStood.make({ stoodAt: at })], at)
}

/** Time is up. `readUntil`: the youngest moment that every chain of this invoice has been read to (invoice.md, 1). */
export const closeWindow =
  (details: { readonly readUntil: DateTime.Utc; readonly at: DateTime.Utc }) => (state: State) => {
    const { at, readUntil } = details
    if (state.closed || state.settled || state.canceled || state.expiresAt === null) return nothing
    return readUntil.epochMilliseconds > closesAt(state)
      ? conclude(state, [WindowClosed.make({ closedAt: at })], at)
      : nothing
  }

/** Milliseconds since the epoch up to which a transfer's block would still be in time. */
export const closesAt = ({ expiresAt, policy }: Pick<State, "expiresAt" | "policy">): number =>
  (expiresAt?.epochMilliseconds ?? 0) + (policy?.graceSeconds ?? 0) * 1000

/** A payment has been waiting to confirm for longer than the merchant's policy allows. Nothing becomes invalid by it. */
export const noteOverdue = (at: DateTime.Utc) => (state: State) =>
  state.status === "processing" && !state.overdue
    ? conclude(state, [ConfirmationOverdue.make({ overdueAt: at })], at)
    : nothing

type CannotCancel = InvoiceNotFound | NotPossibleNow | PaymentUnderWay

export const cancel = (details: { readonly reason?: string; readonly at: DateTime.Utc }) =>
(
  state: State
): Decision<Event, CannotCancel> => {
  const { at, reason } = details
  if (state.status === "unopened") return Result.fail(new InvoiceNotFound())
  if (state.canceled) return Result.succeed([])
  if (state.status !== "open") return Result.fail(new NotPossibleNow({ status: state.status }))
  if (balance(state).live.length > 0) return Result.fail(new PaymentUnderWay({ status: state.status }))
  return Result.succeed([InvoiceCanceled.make({ ...(reason !== undefined && { reason }), canceledAt: at })])
}

/** From which status a person may decide what. A settled invoice stays settled; a canceled one must not become paid by hand. */
const markable: Readonly<Record<"settled" | "written_off", ReadonlyArray<Status>>> = {
  settled: ["open", "processing", "expired", "needs_attention"],
  written_off: ["needs_attention"]
}

export const mark =
  (details: Fields<typeof InvoiceMarked>) => (state: State): Decision<Event, InvoiceNotFound | NotPossibleNow> => {
    if (state.status === "unopened") return Result.fail(new InvoiceNotFound())
    if (state.marked === details.as) return Result.succeed([])
    return markable[details.as].includes(state.status)
      ? conclude(state, [InvoiceMarked.make(details)], details.markedAt)
      : Result.fail(new NotPossibleNow({ status: state.status }))
  }

/**
 * What is left to pay by a method, in its base units, rounded up; zero once covered. What was paid by it already is
 * taken off as it is, so that two parts add up to what was due.
 */
export const remaining = (
  quote: Quote,
  { methods, price }: Pick<State, "methods" | "price">,
  counted: ReadonlyArray<Counted>
): BaseUnits => {
  const { asset, decimals, rate } = quote
  const isOwn = isBy(quote)
  const others = worthOf({ methods, price }, counted.filter((payment) => !isOwn(payment)))
  const left = max(0n, valueOfPrice(price.amount ?? 0n) - others)
  const due = legible(dueForValue(left, price.currency, decimals, rate), decimals, asset, price.currency)
  return max(0n, due - sum(counted.filter(isOwn).map(({ amount }) => amount)))
}
