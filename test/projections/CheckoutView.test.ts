import { assert, describe, it } from "@effect/vitest"
import { DateTime, Schema } from "effect"
import { CheckoutSnapshot, type CheckoutState, checkoutView } from "#projections/CheckoutView.ts"
import { merchant, stories } from "../support/payerStories.ts"

const now = DateTime.makeUnsafe("2026-03-02T10:00:00Z")
const viewOf = (name: string, at = now) => {
  const { details, heights } = stories[name]!(at)
  return checkoutView(details, merchant, heights, at)
}

const states: Readonly<Record<string, CheckoutState>> = {
  choosing: "choosing",
  "choosing in test mode": "choosing",
  waiting: "waiting",
  "waiting for ether": "waiting",
  "waiting for a top-up": "waiting",
  "waiting while the network is behind": "waiting",
  partial: "partial",
  "partial and confirmed": "partial",
  seen: "seen",
  paid: "paid",
  "paid in two": "paid",
  overpaid: "overpaid",
  "paid late": "paid_late",
  underpaid: "needs_attention",
  late: "needs_attention",
  "wrong asset": "needs_attention",
  "paid after cancel": "needs_attention",
  stuck: "needs_attention",
  reversed: "reversed",
  expired: "expired",
  canceled: "canceled",
  checking: "checking"
}

describe("what a payer is told", () => {
  it("has a row in this table for every story", () =>
    assert.deepStrictEqual(Object.keys(states).sort(), Object.keys(stories).sort()))

  it("shows every state there is", () =>
    assert.deepStrictEqual(
      [...new Set(Object.values(states))].sort(),
      [...CheckoutSnapshot.fields.state.literals].sort()
    ))

  for (const [name, state] of Object.entries(states)) {
    it(`is «${state}» when ${name}`, () => assert.strictEqual(viewOf(name).state, state))
  }

  it("says why an invoice needs attention", () =>
    assert.deepStrictEqual(
      ["underpaid", "late", "wrong asset", "paid after cancel", "stuck"].map((name) => viewOf(name).attention),
      ["underpaid", "late", "wrong_asset", "paid_after_cancel", "stuck"]
    ))

  it("never says «expired» before every chain was read to the end of the window", () => {
    const { details, heights } = stories["waiting"]!(now)
    const anHourLater = DateTime.add(now, { hours: 1 })
    assert.strictEqual(checkoutView(details, merchant, heights, anHourLater).state, "checking")
  })
})

describe("what leaves the server", () => {
  const fieldsOf = (value: unknown, path = ""): ReadonlyArray<string> => {
    if (Array.isArray(value)) return value.flatMap((each) => fieldsOf(each, `${path}[]`))
    if (typeof value !== "object" || value === null) return [path]
    return Object.entries(value).flatMap(([key, each]) => fieldsOf(each, path === "" ? key : `${path}.${key}`))
  }

  it("93: is exactly this, for every state: adding a field to it is a decision", () => {
    const encode = Schema.encodeSync(CheckoutSnapshot)
    const fields = new Set(Object.keys(stories).flatMap((name) => fieldsOf(encode(viewOf(name)))))
    assert.deepStrictEqual([...fields].sort(), [
      "address",
      "attention",
      "createdAt",
      "description",
      "excess",
      "expiresAt",
      "id",
      "merchant.accent",
      "merchant.name",
      "merchant.supportEmail",
      "merchant.website",
      "methods[].asset",
      "methods[].assetName",
      "methods[].behind",
      "methods[].chain",
      "methods[].chainName",
      "methods[].confirmationSeconds",
      "methods[].due",
      "methods[].id",
      "methods[].lockedUntil",
      "methods[].paymentUri",
      "methods[].quotedAt",
      "methods[].rate",
      "methods[].remaining",
      "methods[].symbol",
      "mode",
      "orderId",
      "payments[].amount",
      "payments[].chainName",
      "payments[].confirmations",
      "payments[].firstSeenAt",
      "payments[].held",
      "payments[].id",
      "payments[].late",
      "payments[].methodId",
      "payments[].required",
      "payments[].secondsLeft",
      "payments[].status",
      "payments[].symbol",
      "payments[].transaction",
      "payments[].url",
      "payments[].value",
      "price.amount",
      "price.currency",
      "price.fiat",
      "received",
      "redirectUrl",
      "remaining",
      "revision",
      "serverTime",
      "settledAt",
      "state",
      "version"
    ])
  })
})

describe("amounts and links", () => {
  it("are exact, and what is left is rounded up", () => {
    const { methods, received, remaining } = viewOf("partial")
    assert.deepStrictEqual([received, remaining, methods[0]?.due, methods[0]?.remaining], [
      "11.15",
      "13.85",
      "27.106148",
      "15.006148"
    ])
  })

  it("127: ask a wallet for base units of the contract on its chain", () =>
    assert.strictEqual(
      viewOf("waiting").methods[0]?.paymentUri,
      "ethereum:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913@8453/transfer" +
        "?address=0x7e5f4552091a69125d5dfcb7b8c2659029395bdf&uint256=27106148"
    ))

  it("127: ask a wallet for wei of the chain's own coin", () =>
    assert.strictEqual(
      viewOf("waiting for ether").methods[0]?.paymentUri,
      "ethereum:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf@1?value=8298900000000000"
    ))

  it("name no amount for a top-up", () => {
    const [method] = viewOf("waiting for a top-up").methods
    assert.deepStrictEqual([method?.due, method?.remaining], [null, null])
    assert.notInclude(method?.paymentUri ?? "", "uint256")
  })

  it("put Ethereum, the dearest network, last", () =>
    assert.deepStrictEqual(viewOf("choosing").methods.map(({ id }) => id), [
      "base-usdc",
      "arbitrum-usdt",
      "base-eurc",
      "ethereum-usdc",
      "ethereum-eth"
    ]))
})

describe("confirmations", () => {
  const seenAt = (head: number) => {
    const { details, heights } = stories["seen"]!(now)
    return checkoutView(details, merchant, heights.map((height) => ({ ...height, number: head })), now)
  }
  for (
    const [head, confirmations, secondsLeft] of [[99, 1, 18], [100, 1, 18], [104, 5, 10], [109, 10, 0], [500, 10, 0]]
  ) {
    it(`are ${confirmations} of 10 at block ${head} for a transfer in block 100`, () => {
      const [payment] = seenAt(head!).payments
      assert.deepStrictEqual([payment?.confirmations, payment?.required, payment?.secondsLeft], [
        confirmations,
        10,
        secondsLeft
      ])
    })
  }

  it("make a new revision, and further blocks do not", () => {
    assert.notStrictEqual(seenAt(104).revision, seenAt(105).revision)
    assert.strictEqual(seenAt(109).revision, seenAt(500).revision)
  })

  it("link to the chain's explorer, where it has one", () =>
    assert.match(seenAt(104).payments[0]?.url ?? "", /^https:\/\/basescan\.org\/tx\/0x[0-9a-f]+$/))
})

describe("a chain that we have not heard of for a minute", () => {
  it("is shown as behind, and so is one that halted or was never read", () => {
    const behind = (heights: Parameters<typeof checkoutView>[2]) =>
      checkoutView(stories["waiting"]!(now).details, merchant, heights, now).methods[0]?.behind
    const height = { chain: "base", number: 100, checkedAt: now, halted: null } as const
    assert.deepStrictEqual([
      behind([height]),
      behind([{ ...height, checkedAt: DateTime.subtract(now, { seconds: 61 }) }]),
      behind([{ ...height, halted: "deep reorg" }]),
      behind([])
    ], [false, true, true, true])
  })
})
