/** What an invoice decides. "decision N" is the row of that number in the table of `docs/invoice.md`. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { type BaseUnits, units, zero } from "#domain/Amount.ts"
import * as Invoice from "#domain/Invoice.ts"
import {
  at,
  block,
  canceled,
  closed,
  confirmed,
  detected,
  dropped,
  ether,
  expired,
  extended,
  finalized,
  hash,
  invoiceFinalized,
  marked,
  needsAttention,
  opened,
  opening,
  overdue,
  overpaid,
  policy,
  processing,
  quote,
  reincluded,
  reopened,
  reversed,
  settled,
  sighting,
  stood,
  topUp,
  usd,
  usdc,
  value
} from "../support/examples.ts"
import { specification } from "../support/specification.ts"

const { cases } = Invoice.Event

/** A past is only worth testing on if it could have happened: its status is what its facts add up to. */
const given = (...past: ReadonlyArray<Invoice.Event>) => {
  const { attention, status } = past.reduce(Invoice.evolve, Invoice.initial)
  if (status !== "unopened") {
    const facts = past.reduce(Invoice.evolve, Invoice.initial)
    assert.deepStrictEqual({ status, attention }, Invoice.standingOf(facts), "a past that never was")
  }
  return specification(Invoice.aggregate)(...past)
}

const confirmation = { transferId: "base:a1:0", blockHash: hash("b0"), level: "default", at: at("10:06") } as const
const removal = { transferId: "base:a1:0", blockHash: hash("b0"), at: at("10:08") }
const noLeniency = policy({ toleranceBasisPoints: 0, excessBasisPoints: 0 })

/** Another transfer than the example's. */
const second = { transferId: "base:a2:0", transaction: hash("a2") }
const isPaid = [opened(), detected(), processing, confirmed(), settled()]
const isReversed = [...isPaid, reversed()]
const isUnderpaid = [
  opened(),
  detected({ amount: usdc(10) }),
  extended,
  closed,
  needsAttention("underpaid")
]

/** Whether the example invoice needs the market's price; its merchant takes USDC and ETH. */
const needs = (chain: "base" | "ethereum", asset: "usdc" | "eth" | "dai", time: string) =>
  Invoice.needsMarket(
    [opened()].reduce(Invoice.evolve, Invoice.initial),
    { chain, asset, block: block(time) },
    [{ chain: "base", asset: "usdc" }, { chain: "ethereum", asset: "eth" }]
  )

describe("opening", () => {
  it("records what is asked, and waits", () =>
    given()
      .when(Invoice.open(opening))
      .emits(opened()))

  it("is refused for an invoice that is there already", () =>
    given(opened())
      .when(Invoice.open(opening))
      .refuses(new Invoice.InvoiceExists()))

  it("decision 20: an invoice over nothing is settled at once and needs no address", () =>
    given()
      .when(Invoice.open({ ...opening, price: { amount: zero, currency: "USD" }, payTo: null, methods: [] }))
      .emits(
        opened({ price: { amount: zero, currency: "USD" }, payTo: null, methods: [] }),
        settled({ received: zero, settledAt: at("10:00") })
      ))

  it("decision 20: an invoice over less than the tolerance is not an invoice over nothing", () => {
    const cheap = {
      price: { amount: usd("0.50"), currency: "USD" },
      policy: policy({ toleranceMinor: usd(1) })
    } as const
    given()
      .when(Invoice.open({ ...opening, ...cheap }))
      .emits(opened(cheap))
  })
})

describe("a payment that arrives", () => {
  it("is under way until it is as deep as the invoice asks", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting()))
      .emits(detected(), processing))

  it("settles the invoice once it is deep enough", () =>
    given(opened(), detected(), processing)
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed(), settled()))

  it("is heard of only once", () =>
    given(opened(), detected(), processing)
      .when(Invoice.detectPayment(sighting({ detectedAt: at("10:06") })))
      .emits())

  it("is confirmed only once", () =>
    given(...isPaid)
      .when(Invoice.confirmPayment(confirmation))
      .emits())

  it("is nothing to an invoice that does not exist", () => {
    given().when(Invoice.detectPayment(sighting())).emits()
    given().when(Invoice.confirmPayment(confirmation)).emits()
    given().when(Invoice.dropPayment(removal)).emits()
  })

  it("is confirmed in the block in which it stands, and in no other", () =>
    given(opened(), detected(), processing)
      .when(Invoice.confirmPayment({ ...confirmation, blockHash: hash("b9") }))
      .emits())

  it("is not confirmed before it was seen", () =>
    given(opened())
      .when(Invoice.confirmPayment(confirmation))
      .emits())

  it("decision 13: two transfers in one transaction are two payments", () => {
    const half = { amount: usdc("12.5"), transaction: hash("a1") }
    given(opened(), detected(half), extended)
      .when(Invoice.detectPayment(sighting({ ...half, transferId: "base:a1:1" })))
      .emits(detected({ ...half, transferId: "base:a1:1" }), processing)
  })

  it("decision 14: of nothing is no payment", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting({ amount: zero })))
      .emits())

  it("decision 12: that replaces a dropped one counts in its stead", () =>
    given(opened(), detected(), processing, dropped(), reopened)
      .when(Invoice.detectPayment(sighting(second)))
      .emits(detected(second), processing))
})

describe("on time or late", () => {
  const justInTime = block("10:16")
  const justLate = block("10:16:01")

  it("decision 1: the block's time counts, however late we hear of it", () => {
    const heardOf = { block: block("10:14"), detectedAt: at("13:00") }
    given(opened(), closed, expired)
      .when(Invoice.detectPayment(sighting(heardOf)))
      .emits(detected(heardOf), cases.InvoiceProcessing.make({ at: at("13:00") }))
  })

  it("decision 1: a block as late as the grace time, to the second, is in time", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting({ block: justInTime })))
      .emits(detected({ block: justInTime }), processing))

  it("decision 1: a block one second later is late", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting({ block: justLate })))
      .emits(detected({ block: justLate, lateness: "late_accepted" }), processing))

  it("decision 1: the window closes once every chain was read to beyond expiry and grace", () =>
    given(opened())
      .when(Invoice.closeWindow({ readUntil: at("10:16:01"), at: at("10:17") }))
      .emits(closed, expired))

  it("decision 24: the window is held open while a chain has not been read so far", () =>
    given(opened())
      .when(Invoice.closeWindow({ readUntil: at("10:16"), at: at("13:00") }))
      .emits())

  it("decision 1: the window closes once", () =>
    given(opened(), closed, expired)
      .when(Invoice.closeWindow({ readUntil: at("10:18"), at: at("10:18") }))
      .emits())

  it("decision 1: there is no window to close on what is settled, canceled or not there", () => {
    const close = Invoice.closeWindow({ readUntil: at("11:00"), at: at("11:00") })
    given(...isPaid).when(close).emits()
    given(opened(), canceled).when(close).emits()
    given().when(close).emits()
  })

  it("25: a payment under way outlives the window, however long its chain takes to be sure", () =>
    given(opened(), detected(), processing)
      .when(Invoice.closeWindow({ readUntil: at("10:16:01"), at: at("10:17") }))
      .emits(closed))

  it("51: a payment of the last second that is seen after the expiry brings the invoice back", () =>
    given(opened(), closed, expired)
      .when(Invoice.detectPayment(sighting({ block: justInTime, detectedAt: at("10:18") })))
      .emits(
        detected({ block: justInTime, detectedAt: at("10:18") }),
        cases.InvoiceProcessing.make({ at: at("10:18") })
      ))
})

describe("a full payment that is late", () => {
  const eth = { transferId: "ethereum:e1:-1", chain: "ethereum", asset: "eth", amount: ether("0.01") } as const
  const late = { block: block("11:00"), detectedAt: at("11:00") }
  const atRate = (numerator: bigint) =>
    quote({ chain: "ethereum", asset: "eth", rate: { numerator, denominator: 100n }, quotedAt: at("11:00") })
  const isExpired = [opened(), closed, expired]
  const processingNow = cases.InvoiceProcessing.make({ at: at("11:00") })
  const heldFor = needsAttention("late", at("11:00"))

  it("decision 2: settles all the same, and says that it was late", () => {
    given(...isExpired)
      .when(Invoice.detectPayment(sighting(late)))
      .emits(detected({ ...late, lateness: "late_accepted" }), processingNow)
    given(...isExpired, detected({ ...late, lateness: "late_accepted" }), processingNow)
      .when(Invoice.confirmPayment({ ...confirmation, at: at("11:01") }))
      .emits(confirmed({ confirmedAt: at("11:01") }), settled({ late: true, settledAt: at("11:01") }))
  })

  it("decision 2: is accepted up to the last second of what the merchant accepts, and held after it", () => {
    const within = policy({ lateWithinSeconds: 3600 })
    const last = { block: block("11:15"), detectedAt: at("11:00") }
    const beyond = { block: block("11:15:01"), detectedAt: at("11:00") }
    given(opened({ policy: within }), closed, expired)
      .when(Invoice.detectPayment(sighting(last)))
      .emits(detected({ ...last, lateness: "late_accepted" }), processingNow)
    given(opened({ policy: within }), closed, expired)
      .when(Invoice.detectPayment(sighting(beyond)))
      .emits(detected({ ...beyond, lateness: "late_held" }), heldFor)
  })

  it.each(
    [
      ["risen by exactly what is allowed", 255_000n, "late_accepted"],
      ["risen by more", 255_001n, "late_held"],
      ["fallen by exactly what is allowed", 245_000n, "late_accepted"],
      ["fallen by more", 244_999n, "late_held"]
    ] as const
  )("decision 2: in an asset that has %s", (_, rate, lateness) =>
    given(...isExpired)
      .when(Invoice.detectPayment(sighting({ ...eth, ...late, market: atRate(rate) })))
      .emits(
        detected({ ...eth, ...late, lateness }),
        lateness === "late_held" ? heldFor : processingNow
      ))

  it("decision 2: is held where nobody can say what a volatile asset is worth now", () =>
    given(...isExpired)
      .when(Invoice.detectPayment(sighting({ ...eth, ...late, market: null })))
      .emits(detected({ ...eth, ...late, lateness: "late_held" }), heldFor))

  it("decision 2: in a stablecoin priced in its peg needs no look at the market", () => {
    const wild = quote({ rate: { numerator: 1n, denominator: 2n }, quotedAt: at("11:00") })
    given(...isExpired)
      .when(Invoice.detectPayment(sighting({ ...late, market: wild })))
      .emits(detected({ ...late, lateness: "late_accepted" }), processingNow)
  })

  it("decision 2: is not counted while it is held", () =>
    given(...isExpired, detected({ ...late, lateness: "late_held" }), heldFor)
      .when(Invoice.confirmPayment({ ...confirmation, at: at("11:01") }))
      .emits(confirmed({ confirmedAt: at("11:01") })))

  it("decision 2: settles once somebody accepts it", () =>
    given(...isExpired, detected({ ...late, lateness: "late_held" }), heldFor)
      .when(Invoice.mark({ as: "settled", reason: "fine with us", by: "user:ada", markedAt: at("11:30") }))
      .emits(
        marked({ reason: "fine with us", markedAt: at("11:30") }),
        settled({ received: zero, shortfall: value(25), settledAt: at("11:30") })
      ))

  it("decision 2: needs the market's price only for what is late and volatile", () =>
    assert.deepStrictEqual(
      {
        offeredInTime: needs("ethereum", "eth", "10:05"),
        volatileLate: needs("ethereum", "eth", "10:15:01"),
        stableLate: needs("base", "usdc", "10:15:01")
      },
      { offeredInTime: false, volatileLate: true, stableLate: false }
    ))
})

describe("an asset that was not offered", () => {
  it("decision 15: is priced if it is stable and the merchant takes it elsewhere; else a person must look", () =>
    assert.deepStrictEqual(
      {
        stableAccepted: needs("ethereum", "usdc", "10:05"),
        stableNotAccepted: needs("ethereum", "dai", "10:05"),
        volatileAccepted: needs("base", "eth", "10:05")
      },
      { stableAccepted: true, stableNotAccepted: false, volatileAccepted: false }
    ))
})

describe("a payment that falls short", () => {
  const short = { amount: usdc("24.875") }
  const tooShort = { amount: usdc("24.874999") }

  it("decision 3: by exactly the tolerance is on its way to settle", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting(short)))
      .emits(detected(short), processing))

  it("decision 3: settles, and its shortfall is recorded", () =>
    given(opened(), detected(short), processing)
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed(), settled({ received: value("24.875"), shortfall: value("0.125") })))

  it("decision 3: by one base unit more than the tolerance is a part", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting(tooShort)))
      .emits(detected(tooShort), extended))

  it("decision 3: may fall short by the larger of the share and the absolute amount", () => {
    const dollar = policy({ toleranceMinor: usd(1) })
    given(opened({ policy: dollar }))
      .when(Invoice.detectPayment(sighting({ amount: usdc(24) })))
      .emits(detected({ amount: usdc(24) }), processing)
    given(opened({ policy: dollar }))
      .when(Invoice.detectPayment(sighting({ amount: usdc("23.999999") })))
      .emits(detected({ amount: usdc("23.999999") }), extended)
  })

  it("44: by one base unit is a part where the merchant tolerates nothing", () =>
    given(opened({ policy: noLeniency }))
      .when(Invoice.detectPayment(sighting({ amount: usdc("24.999999") })))
      .emits(detected({ amount: usdc("24.999999") }), extended))

  it("decision 4: gives the payer more time, once", () => {
    const part = { amount: usdc(10) }
    given(opened())
      .when(Invoice.detectPayment(sighting(part)))
      .emits(detected(part), extended)
    given(opened(), detected(part), extended)
      .when(Invoice.detectPayment(sighting({ ...second, amount: usdc(5) })))
      .emits(detected({ ...second, amount: usdc(5) }))
  })

  it("decision 4: gives no more time where the merchant gives none", () =>
    given(opened({ policy: policy({ extendSeconds: 0 }) }))
      .when(Invoice.detectPayment(sighting({ amount: usdc(10) })))
      .emits(detected({ amount: usdc(10) })))

  it("decision 4: has the time that was given", () => {
    const rest = { ...second, amount: usdc(15), block: block("10:31"), detectedAt: at("10:31") }
    given(opened(), detected({ amount: usdc(10) }), extended)
      .when(Invoice.closeWindow({ readUntil: at("10:31"), at: at("10:31") }))
      .emits()
    given(opened(), detected({ amount: usdc(10) }), extended)
      .when(Invoice.detectPayment(sighting(rest)))
      .emits(detected(rest), cases.InvoiceProcessing.make({ at: at("10:31") }))
  })

  it("decision 4: is brought to somebody's attention when time is up", () =>
    given(opened(), detected({ amount: usdc(10) }), extended)
      .when(Invoice.closeWindow({ readUntil: at("10:31:01"), at: at("10:32") }))
      .emits(
        cases.WindowClosed.make({ closedAt: at("10:32") }),
        needsAttention("underpaid", at("10:32"))
      ))

  it("decision 4: can be topped up afterwards", () => {
    const rest = { ...second, amount: usdc(15), block: block("10:40"), detectedAt: at("10:40") }
    given(...isUnderpaid)
      .when(Invoice.detectPayment(sighting(rest)))
      .emits(
        detected({ ...rest, lateness: "late_accepted" }),
        cases.InvoiceProcessing.make({ at: at("10:40") })
      )
  })

  it("45: by little, many times, adds up to the unit", () => {
    const parts = Array.from(
      { length: 9 },
      (_, i) => detected({ transferId: `base:a1:${i}`, amount: usdc("2.777777") })
    )
    const sure = parts.map(({ transferId }) => confirmed({ transferId }))
    const [first, ...others] = parts
    const rest = { ...second, amount: usdc("0.000007") }
    given(
      opened({ policy: noLeniency }),
      ...(first === undefined ? [] : [first]),
      extended,
      ...others,
      ...sure,
      detected(rest),
      processing
    )
      .when(Invoice.confirmPayment({ ...confirmation, transferId: "base:a2:0" }))
      .emits(confirmed({ transferId: "base:a2:0" }), settled())
  })

  it("says what is left to pay, rounded up to the asset's unit", () => {
    const left = (chain: "base" | "ethereum", asset: "usdc" | "eth", ...paid: ReadonlyArray<Invoice.Payment>) =>
      Invoice.remaining(quote({ chain, asset }), opening, paid)
    const paid = (
      amount: Parameters<typeof usdc>[0]
    ) => [...[opened(), detected({ amount: usdc(amount) })].reduce(Invoice.evolve, Invoice.initial).payments.values()]
    assert.strictEqual(left("base", "usdc"), usdc(25))
    assert.strictEqual(left("base", "usdc", ...paid(10)), usdc(15))
    assert.strictEqual(left("ethereum", "eth", ...paid(10)), ether("0.006"))
    assert.strictEqual(left("base", "usdc", ...paid("24.999999")), units(1n))
    assert.strictEqual(left("base", "usdc", ...paid(26)), zero)
  })

  it("is nobody's loss by rounding: two parts of what was due are the whole, whatever the rate", () => {
    // 25 EUR at 1.08 USD each: 10 USDC are 9.2592… EUR.
    const rate = { numerator: 100n, denominator: 108n }
    const due = usdc(27)
    const [first, second] = [usdc(10), usdc(17)]
    const exact = { ...opening, policy: policy({ toleranceBasisPoints: 0 }), methods: [quote({ rate, due })] }
    const part = (transferId: string, amount: BaseUnits) =>
      Invoice.detectPayment(sighting({ transferId, amount, transaction: hash(transferId.slice(5, 7)) }))
    const play = (state: Invoice.State, decide: ReturnType<typeof part>) =>
      Result.getOrThrow(decide(state)).reduce(Invoice.evolve, state)
    const one = play([opened(exact)].reduce(Invoice.evolve, Invoice.initial), part("base:a1:0", first))
    assert.strictEqual(Invoice.remaining(exact.methods[0]!, exact, [...one.payments.values()]), second)
    const both = play(one, part("base:a2:0", second))
    assert.strictEqual(both.status, "processing")
    assert.strictEqual(Invoice.balance(both).seen, value(25))
  })
})

describe("more than was asked", () => {
  it("decision 5: settles the invoice, and the excess is recorded", () =>
    given(opened(), detected({ amount: usdc(30) }), processing)
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed(), settled({ received: value(30), excess: value(5) })))

  it("decision 5: by no more than dust is not mentioned", () =>
    given(opened(), detected({ amount: usdc("25.125") }), processing)
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed(), settled({ received: value("25.125") })))

  it("decision 5: by one base unit more than dust is", () =>
    given(opened(), detected({ amount: usdc("25.125001") }), processing)
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed(), settled({ received: value("25.125001"), excess: value("0.125001") })))

  it("decision 6: a second full payment leaves the invoice settled", () =>
    given(...isPaid)
      .when(Invoice.detectPayment(sighting(second)))
      .emits(detected(second)))

  it("decision 6: a second full payment is told of once it is sure", () =>
    given(...isPaid, detected(second))
      .when(Invoice.confirmPayment({ ...confirmation, transferId: "base:a2:0", at: at("10:09") }))
      .emits(confirmed({ transferId: "base:a2:0", confirmedAt: at("10:09") }), overpaid))

  it("decision 6: the same excess is told of once, a larger one again", () => {
    const third = { transferId: "base:a3:0", transaction: hash("a3") }
    const doubled = [...isPaid, detected(second), confirmed({ transferId: "base:a2:0" }), overpaid]
    given(...doubled)
      .when(Invoice.detectPayment(sighting(third)))
      .emits(detected(third))
    given(...doubled, detected(third))
      .when(Invoice.confirmPayment({ ...confirmation, transferId: "base:a3:0" }))
      .emits(
        confirmed({ transferId: "base:a3:0" }),
        cases.InvoiceOverpaid.make({ excess: value(50), at: at("10:06") })
      )
  })
})

describe("several assets on one invoice", () => {
  const eth = { transferId: "ethereum:e1:-1", chain: "ethereum", asset: "eth" } as const

  it("decision 7: each counts at its own quote", () =>
    given(opened(), detected({ amount: usdc(10) }), extended)
      .when(Invoice.detectPayment(sighting({ ...eth, amount: ether("0.006") })))
      .emits(detected({ ...eth, amount: ether("0.006"), value: value(15) }), processing))

  it("decision 7: what arrived is rounded down, so that it takes all of what is due", () => {
    const almost = units(ether("0.01") - 1n)
    given(opened({ policy: noLeniency }))
      .when(Invoice.detectPayment(sighting({ ...eth, amount: almost })))
      .emits(detected({ ...eth, amount: almost, value: units(value(25) - 1n) }), extended)
    given(opened({ policy: noLeniency }))
      .when(Invoice.detectPayment(sighting({ ...eth, amount: ether("0.01") })))
      .emits(detected({ ...eth, amount: ether("0.01"), value: value(25) }), processing)
  })

  it("decision 9: a payment counts at the locked rate, whatever the market says by now", () => {
    const crashed = quote({ chain: "ethereum", asset: "eth", rate: { numerator: 1000n, denominator: 1n } })
    given(opened())
      .when(Invoice.detectPayment(sighting({ ...eth, amount: ether("0.01"), market: crashed })))
      .emits(detected({ ...eth, amount: ether("0.01"), value: value(25) }), processing)
  })

  it("decision 8: every method that was offered stays good, whichever was chosen", () => {
    const parts = [
      detected({ amount: usdc(10) }),
      extended,
      detected({ ...eth, amount: ether("0.006") }),
      processing,
      confirmed()
    ]
    given(opened(), ...parts)
      .when(Invoice.confirmPayment({ ...confirmation, transferId: "ethereum:e1:-1" }))
      .emits(confirmed({ transferId: "ethereum:e1:-1" }), settled())
  })
})

describe("an asset that was not offered", () => {
  const pol = { transferId: "polygon:c1:-1", chain: "polygon", asset: "pol", amount: ether(50) } as const
  const market = quote({ chain: "polygon", asset: "pol", quotedAt: at("10:05") })

  it("decision 15: is credited at the market's price where the merchant accepts it, and the quote is kept", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting({ ...pol, market })))
      .emits(detected({ ...pol, value: value(25), quote: market }), processing))

  it("decision 15: keeps its first quote when it comes back in another block", () => {
    const back = { ...pol, block: block("10:07", "b1"), detectedAt: at("10:07") }
    const crashed = { ...market, rate: { numerator: 1n, denominator: 100n } }
    given(opened(), detected({ ...pol, value: value(25), quote: market }), processing)
      .when(Invoice.detectPayment(sighting({ ...back, market: crashed })))
      .emits(reincluded({ transferId: pol.transferId, amount: pol.amount, value: value(25) }))
  })

  it("41: is recorded without being counted where there is no price for it", () =>
    given(opened())
      .when(Invoice.detectPayment(sighting(pol)))
      .emits(detected({ ...pol, value: null })))

  it("decision 15: waits for somebody to decide once time is up", () =>
    given(opened(), detected({ ...pol, value: null }))
      .when(Invoice.closeWindow({ readUntil: at("10:17"), at: at("10:17") }))
      .emits(closed, needsAttention("wrong_asset")))

  it("52: does not hinder a payment in the right one", () =>
    given(opened(), detected({ ...pol, value: null }))
      .when(Invoice.detectPayment(sighting()))
      .emits(detected(), processing))

  it("41: the right asset on another chain is another asset", () => {
    const elsewhere = { transferId: "arbitrum:d1:0", chain: "arbitrum" } as const
    given(opened())
      .when(Invoice.detectPayment(sighting(elsewhere)))
      .emits(detected({ ...elsewhere, value: null }))
  })
})

describe("a reorg before the invoice is settled", () => {
  const back = { block: block("10:07", "b1"), detectedAt: at("10:07") }
  const isDropped = [opened(), detected(), processing, dropped(), reopened]

  it("decision 10: takes the payment away, and the invoice waits again", () =>
    given(opened(), detected(), processing)
      .when(Invoice.dropPayment({ ...removal, at: at("10:06") }))
      .emits(dropped(), reopened))

  it("decision 10: leaves the invoice expired where time is up", () =>
    given(opened(), detected(), processing, closed)
      .when(Invoice.dropPayment({ ...removal, at: at("10:18") }))
      .emits(dropped({ droppedAt: at("10:18") }), cases.InvoiceExpired.make({ expiredAt: at("10:18") })))

  it("decision 10: takes a payment away only once", () =>
    given(...isDropped)
      .when(Invoice.dropPayment(removal))
      .emits())

  it("decision 10: the payment may return in another block", () =>
    given(...isDropped)
      .when(Invoice.detectPayment(sighting(back)))
      .emits(reincluded(), cases.InvoiceProcessing.make({ at: at("10:07") })))

  it("decision 10: the payment may return in the very same block", () =>
    given(...isDropped)
      .when(Invoice.detectPayment(sighting({ detectedAt: at("10:07") })))
      .emits(reincluded({ block: block("10:05") }), cases.InvoiceProcessing.make({ at: at("10:07") })))

  it("decision 10: may show the new block before it takes away the old one", () => {
    given(opened(), detected(), processing)
      .when(Invoice.detectPayment(sighting(back)))
      .emits(reincluded())
    given(opened(), detected(), processing, reincluded())
      .when(Invoice.dropPayment(removal))
      .emits()
    given(opened(), detected(), processing, reincluded())
      .when(Invoice.confirmPayment(confirmation))
      .emits()
    given(opened(), detected(), processing, reincluded())
      .when(Invoice.confirmPayment({ ...confirmation, blockHash: hash("b1") }))
      .emits(confirmed(), settled())
  })

  it("decision 10: a payment that was first seen in time stays in time, whenever its new block was made", () => {
    const late = { block: block("10:40", "b1"), detectedAt: at("10:40") }
    const again = reincluded({ block: late.block, reincludedAt: at("10:40") })
    const processingAgain = cases.InvoiceProcessing.make({ at: at("10:40") })
    const isGone = [opened(), detected(), processing, closed, dropped(), expired]
    given(...isGone)
      .when(Invoice.detectPayment(sighting(late)))
      .emits(again, processingAgain)
    given(...isGone, again, processingAgain)
      .when(Invoice.confirmPayment({ ...confirmation, blockHash: hash("b1"), at: at("10:41") }))
      .emits(confirmed({ confirmedAt: at("10:41") }), settled({ settledAt: at("10:41") }))
  })

  it("decision 10: may bring another amount, which then counts", () => {
    const less = { ...back, amount: usdc(20) }
    given(opened(), detected(), processing)
      .when(Invoice.detectPayment(sighting(less)))
      .emits(
        reincluded({ amount: usdc(20) }),
        cases.InvoiceReopened.make({ at: at("10:07") }),
        cases.WindowExtended.make({ expiresAt: at("10:30"), extendedAt: at("10:07") })
      )
  })

  it("19: takes away a confirmed part, and it is no longer counted", () => {
    const part = [opened(), detected({ amount: usdc(10) }), extended, confirmed()]
    given(...part)
      .when(Invoice.dropPayment(removal))
      .emits(reversed())
    given(...part, reversed())
      .when(Invoice.letReversalStand(at("10:40")))
      .emits()
  })

  it("21: a transfer that never comes back settles nothing", () =>
    given(...isDropped)
      .when(Invoice.confirmPayment(confirmation))
      .emits())
})

describe("a reorg after the invoice is settled", () => {
  const back = { block: block("10:09", "b1"), detectedAt: at("10:09") }
  const again = reincluded({ block: back.block, reincludedAt: at("10:09") })
  const reversedForGood = [...isReversed, stood, needsAttention("reversed", at("10:40"))]

  it("decision 11: is recorded, and the invoice waits for the payment to return", () =>
    given(...isPaid)
      .when(Invoice.dropPayment(removal))
      .emits(reversed()))

  it("decision 11: a payment that returns is as before", () => {
    given(...isReversed)
      .when(Invoice.detectPayment(sighting(back)))
      .emits(again)
    given(...isReversed, again)
      .when(Invoice.confirmPayment({ ...confirmation, blockHash: hash("b1"), at: at("10:10") }))
      .emits(confirmed({ confirmedAt: at("10:10") }))
  })

  it("decision 11: stands when the payment stays away, and the invoice is settled no longer", () =>
    given(...isReversed)
      .when(Invoice.letReversalStand(at("10:40")))
      .emits(stood, needsAttention("reversed", at("10:40"))))

  it("decision 11: stands once", () =>
    given(...reversedForGood)
      .when(Invoice.letReversalStand(at("10:41")))
      .emits())

  it("decision 11: does not stand when the payment is back, sure or not", () => {
    given(...isReversed, again)
      .when(Invoice.letReversalStand(at("10:40")))
      .emits()
    given(...isReversed, again, confirmed())
      .when(Invoice.letReversalStand(at("10:40")))
      .emits()
  })

  it("decision 11: does not stand when another payment makes up for it, to within the tolerance", () => {
    const instead = detected({ ...second, amount: usdc("24.875") })
    given(...isReversed, instead)
      .when(Invoice.letReversalStand(at("10:40")))
      .emits()
    given(...isReversed, detected({ ...second, amount: usdc("24.874999") }))
      .when(Invoice.letReversalStand(at("10:40")))
      .emits(stood, needsAttention("reversed", at("10:40")))
  })

  it("decision 11: does not stand against an invoice that nothing was taken from", () => {
    given(...isPaid).when(Invoice.letReversalStand(at("10:40"))).emits()
    given(opened()).when(Invoice.letReversalStand(at("10:40"))).emits()
  })

  it("decision 11: what was settled by hand stays settled", () => {
    const byHand = [
      opened(),
      detected(),
      processing,
      marked({ markedAt: at("10:06") }),
      settled({ received: zero, shortfall: value(25) }),
      reversed()
    ]
    given(...byHand)
      .when(Invoice.letReversalStand(at("10:40")))
      .emits()
  })

  it("decision 11: settles again when the payment comes back after all", () => {
    const late = reincluded({ block: block("10:50", "b2"), reincludedAt: at("10:50") })
    given(...reversedForGood)
      .when(Invoice.detectPayment(sighting({ block: late.block, detectedAt: at("10:50") })))
      .emits(late)
    given(...reversedForGood, late)
      .when(Invoice.confirmPayment({ ...confirmation, blockHash: hash("b2"), at: at("10:51") }))
      .emits(confirmed({ confirmedAt: at("10:51") }), settled({ settledAt: at("10:51") }))
  })

  it("decision 11: can take away again what had come back", () =>
    given(...isReversed, again)
      .when(Invoice.dropPayment({ ...removal, blockHash: hash("b1"), at: at("10:12") }))
      .emits(reversed({ blockHash: hash("b1"), reversedAt: at("10:12") })))

  it("22: deeper than finality is undone like any other, and finality is said anew", () => {
    const final = [...isPaid, finalized(), invoiceFinalized]
    const undone = [...final, reversed(), stood, needsAttention("reversed", at("10:40"))]
    const instead = [detected(second), confirmed({ transferId: "base:a2:0" }), settled()]
    given(...final)
      .when(Invoice.dropPayment(removal))
      .emits(reversed())
    given(...undone, ...instead)
      .when(
        Invoice.confirmPayment({ transferId: "base:a2:0", blockHash: hash("b0"), level: "final", at: at("10:20") })
      )
      .emits(finalized({ transferId: "base:a2:0" }), invoiceFinalized)
  })
})

describe("by hand", () => {
  const mark = (as: "settled" | "written_off") =>
    Invoice.mark({ as, reason: "paid in cash", by: "user:ada", markedAt: at("10:30") })
  const settledByHand = settled({ received: zero, shortfall: value(25), settledAt: at("10:30") })
  const writtenOff = marked({ as: "written_off" })
  const expiredByHand = cases.InvoiceExpired.make({ expiredAt: at("10:30") })

  it("decision 18: an invoice is settled with who and why", () =>
    given(opened())
      .when(mark("settled"))
      .emits(marked(), settledByHand))

  it("decision 18: what has arrived by then is recorded, and the rest is the shortfall", () =>
    given(...isUnderpaid, confirmed())
      .when(mark("settled"))
      .emits(marked(), settled({ received: value(10), shortfall: value(15), settledAt: at("10:30") })))

  const pasts: Readonly<Record<Invoice.Status, ReadonlyArray<Invoice.Event>>> = {
    open: [opened()],
    processing: [opened(), detected(), processing],
    settled: isPaid,
    expired: [opened(), closed, expired],
    canceled: [opened(), canceled],
    needs_attention: isUnderpaid
  }
  const markable = {
    settled: ["open", "processing", "expired", "needs_attention"],
    written_off: ["needs_attention"]
  } satisfies Record<"settled" | "written_off", ReadonlyArray<Invoice.Status>>

  for (const as of ["settled", "written_off"] as const) {
    it.each(Invoice.Status.literals.filter((status) => !markable[as].some((one) => one === status)))(
      `decision 18: an invoice that is %s cannot be marked ${as}`,
      (status) =>
        given(...pasts[status])
          .when(mark(as))
          .refuses(new Invoice.NotPossibleNow({ status }))
    )
  }

  it.each(markable.settled)("decision 18: an invoice that is %s can be settled", (status) =>
    given(...pasts[status])
      .when(mark("settled"))
      .emits(marked(), settledByHand))

  it("decision 18: is done once", () => {
    given(opened(), marked(), settledByHand).when(mark("settled")).emits()
    given(...isUnderpaid, writtenOff, expiredByHand).when(mark("written_off")).emits()
  })

  it("decision 18: is refused for an invoice that does not exist", () =>
    given()
      .when(mark("settled"))
      .refuses(new Invoice.InvoiceNotFound()))

  it("decision 18: what is paid on an invoice that was settled by hand is recorded", () => {
    given(opened(), marked(), settledByHand)
      .when(Invoice.detectPayment(sighting()))
      .emits(detected())
    given(opened(), marked(), settledByHand, detected({ amount: usdc(50) }))
      .when(Invoice.confirmPayment({ ...confirmation, at: at("10:09") }))
      .emits(confirmed({ confirmedAt: at("10:09") }), overpaid)
  })

  it("decision 18: a written-off invoice is expired", () =>
    given(...isUnderpaid)
      .when(mark("written_off"))
      .emits(writtenOff, expiredByHand))

  it("decision 18: a written-off invoice can be settled after all", () =>
    given(...isUnderpaid, writtenOff, expiredByHand)
      .when(mark("settled"))
      .emits(marked(), settledByHand))

  it("decision 26: money that comes after somebody wrote the invoice off is looked at again", () => {
    const little = { ...second, amount: usdc(1), block: block("10:35"), detectedAt: at("10:35") }
    given(...isUnderpaid, writtenOff, expiredByHand)
      .when(Invoice.detectPayment(sighting(little)))
      .emits(detected({ ...little, lateness: "late_accepted" }), needsAttention("underpaid", at("10:35")))
  })

  it("decision 26: a written-off invoice is settled when what was waiting confirms in full", () => {
    const stuckAndWrittenOff = [
      opened(),
      detected(),
      processing,
      overdue,
      needsAttention("stuck", at("11:00")),
      writtenOff,
      expiredByHand
    ]
    given(...stuckAndWrittenOff)
      .when(Invoice.confirmPayment({ ...confirmation, at: at("12:00") }))
      .emits(confirmed({ confirmedAt: at("12:00") }), settled({ settledAt: at("12:00") }))
    given(...stuckAndWrittenOff, confirmed(), settled(), reversed())
      .when(Invoice.letReversalStand(at("10:40")))
      .emits(stood, needsAttention("reversed", at("10:40")))
  })
})

describe("canceling", () => {
  const cancel = Invoice.cancel({ reason: "ordered twice", at: at("10:04") })
  const isCanceled = [opened(), canceled]
  const afterCancel = needsAttention("paid_after_cancel", at("10:05"))

  it("decision 19: calls off what nobody has begun to pay", () =>
    given(opened())
      .when(cancel)
      .emits(canceled))

  it("decision 19: needs no reason", () =>
    given(opened())
      .when(Invoice.cancel({ at: at("10:04") }))
      .emits(cases.InvoiceCanceled.make({ canceledAt: at("10:04") })))

  it("decision 19: is done once", () =>
    given(...isCanceled)
      .when(cancel)
      .emits())

  it("decision 19: is refused while a part is in flight", () =>
    given(opened(), detected({ amount: usdc(10) }), extended)
      .when(cancel)
      .refuses(new Invoice.PaymentUnderWay({ status: "open" })))

  it("decision 19: is refused while money waits that is not counted", () =>
    given(opened(), detected({ chain: "polygon", asset: "pol", value: null }))
      .when(cancel)
      .refuses(new Invoice.PaymentUnderWay({ status: "open" })))

  it("decision 19: is possible when a reorg took the payment away", () =>
    given(opened(), detected(), processing, dropped(), reopened)
      .when(cancel)
      .emits(canceled))

  it.each(
    [
      ["processing", [opened(), detected(), processing]],
      ["settled", isPaid],
      ["expired", [opened(), closed, expired]],
      ["needs_attention", isUnderpaid]
    ] as const
  )("decision 19: is refused for an invoice that is %s", (status, past) =>
    given(...past)
      .when(cancel)
      .refuses(new Invoice.NotPossibleNow({ status })))

  it("decision 19: is refused for an invoice that does not exist", () =>
    given()
      .when(cancel)
      .refuses(new Invoice.InvoiceNotFound()))

  it("decision 19: money that arrives afterwards is brought to somebody's attention", () =>
    given(...isCanceled)
      .when(Invoice.detectPayment(sighting()))
      .emits(detected(), afterCancel))

  it("decision 19: money that arrives afterwards settles nothing by itself", () =>
    given(...isCanceled, detected(), afterCancel)
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed()))

  it("decision 19: the merchant may take the money that arrived afterwards", () =>
    given(...isCanceled, detected(), afterCancel, confirmed())
      .when(Invoice.mark({ as: "settled", reason: "shipped anyway", by: "user:ada", markedAt: at("10:30") }))
      .emits(marked({ reason: "shipped anyway" }), settled({ settledAt: at("10:30") })))

  it("decision 19: an invoice is merely canceled again when that money is taken away by a reorg", () =>
    given(...isCanceled, detected(), afterCancel)
      .when(Invoice.dropPayment({ ...removal, at: at("10:06") }))
      .emits(dropped(), cases.InvoiceCanceled.make({ canceledAt: at("10:06") })))

  it("63: whichever of cancel and payment comes first, the other finds one lawful answer", () => {
    given(...isCanceled).when(Invoice.detectPayment(sighting())).emits(detected(), afterCancel)
    given(opened(), detected(), processing).when(cancel).refuses(new Invoice.NotPossibleNow({ status: "processing" }))
  })
})

describe("a top-up", () => {
  const welcome = opened({ price: topUp })
  const anything = { amount: usdc(3) }
  const close = Invoice.closeWindow({ readUntil: at("10:17"), at: at("10:17") })

  it("decision 21: stays open for more, and gets no extension", () => {
    given(welcome)
      .when(Invoice.detectPayment(sighting(anything)))
      .emits(detected(anything))
    given(welcome, detected(anything))
      .when(Invoice.confirmPayment(confirmation))
      .emits(confirmed())
  })

  it("decision 21: settles with all that arrived when its time is up", () =>
    given(
      welcome,
      detected(anything),
      confirmed(),
      detected({ ...second, amount: usdc(100) }),
      confirmed({ transferId: "base:a2:0" })
    )
      .when(close)
      .emits(closed, settled({ received: value(103), settledAt: at("10:17") })))

  it("decision 21: waits for what is under way when its time is up", () => {
    const waiting = [welcome, detected(anything), confirmed(), detected({ ...second, amount: usdc(100) })]
    given(...waiting)
      .when(close)
      .emits(closed, cases.InvoiceProcessing.make({ at: at("10:17") }))
    given(...waiting, closed, processing)
      .when(Invoice.confirmPayment({ ...confirmation, transferId: "base:a2:0" }))
      .emits(confirmed({ transferId: "base:a2:0" }), settled({ received: value(103) }))
  })

  it("decision 21: expires when nothing arrived", () =>
    given(welcome)
      .when(close)
      .emits(closed, expired))

  it("decision 21: has nothing left to pay", () =>
    assert.strictEqual(Invoice.remaining(quote(), { ...opening, price: topUp }, []), zero))

  it("decision 21: a reversal that stands leaves it settled for what is left", () => {
    const both = [
      welcome,
      detected(anything),
      confirmed(),
      detected({ ...second, amount: usdc(100) }),
      confirmed({ transferId: "base:a2:0" }),
      closed,
      settled({ received: value(103) })
    ]
    given(...both, reversed({ transferId: "base:a2:0" }))
      .when(Invoice.letReversalStand(at("10:40")))
      .emits(stood, settled({ received: value(3), settledAt: at("10:40") }))
  })
})

describe("a payment that does not confirm", () => {
  const isStuck = [opened(), detected(), processing, overdue, needsAttention("stuck", at("11:00"))]

  it("decision 22: is brought to somebody's attention", () =>
    given(opened(), detected(), processing)
      .when(Invoice.noteOverdue(at("11:00")))
      .emits(overdue, needsAttention("stuck", at("11:00"))))

  it("decision 22: is so once", () =>
    given(...isStuck)
      .when(Invoice.noteOverdue(at("11:01")))
      .emits())

  it("decision 22: is not waited for where nothing is under way", () => {
    given(opened()).when(Invoice.noteOverdue(at("11:00"))).emits()
    given(...isPaid).when(Invoice.noteOverdue(at("11:00"))).emits()
    given().when(Invoice.noteOverdue(at("11:00"))).emits()
  })

  it("decision 22: still settles the invoice when it confirms", () =>
    given(...isStuck)
      .when(Invoice.confirmPayment({ ...confirmation, at: at("12:00") }))
      .emits(confirmed({ confirmedAt: at("12:00") }), settled({ settledAt: at("12:00") })))

  it("decision 22: does not make the next one overdue", () => {
    const gone = [...isStuck, dropped(), reopened]
    given(...isStuck)
      .when(Invoice.dropPayment({ ...removal, at: at("10:06") }))
      .emits(dropped(), reopened)
    given(...gone)
      .when(Invoice.detectPayment(sighting(second)))
      .emits(detected(second), processing)
  })
})

describe("how sure we must be", () => {
  const under = (level: "small" | "default" | "final") => [opened({ level }), detected(), processing]
  const reached = (level: "small" | "default" | "final") => Invoice.confirmPayment({ ...confirmation, level })

  it.each(
    [
      ["small", "small"],
      ["small", "default"],
      ["default", "default"]
    ] as const
  )("decision 23: an invoice that asks for %s is settled at %s", (asks, level) =>
    given(...under(asks))
      .when(reached(level))
      .emits(confirmed({ level }), settled()))

  it.each(
    [
      ["default", "small"],
      ["final", "small"],
      ["final", "default"]
    ] as const
  )("decision 23: an invoice that asks for %s is not settled at %s", (asks, level) =>
    given(...under(asks))
      .when(reached(level))
      .emits())

  it.each(["small", "default", "final"] as const)(
    "decision 23: what is final settles an invoice that asks for %s, finally",
    (asks) =>
      given(...under(asks))
        .when(reached("final"))
        .emits(
          confirmed({ level: "final" }),
          finalized({ finalizedAt: at("10:06") }),
          settled(),
          cases.InvoiceFinalized.make({ finalizedAt: at("10:06") })
        )
  )

  it("decision 11: a settled invoice is final when all that settled it is", () => {
    const halves = [
      opened(),
      detected({ amount: usdc(10) }),
      extended,
      detected({ ...second, amount: usdc(15) }),
      processing,
      confirmed(),
      confirmed({ transferId: "base:a2:0" }),
      settled()
    ]
    const final = { ...confirmation, level: "final", at: at("10:20") } as const
    given(...halves)
      .when(Invoice.confirmPayment(final))
      .emits(finalized())
    given(...halves, finalized())
      .when(Invoice.confirmPayment({ ...final, transferId: "base:a2:0" }))
      .emits(finalized({ transferId: "base:a2:0" }), invoiceFinalized)
    given(...halves, finalized(), finalized({ transferId: "base:a2:0" }), invoiceFinalized)
      .when(Invoice.confirmPayment(final))
      .emits()
  })

  it("decision 23: a part that is final says nothing yet of the invoice", () =>
    given(opened(), detected({ amount: usdc(10) }), extended)
      .when(Invoice.confirmPayment({ ...confirmation, level: "final" }))
      .emits(confirmed({ level: "final" }), finalized({ finalizedAt: at("10:06") })))
})
