/** Invoices as payers meet them: each is told by the domain's own decisions, so that no state is one that cannot be. */
import { DateTime, Result } from "effect"
import { parse, units } from "#domain/Amount.ts"
import { Address, type AssetId, type ChainId, chains, type Method, tokenOf } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { MerchantId } from "#domain/Merchant.ts"
import { type Currency, dueFor, type Quote, type Ratio } from "#domain/Money.ts"
import { defaultPolicy } from "#domain/Policy.ts"
import type { ChainHeight } from "#projections/CheckoutView.ts"
import type { MerchantRow } from "#projections/Directory.ts"
import { type InvoiceDetails, invoiceDetails } from "#projections/InvoiceDetails.ts"

export const invoiceId = Invoice.InvoiceId.make("inv_01m8x4p7h2f3g9k6q5r0s1t8vw")
const merchantId = MerchantId.make("mer_7zzzzzzzzzzzzzzzzzzzzzzzzz")
const payTo = Address.make("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf")
const payer = Address.make("0x2b5ad5c4795c026514f8317c7a215e218dccd6cf")

export const merchant: MerchantRow = {
  id: merchantId,
  name: "Blue Mug Coffee",
  currency: "EUR",
  accepts: [],
  policy: defaultPolicy,
  branding: { accent: "#2f5bea", supportEmail: "hello@bluemug.example", website: "https://bluemug.example" },
  createdAt: DateTime.makeUnsafe("2026-01-01T00:00:00Z")
}

/** Whole euros for one whole unit; the decimals do not matter here, only that they are exact. */
const rates: Readonly<Record<AssetId, Ratio>> = {
  eth: { numerator: 301245n, denominator: 100n },
  usdc: { numerator: 9223n, denominator: 10000n },
  usdt: { numerator: 9221n, denominator: 10000n },
  dai: { numerator: 9219n, denominator: 10000n },
  eurc: { numerator: 1n, denominator: 1n },
  pol: { numerator: 31n, denominator: 100n },
  bnb: { numerator: 54210n, denominator: 100n },
  avax: { numerator: 2140n, denominator: 100n }
}

type Decide = (state: Invoice.State) => Result.Result<ReadonlyArray<Invoice.Event>, unknown>

interface Opening {
  readonly methods?: ReadonlyArray<Method>
  readonly amount?: bigint | null
  readonly currency?: Currency
  readonly description?: string
  readonly orderId?: string
}

/** What happens to one invoice, minute by minute; `now` is when somebody looks at it. */
const tell = (now: DateTime.Utc) => {
  let state = Invoice.initial
  let row: InvoiceDetails | null = null
  let version = 0
  const at = (minutes: number) => DateTime.add(now, { minutes })
  const does = (decide: Decide) => {
    for (const event of Result.getOrThrow(decide(state))) {
      state = Invoice.evolve(state, event)
      row = invoiceDetails.apply(row, event, { stream: invoiceId, version: ++version, recordedAt: now })
    }
    return story
  }
  const quote = ({ asset, chain }: Method, amount: bigint | null, currency: Currency, when: DateTime.Utc): Quote => {
    const decimals = tokenOf({ asset, chain })?.decimals ?? 18
    return {
      chain,
      asset,
      decimals,
      due: amount === null ? null : dueFor(amount, currency, decimals, rates[asset]),
      rate: rates[asset],
      sources: ["fixed"],
      quotedAt: when,
      lockedUntil: DateTime.add(when, { minutes: 15 }),
      spreadBasisPoints: 0
    }
  }
  const story = {
    opened: (minutes: number, opening: Opening = {}) => {
      const { amount = 2500n, currency = "EUR", description = "Blue mug, 350 ml", methods = [base], orderId = "1042" } =
        opening
      return does(Invoice.open({
        merchantId,
        mode: chains[methods[0]?.chain ?? "base"].mode,
        price: { amount: amount === null ? null : units(amount), currency },
        payTo: { address: payTo, wallet: "wal_x", index: 7 },
        methods: methods.map((method) => quote(method, amount, currency, at(minutes))),
        level: "default",
        policy: defaultPolicy,
        orderId,
        description,
        redirectUrl: "https://bluemug.example/orders/1042",
        metadata: { cart: "77" },
        openedAt: at(minutes),
        expiresAt: at(minutes + 15)
      }))
    },
    sends: (minutes: number, amount: string, method: Method = base, number = 100, nth = 1) => {
      const { asset, chain } = method
      const decimals = tokenOf(method)?.decimals ?? 18
      return does(Invoice.detectPayment({
        transferId: transferId(chain, nth),
        chain,
        asset,
        decimals,
        amount: Result.getOrThrow(parse(amount, decimals)),
        from: payer,
        transaction: hash(nth),
        block: { number, hash: hash(number), time: at(minutes) },
        market: null,
        detectedAt: at(minutes)
      }))
    },
    confirms: (minutes: number, method: Method = base, number = 100, nth = 1) =>
      does(Invoice.confirmPayment({
        transferId: transferId(method.chain, nth),
        blockHash: hash(number),
        level: "default",
        at: at(minutes)
      })),
    loses: (minutes: number, method: Method = base, number = 100, nth = 1) =>
      does(Invoice.dropPayment({
        transferId: transferId(method.chain, nth),
        blockHash: hash(number),
        at: at(minutes)
      })),
    closes: (minutes: number) => does(Invoice.closeWindow({ readUntil: at(minutes), at: at(minutes) })),
    does: (decide: (when: typeof at) => Decide) => does(decide(at)),
    seen: (head = 100, heights: Partial<ChainHeight> = {}): Story => {
      if (row === null) throw new Error("a story begins with an invoice")
      const chainIds = [...new Set([...row.methods, ...row.payments].map(({ chain }) => chain))]
      return {
        details: row,
        heights: chainIds.map((chain) => ({ chain, number: head, checkedAt: now, halted: null, ...heights }))
      }
    }
  }
  return story
}

export interface Story {
  readonly details: InvoiceDetails
  readonly heights: ReadonlyArray<ChainHeight>
  /** Another merchant than the usual one. */
  readonly merchant?: MerchantRow
}

const base: Method = { chain: "base", asset: "usdc" }
const several: ReadonlyArray<Method> = [
  { chain: "ethereum", asset: "usdc" },
  base,
  { chain: "arbitrum", asset: "usdt" },
  { chain: "base", asset: "eurc" },
  { chain: "ethereum", asset: "eth" }
]
const onDev: ReadonlyArray<Method> = [
  { chain: "dev", asset: "usdc" },
  { chain: "dev", asset: "dai" },
  { chain: "dev", asset: "eth" }
]
const hash = (n: number) => `0x${(n * 2654435761 >>> 0).toString(16).padStart(8, "0").repeat(8)}`
const transferId = (chain: ChainId, nth: number) => `${chain}:${hash(nth)}:0`
const full = "27.106148"
/** In minor units. */
const fortune = 10n ** 36n - 1n

/** Every state of the page, as somebody sees it at a moment. */
export const stories: Readonly<Record<string, (now: DateTime.Utc) => Story>> = {
  choosing: (now) => tell(now).opened(-1, { methods: several }).seen(),
  "choosing in test mode": (now) => tell(now).opened(-1, { methods: onDev }).seen(),
  waiting: (now) => tell(now).opened(-2).seen(),
  "waiting for ether": (now) => tell(now).opened(-14, { methods: [{ chain: "ethereum", asset: "eth" }] }).seen(),
  "waiting for a top-up": (now) => tell(now).opened(-2, { amount: null, description: "Top up your card" }).seen(),
  "waiting while the network is behind": (now) =>
    tell(now).opened(-4).seen(100, { checkedAt: DateTime.subtract(now, { minutes: 3 }) }),
  partial: (now) => tell(now).opened(-6).sends(-2, "12.1").seen(104),
  "partial and confirmed": (now) => tell(now).opened(-6, { methods: several }).sends(-2, "12.1").confirms(-1).seen(140),
  seen: (now) => tell(now).opened(-3).sends(-0.2, full).seen(102),
  paid: (now) => tell(now).opened(-3).sends(-1, full).confirms(0).seen(120),
  "paid in two": (now) =>
    tell(now).opened(-8).sends(-5, "12.1").confirms(-4).sends(-1, "15.006148", base, 160, 2).confirms(0, base, 160, 2)
      .seen(180),
  overpaid: (now) => tell(now).opened(-3).sends(-1, "32.5").confirms(0).seen(120),
  // In euro coins: whether another asset may be late depends on what it is worth by now.
  "paid late": (now) => {
    const method: Method = { chain: "base", asset: "eurc" }
    return tell(now).opened(-25, { methods: [method] }).closes(-5).sends(-3, "25", method).confirms(0, method).seen(120)
  },
  underpaid: (now) => tell(now).opened(-45).sends(-40, "12.1").confirms(-39).closes(-1).seen(900),
  late: (now) => tell(now).opened(-2000).closes(-1900).sends(-3, full).confirms(0).seen(120),
  "wrong asset": (now) =>
    tell(now).opened(-30).sends(-25, "0.01", { chain: "base", asset: "eth" }).closes(-1).seen(900),
  "paid after cancel": (now) =>
    tell(now).opened(-9).does((at) => Invoice.cancel({ at: at(-5) })).sends(-1, full).seen(102),
  stuck: (now) => tell(now).opened(-1500).sends(-1490, full).does((at) => Invoice.noteOverdue(at(0))).seen(101),
  reversed: (now) =>
    tell(now).opened(-60).sends(-58, full).confirms(-57).loses(-50).does((at) => Invoice.letReversalStand(at(-1)))
      .seen(900),
  expired: (now) => tell(now).opened(-25).closes(-5).seen(),
  canceled: (now) => tell(now).opened(-9).does((at) => Invoice.cancel({ at: at(-5) })).seen(),
  checking: (now) => tell(now).opened(-16).seen(100, { checkedAt: DateTime.subtract(now, { minutes: 3 }) })
}

/** The same story where every text is as long as the API allows, in words that no line can hold. */
export const atLength = ({ details, heights }: Story): Story => {
  const word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
  const most = (letters: number) => `${word}${" und ".repeat(2)}${word.repeat(9)}`.slice(0, letters)
  return {
    details: { ...details, description: most(500), orderId: most(200) },
    heights,
    merchant: {
      ...merchant,
      name: most(120),
      branding: { ...merchant.branding, supportEmail: `${most(64).replaceAll(" ", ".")}@example.org` }
    }
  }
}

/** States of the page at the largest price that the API takes. */
export const fortunes: Readonly<Record<string, (now: DateTime.Utc) => Story>> = {
  "choosing how to pay a fortune": (now) => tell(now).opened(-1, { methods: several, amount: fortune }).seen(),
  "waiting for a fortune": (now) =>
    tell(now).opened(-1, { methods: [{ chain: "ethereum", asset: "eth" }], amount: fortune }).seen(),
  "a part of a fortune": (now) =>
    tell(now).opened(-6, { amount: fortune }).sends(-2, `${"987654321".repeat(3)}.123456`).seen(104)
}
