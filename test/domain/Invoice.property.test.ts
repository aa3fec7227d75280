/** What holds of an invoice whatever happens to it, in whatever order, however often. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result } from "effect"
import * as fc from "fast-check"
import { type BaseUnits, sum, units, zero } from "#domain/Amount.ts"
import type { Level } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { type Quote, valueOf, valueOfPrice } from "#domain/Money.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { after, at, ether, hash, invoiceId, opening, policy, quote, sighting, usdc } from "../support/examples.ts"
import { projected } from "../support/specification.ts"

/** Transfers that may come, in assets that are offered and not, in full, in part and in crumbs. */
const transfers = [
  { transferId: "base:a1:0", amount: usdc(25) },
  { transferId: "base:a1:1", amount: usdc(10) },
  { transferId: "base:a2:0", amount: usdc(15) },
  { transferId: "base:a3:0", amount: usdc("0.000001") },
  { transferId: "ethereum:e1:-1", chain: "ethereum", asset: "eth", amount: units(ether("0.01") - 1n) },
  { transferId: "polygon:c1:-1", chain: "polygon", asset: "pol", amount: ether("49.9") }
] as const
type Transfer = typeof transfers[number]

type Step =
  | {
    readonly _tag: "Detect"
    readonly transfer: Transfer
    readonly fork: string
    readonly minute: number
    readonly market: boolean
  }
  | { readonly _tag: "Confirm"; readonly transfer: Transfer; readonly stale: boolean; readonly level: Level }
  | { readonly _tag: "Drop"; readonly transfer: Transfer; readonly stale: boolean }
  | { readonly _tag: "Close"; readonly minute: number }
  | { readonly _tag: "Stand" }
  | { readonly _tag: "Overdue" }
  | { readonly _tag: "Cancel" }
  | { readonly _tag: "Mark"; readonly as: "settled" | "written_off" }

/** The first one most often, so that more than one thing happens to it. */
const transfer = fc.oneof(fc.constant(transfers[0]), fc.constantFrom(...transfers))
/** Of the block, after the opening: in time, in grace, late, and later than anybody accepts. */
const minute = fc.constantFrom(5, 5, 16, 40, 90, 60 * 30)
/** News of a block in which the transfer no longer stands. */
const stale = fc.nat(7).map((n) => n === 0)
const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        _tag: fc.constant("Detect"),
        transfer,
        fork: fc.constantFrom("b0", "b0", "b1"),
        minute,
        market: fc.boolean()
      })
    },
    {
      weight: 12,
      arbitrary: fc.record({
        _tag: fc.constant("Confirm"),
        transfer,
        stale,
        level: fc.constantFrom("small", "default", "final")
      })
    },
    { weight: 6, arbitrary: fc.record({ _tag: fc.constant("Drop"), transfer, stale }) },
    { weight: 2, arbitrary: fc.record({ _tag: fc.constant("Close"), minute }) },
    { weight: 4, arbitrary: fc.record({ _tag: fc.constant("Stand") }) },
    { weight: 2, arbitrary: fc.record({ _tag: fc.constant("Overdue") }) },
    { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Cancel") }) },
    { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Mark"), as: fc.constantFrom("settled", "written_off") }) }
  ) as fc.Arbitrary<Step>,
  { minLength: 5, maxLength: 40, size: "max" }
)

const invoice = fc.record({
  price: fc.record({
    amount: fc.constantFrom<BaseUnits | null>(units(2500n), units(2500n), units(5000n), units(1n), null),
    currency: fc.constant("USD")
  }),
  level: fc.constantFrom<Level>("small", "default", "final"),
  policy: fc.constantFrom(
    policy(),
    policy({ toleranceBasisPoints: 0, excessBasisPoints: 0, extendSeconds: 0 }),
    policy({ toleranceMinor: units(100n), graceSeconds: 0, lateWithinSeconds: 3600 })
  )
})

const elsewhere: Quote = quote({ chain: "polygon", asset: "pol" })

type Chain = ReadonlyMap<string, string>
const blockOf = (chain: Chain, { stale, transfer: { transferId } }: { stale: boolean; transfer: Transfer }) =>
  stale ? hash("b9") : chain.get(transferId) ?? hash("b0")

const decisionOf = (step: Step, now: DateTime.Utc, chain: Chain) =>
(
  state: Invoice.State
): Result.Result<ReadonlyArray<Invoice.Event>, { readonly _tag: string }> => {
  switch (step._tag) {
    case "Detect": {
      const block = { number: step.minute, hash: hash(step.fork), time: after(at("10:00"), step.minute * 60) }
      const market = !step.market
        ? null
        : "chain" in step.transfer && step.transfer.chain === "ethereum"
        ? quote({ chain: "ethereum", asset: "eth" })
        : elsewhere
      return Invoice.detectPayment(sighting({ ...step.transfer, block, market, detectedAt: now }))(state)
    }
    case "Confirm": {
      const { level, transfer: { transferId } } = step
      return Invoice.confirmPayment({ transferId, blockHash: blockOf(chain, step), level, at: now })(state)
    }
    case "Drop":
      return Invoice.dropPayment({
        transferId: step.transfer.transferId,
        blockHash: blockOf(chain, step),
        at: now
      })(state)
    case "Close":
      return Invoice.closeWindow({ readUntil: after(at("10:00"), step.minute * 60), at: now })(state)
    case "Stand":
      return Invoice.letReversalStand(now)(state)
    case "Overdue":
      return Invoice.noteOverdue(now)(state)
    case "Cancel":
      return Invoice.cancel({ at: now })(state)
    case "Mark":
      return Invoice.mark({ as: step.as, reason: "because", by: "user:ada", markedAt: now })(state)
  }
}
const isFact = ({ _tag }: Step) => _tag !== "Cancel" && _tag !== "Mark"

interface Moment {
  readonly step: Step
  readonly now: DateTime.Utc
  readonly before: Invoice.State
  readonly outcome: Result.Result<ReadonlyArray<Invoice.Event>, { readonly _tag: string }>
  readonly events: ReadonlyArray<Invoice.Event>
  readonly state: Invoice.State
  /** All events up to here. */
  readonly past: ReadonlyArray<Invoice.Event>
  /** Where the chain had each transfer, and has it now, by what the steps say alone: the hash of its block. */
  readonly chainBefore: Chain
  readonly chain: Chain
}

/** Lives through the steps, one a minute, and looks at every moment. */
const always = (look: (moment: Moment) => void) =>
  fc.assert(
    fc.property(invoice, steps, (terms, steps) => {
      let past = Result.getOrThrow(Invoice.open({ ...opening, ...terms })(Invoice.initial))
      let state = past.reduce(Invoice.evolve, Invoice.initial)
      let chain: Chain = new Map()
      for (const [i, step] of steps.entries()) {
        const now = after(at("10:00"), (i + 1) * 60)
        const before = state
        const chainBefore = chain
        const outcome = decisionOf(step, now, chain)(before)
        const events = Result.getOrElse(outcome, () => [])
        past = [...past, ...events]
        state = events.reduce(Invoice.evolve, before)
        chain = moved(chain, step)
        look({ step, now, before, outcome, events, state, past, chainBefore, chain })
      }
    }),
    { numRuns: 1000 }
  )

const moved = (chain: Chain, step: Step): Chain => {
  if (step._tag === "Detect") return new Map(chain).set(step.transfer.transferId, hash(step.fork))
  if (step._tag !== "Drop" || step.stale) return chain
  const left = new Map(chain)
  left.delete(step.transfer.transferId)
  return left
}

const isLive = ({ status }: Invoice.Payment) => status !== "dropped" && status !== "reversed"
const rateOf = ({ asset, chain, quote }: Invoice.Payment) =>
  (quote ?? opening.methods.find((method) => method.asset === asset && method.chain === chain))?.rate

describe("whatever happens to an invoice", () => {
  it("no unit of money is lost: what stands on the chain is counted, held, or without a price", () => {
    always(({ chain, state }) => {
      const live = [...state.payments].filter(([, payment]) => isLive(payment))
      assert.deepStrictEqual(new Map(live.map(([id, { blockHash }]) => [id, blockHash])), chain)
      // What came by one quote is valued together, so that parts add up.
      const together = new Map<string, { payment: Invoice.Payment; amount: bigint }>()
      for (const [id, payment] of live) {
        const { amount } = transfers.find(({ transferId }) => transferId === id) ?? { amount: zero }
        assert.strictEqual(payment.amount, amount)
        const rate = rateOf(payment)
        assert.strictEqual(payment.value, rate === undefined ? null : valueOf(amount, "USD", payment.decimals, rate))
        if (payment.lateness === "late_held" || rate === undefined) continue
        const quoted = payment.quote === undefined ? `${payment.chain} ${payment.asset}` : id
        together.set(quoted, { payment, amount: amount + (together.get(quoted)?.amount ?? 0n) })
      }
      const counted = [...together.values()].map(({ amount, payment }) =>
        valueOf(amount, "USD", payment.decimals, rateOf(payment) ?? { numerator: 0n, denominator: 1n })
      )
      assert.strictEqual(Invoice.balance(state).seen, sum(counted))
      assert.strictEqual(Invoice.balance(state).live.length, live.length)
    })
  })

  it("its status as told by events is the status that follows from the facts", () => {
    always(({ state }) =>
      assert.deepStrictEqual({ status: state.status, attention: state.attention }, Invoice.standingOf(state) as never)
    )
  })

  it("a fact is never refused", () => {
    always(({ outcome, step }) => assert.isTrue(!isFact(step) || Result.isSuccess(outcome)))
  })

  it("the same thing a second time is nothing new", () => {
    always(({ chainBefore, now, outcome, state, step }) =>
      Result.isSuccess(outcome) && assert.deepStrictEqual(decisionOf(step, now, chainBefore)(state), Result.succeed([]))
    )
  })

  it("what is refused changes nothing and is refused again", () => {
    always(({ before, chain, now, outcome, state, step }) => {
      if (Result.isSuccess(outcome)) return
      assert.strictEqual(state, before)
      assert.deepStrictEqual(decisionOf(step, now, chain)(state), outcome)
    })
  })

  it("once settled it stays settled, unless a reversal stands", () => {
    always(({ before, events, state }) => {
      const unsettled = before.status === "settled" && state.status !== "settled"
      assert.isTrue(!unsettled || events.some(({ _tag }) => _tag === "ReversalStood"))
    })
  })

  it("it is settled only when paid for to within the tolerance, or by hand", () => {
    always(({ events, state }) => {
      const told = events.find((event) => event._tag === "InvoiceSettled")
      if (told === undefined || state.marked === "settled") return
      const due = valueOfPrice(state.price.amount ?? 0n)
      assert.isTrue(told.received > 0n)
      assert.isTrue(told.received + Invoice.tolerance(state) >= due)
      assert.strictEqual(told.shortfall, units(told.received < due ? due - told.received : 0n))
      const sure = [...state.payments.values()].filter((payment) =>
        (payment.status === "confirmed" || payment.status === "finalized") && payment.lateness !== "late_held"
      )
      assert.strictEqual(told.received, sum(sure.map(({ value }) => value ?? 0n)))
    })
  })

  it("it is extended at most once, and closes at most once", () => {
    always(({ past }) => {
      for (const tag of ["WindowExtended", "WindowClosed"]) {
        assert.isAtMost(past.filter(({ _tag }) => _tag === tag).length, 1)
      }
    })
  })

  it("a cancel never succeeds while money stands on the chain", () => {
    always(({ chain, events, step }) =>
      assert.isTrue(step._tag !== "Cancel" || events.length === 0 || chain.size === 0)
    )
  })

  it("its row agrees with it", () => {
    always(({ past, state }) => {
      const row = projected(invoiceDetails, invoiceId)(...past)
      if (row === null) return assert.fail("no row")
      const { seen, sure } = Invoice.balance(state)
      assert.deepStrictEqual(
        {
          status: row.status,
          attention: row.attention,
          received: row.received,
          excess: row.excess,
          settled: row.settledAt !== null,
          finalized: row.finalizedAt !== null,
          closed: row.closed,
          expiresAt: row.expiresAt,
          version: row.version,
          payments: row.payments.map(({ amount, block, status, transferId, value }) =>
            [transferId, amount, value, status, block.hash] as const
          )
        },
        {
          status: state.status as Invoice.Status,
          attention: state.attention,
          received: seen,
          excess: state.settled ? Invoice.excessOf(state, sure) : zero,
          settled: state.settled,
          finalized: state.finalized,
          closed: state.closed,
          expiresAt: state.expiresAt ?? at("00:00"),
          version: past.length,
          payments: [...state.payments].map(([id, { amount, blockHash, status, value }]) =>
            [id, amount, value, status, blockHash] as const
          )
        }
      )
    })
  })
})
