/** What of a snapshot is shown: pure, and the same on the server and in the browser. */
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { en } from "./messages/en.ts"

export type Method = Snapshot["methods"][number]
export type Payment = Snapshot["payments"][number]

/** `choose` asks; `send` shows where to; all others say how it went. */
export type Phase = "choose" | "send" | "seen" | "checking" | "done" | "trouble"

/** The method that the payer picked, has already paid by, or that is the only one. */
export const selectedOf = ({ methods, payments, state }: Snapshot, picked: string | null): Method | null => {
  const known = methods.find(({ id }) => id === picked)
  if (known !== undefined) return known
  if (methods.length === 1) return methods[0] ?? null
  const last = state === "partial" ? payments.findLast(isLive) : undefined
  return picked === "choose" ? null : methods.find(({ id }) => id === last?.methodId) ?? null
}

export const phaseOf = ({ state }: Snapshot, selected: Method | null): Phase => {
  switch (state) {
    case "choosing":
    case "waiting":
    case "partial":
      return selected === null ? "choose" : "send"
    case "seen":
    case "checking":
      return state
    case "paid":
    case "overpaid":
    case "paid_late":
      return "done"
    default:
      return "trouble"
  }
}

/** The page in one sentence: its headline, the title of its tab, and what is read out when it changes. */
export const announcementOf = (snapshot: Snapshot, selected: Method | null): string => {
  const { excess, price, received, remaining, state } = snapshot
  switch (state) {
    case "choosing":
    case "waiting":
      if (selected === null) return en.chooseHeadline
      return selected.remaining === null ? en.sendAny(selected.symbol) : en.send(selected.remaining, selected.symbol)
    case "partial":
      return en.partial(en.money(received, price), en.money(remaining, price))
    case "overpaid":
      return en.overpaid(en.money(excess, price))
    case "paid_late":
      return en.paidLate
    case "needs_attention":
      return en.attention
    default:
      return en[state]
  }
}

const isLive = ({ status }: Payment) => status === "detected" || status === "confirmed"

/** The payment that everybody is still waiting for: the one furthest from being confirmed. */
export const slowest = ({ payments }: Snapshot): Payment | null =>
  payments.filter(isLive).reduce<Payment | null>(
    (worst, payment) => worst === null || payment.secondsLeft > worst.secondsLeft ? payment : worst,
    null
  )

/** A snapshot may overtake another on the way. The one of the later version counts, or of the later moment. */
export const isNewer = (next: Snapshot, shown: Snapshot): boolean =>
  next.version === shown.version ? next.serverTime > shown.serverTime : next.version > shown.version

/** In groups of four, as it is compared by eye; its first and last six digits are what people look at. */
export const groupsOf = (address: string): ReadonlyArray<ReadonlyArray<{ text: string; strong: boolean }>> => {
  const digits = address.slice(2)
  const isStrong = (at: number) => at < 6 || at >= digits.length - 6
  return (digits.match(/.{1,4}/g) ?? []).map((group, i) => {
    const turn = [...group].findIndex((_, j) => isStrong(i * 4 + j) !== isStrong(i * 4))
    const cut = turn === -1 ? group.length : turn
    const parts = [
      { text: (i === 0 ? "0x" : "") + group.slice(0, cut), strong: isStrong(i * 4) },
      { text: group.slice(cut), strong: !isStrong(i * 4) }
    ]
    return parts.filter(({ text }) => text !== "")
  })
}
