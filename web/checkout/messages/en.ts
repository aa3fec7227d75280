/** Everything the page says, in English. Another language is another file with the same keys. */
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"

type Price = Snapshot["price"]
type Attention = NonNullable<Snapshot["attention"]>

const plural = new Intl.PluralRules("en")
const count = (n: number, one: string, other: string) => `${n} ${plural.select(n) === "one" ? one : other}`

/** Exact: the digits are those of the decimal text, whatever its length. */
const money = (amount: string, { currency, fiat }: Price): string =>
  fiat
    ? new Intl.NumberFormat("en", { style: "currency", currency }).format(amount as `${number}`)
    : `${amount} ${currency}`

/** A rate is a price with more digits where they matter. */
const rateMoney = (rate: string, { currency, fiat }: Price): string =>
  fiat
    ? new Intl.NumberFormat("en", {
      style: "currency",
      currency,
      maximumFractionDigits: Number(rate) < 10 ? 4 : 2
    }).format(rate as `${number}`)
    : `${rate} ${currency}`

/** "about 20 s", "about 3 min". */
const about = (seconds: number): string =>
  seconds < 90 ? `about ${Math.max(1, seconds)} s` : `about ${Math.round(seconds / 60)} min`

/** For comparing: six digits that count. What is to be sent is always written out. */
const short = (amount: string): string =>
  amount.length <= 10
    ? amount
    : `≈ ${
      new Intl.NumberFormat("en", { maximumSignificantDigits: 6, useGrouping: false }).format(amount as `${number}`)
    }`

/** An amount stays on one line with its unit, unless it would fill the line by itself. */
const together = (amount: string, symbol: string) => amount + (amount.length <= 12 ? "\u00a0" : " ") + symbol

const two = (n: number) => String(n).padStart(2, "0")

export const en = {
  money,
  rateMoney,
  short,
  about,
  /** Time left, as a clock shows it. */
  left: (seconds: number): string => {
    const minutes = Math.floor(seconds / 60)
    return minutes < 60
      ? `${minutes}:${two(seconds % 60)}`
      : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`
  },
  /** Before the browser has said where it is, times are in UTC and say so. */
  moment: (iso: string, local: boolean): string =>
    new Intl.DateTimeFormat("en", {
      dateStyle: "medium",
      timeStyle: "short",
      ...(local ? {} : { timeZone: "UTC" })
    }).format(new Date(iso)) + (local ? "" : " UTC"),
  ago: (seconds: number): string =>
    seconds < 60 ? "just now" : `${count(Math.floor(seconds / 60), "minute", "minutes")} ago`,
  timeLeft: "Time left",

  title: (merchant: string) => `Pay ${merchant}`,
  titleOf: (state: string, merchant: string) => `${state} – ${merchant}`,
  testMode: "Test mode",
  testModeHint: "No real money moves.",
  pay: (merchant: string) => `Pay ${merchant}`,
  anyAmount: "Any amount",
  order: "Order",
  reference: "Reference",
  received: "Received",
  leftToPay: "Left to pay",
  questions: "Questions?",
  contact: (merchant: string) => `Contact ${merchant}`,

  chooseHeadline: "How would you like to pay?",
  chooseLead: "Pick the coin and the network you will send from.",
  onNetwork: (network: string) => `on ${network}`,
  confirmsIn: (seconds: number) => `confirms in ${about(seconds)}`,
  lastUsed: "Used last time",
  change: "Pay with another coin or network",

  waiting: "Waiting for your payment",
  send: (amount: string, symbol: string) => `Send exactly ${together(amount, symbol)}`,
  sendAny: (symbol: string) => `Send any amount of ${symbol}`,
  partial: (received: string, left: string) => `${received} received, ${left} to go`,
  partialLead: (amount: string, symbol: string, network: string) =>
    `Nothing is lost. Send the remaining ${amount} ${symbol} on ${network} to the same address, and all is paid.`,
  partialAsk: (merchant: string) => `You would rather have it back? ${merchant} can return it.`,
  scanAddress: "Address",
  scanLink: "Wallet link",
  scanWith: "Code holds",
  scanAddressHint: "Scan with any wallet or exchange, then enter the amount.",
  scanLinkHint: "Scan with a wallet that knows payment links: amount and network fill themselves in.",
  qrAddress: "QR code with the address to pay to",
  qrLink: "QR code with a payment link for wallets",
  amount: "Amount",
  address: "Address",
  copy: "Copy",
  copied: "Copied",
  copyByHand: "Press Ctrl+C",
  copyAmount: "Copy the amount",
  copyAddress: "Copy the address",
  copyReference: "Copy the reference",
  copyTransaction: "Copy the transaction's hash",
  only: (symbol: string, network: string) => `Send only ${symbol}, and only on ${network}.`,
  onlyWhy: "Another coin or network may not arrive.",
  openWallet: "Open in wallet app",
  exchange: "Paying from an exchange?",
  exchangeNetwork: (network: string) => `Choose ${network} as the withdrawal network.`,
  exchangeFee: (amount: string | null, symbol: string) =>
    amount === null
      ? "The exchange takes its fee on top of what you send."
      : `The exchange takes its fee on top: make sure that ${amount} ${symbol} arrives.`,
  rate: (symbol: string, price: string) => `1 ${symbol} = ${price}`,
  rateAge: (age: string) => `rate from ${age}`,
  behind: (network: string) =>
    `Our view of ${network} is delayed at the moment. You can pay all the same: it will show here a little later.`,
  demoPay: "Pay with the demo wallet",
  demoPaying: "Sending…",
  demoHint: "This is a demo on a development chain.",
  demoWebhooks: "See the webhooks",

  seen: "Payment seen",
  seenLead: (merchant: string) => `You can close this page. ${merchant} hears of it as soon as it is confirmed.`,
  confirmations: (n: number, of: number) => `${n} of ${count(of, "confirmation", "confirmations")}`,
  toGo: (seconds: number) => `${about(seconds)} to go`,

  checking: "Checking the network…",
  checkingLead:
    "The time to pay is up. We are making sure that no payment of yours is still on its way; until then nothing expires.",

  paid: "Paid",
  paidLead: (amount: string, merchant: string) => `${amount} to ${merchant}. Thank you!`,
  overpaid: (excess: string) => `Paid, with ${excess} too much`,
  overpaidLead: (merchant: string, excess: string) =>
    `Your order is paid in full. ${merchant} sees the extra ${excess} and can return it to you.`,
  paidLate: "Paid, a little late",
  paidLateLead: (merchant: string) => `The payment came after its time was up, and ${merchant} has accepted it.`,
  attention: "We have your money and are looking at it",
  attentionReason: {
    underpaid: "Less arrived than was asked for, and the time to send the rest is over.",
    late: "The payment arrived after its time was up, so its value has to be looked at again.",
    wrong_asset: "A coin arrived that was not the one asked for.",
    paid_after_cancel: "The payment arrived after the order had been canceled.",
    reversed: "The network took the payment back.",
    stuck: "The payment has been waiting for the network for unusually long."
  } satisfies Record<Attention, string>,
  attentionNext: (merchant: string) =>
    `${merchant} has been told, and can accept the payment or return it. Please do not send anything more for now.`,
  reversed: "The network took the payment back",
  reversedLead: (merchant: string) =>
    `The block that held your payment is no longer part of the chain. It may return by itself. ${merchant} has been told.`,
  expired: "This price has expired",
  expiredLead: "Please go back to the shop for a new price.",
  expiredSent: "Sent something already?",
  expiredSentLead: "Do not worry: we are still watching this address, and this page will show what arrives.",
  canceled: "This order was canceled",
  canceledLead: "Nothing was charged. Please do not send anything to its address.",
  back: (merchant: string) => `Back to ${merchant}`,
  print: "Print receipt",

  payments: "Payments",
  paidOn: "Paid on",
  viewTransaction: "View transaction",
  paymentStatus: {
    detected: "On its way",
    confirmed: "Confirmed",
    dropped: "Taken back by the network",
    reversed: "Taken back by the network"
  } satisfies Record<Snapshot["payments"][number]["status"], string>,
  paymentLate: "arrived late",
  paymentOther: "not a coin asked for",

  tampered: "Do not pay from this page",
  tamperedLead:
    "Something on this device has changed the address shown here. Close this page and open it in another browser.",
  offline: "No connection. This page catches up by itself.",

  notFound: "There is nothing to pay here",
  notFoundLead:
    "The link may be incomplete, or the invoice no longer exists. Please go back to the shop and try again.",
  unavailable: "One moment, please",
  unavailableLead: "We cannot show this payment right now. The page tries again by itself. Money already sent is safe."
}
