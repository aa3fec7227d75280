/** How it went: seen, paid, or in need of an explanation; with the receipt and the way back. */
import { useEffect, useState } from "preact/hooks"
import type { DemoLinks } from "#adapters/checkout/Page.ts"
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { Copy } from "./Copy.tsx"
import { Icon, type IconName, Ring } from "./Icon.tsx"
import { en } from "./messages/en.ts"
import { Moment, Payments } from "./Payments.tsx"
import { announcementOf, type Phase, slowest } from "./view.ts"

interface Props {
  readonly snapshot: Snapshot
  readonly phase: Phase
  readonly demo: DemoLinks | null
}

export const Outcome = ({ demo, phase, snapshot }: Props) => {
  const { merchant, state } = snapshot
  const asks = state === "needs_attention" || state === "reversed"
  return (
    <section class={`outcome ${phase}`}>
      <Emblem snapshot={snapshot} phase={phase} />
      <h1>{announcementOf(snapshot, null)}</h1>
      {leadOf(snapshot).map((text) => <p class="lead" key={text}>{text}</p>)}
      {state === "expired" && (
        <p class="notice">
          <Icon name="info" />
          <span>
            <b>{en.expiredSent}</b> {en.expiredSentLead}
          </span>
        </p>
      )}
      <Payments snapshot={snapshot} />
      {state !== "checking" && <Receipt snapshot={snapshot} phase={phase} />}
      <div class="actions">
        {asks && <Contact snapshot={snapshot} />}
        {(phase === "done" || phase === "trouble") && snapshot.redirectUrl !== null && (
          <a class={asks ? "button quiet" : "button"} href={snapshot.redirectUrl}>{en.back(merchant.name)}</a>
        )}
        {phase === "trouble" && !asks && <Contact snapshot={snapshot} />}
        {phase === "done" && <Print />}
      </div>
      {demo?.webhooks && (
        <p class="note center">
          {en.demoHint} <a href={demo.webhooks}>{en.demoWebhooks}</a>
        </p>
      )}
    </section>
  )
}

const Contact = ({ snapshot: { id, merchant, state } }: { readonly snapshot: Snapshot }) =>
  merchant.supportEmail === null ? null : (
    <a
      class={state === "needs_attention" || state === "reversed" ? "button" : "button quiet"}
      href={`mailto:${merchant.supportEmail}?subject=${encodeURIComponent(id)}`}
    >
      {en.contact(merchant.name)}
    </a>
  )

const Emblem = ({ phase, snapshot }: Pick<Props, "phase" | "snapshot">) => {
  const waitedFor = slowest(snapshot)
  if (phase === "seen" && waitedFor !== null) {
    return <Ring done={waitedFor.confirmations} of={waitedFor.required} />
  }
  if (phase === "checking") return <div class="emblem spin" aria-hidden="true" />
  return (
    <div class={`emblem ${phase} ${snapshot.state}`} aria-hidden="true">
      <Icon name={emblems[snapshot.state] ?? "clock"} />
    </div>
  )
}

const emblems: Partial<Record<Snapshot["state"], IconName>> = {
  paid: "check",
  overpaid: "check",
  paid_late: "check",
  needs_attention: "info",
  reversed: "warn",
  expired: "clock",
  canceled: "cross"
}

const leadOf = (snapshot: Snapshot): ReadonlyArray<string> => {
  const { attention, excess, merchant: { name }, price, received, state } = snapshot
  switch (state) {
    case "seen": {
      const waitedFor = slowest(snapshot)
      const progress = waitedFor === null
        ? []
        : [`${en.confirmations(waitedFor.confirmations, waitedFor.required)}, ${en.toGo(waitedFor.secondsLeft)}`]
      return [...progress, en.seenLead(name)]
    }
    case "paid":
      return [price.amount === null ? en.paidLead(en.money(received, price), name) : paid(snapshot)]
    case "overpaid":
      return [en.overpaidLead(name, en.money(excess, price))]
    case "paid_late":
      return [en.paidLateLead(name)]
    case "needs_attention":
      return [en.attentionReason[attention ?? "stuck"], en.attentionNext(name)]
    case "reversed":
      return [en.reversedLead(name)]
    case "expired":
      return [en.expiredLead]
    case "canceled":
      return [en.canceledLead]
    default:
      return [en.checkingLead]
  }
}

const paid = ({ merchant, price }: Snapshot) => en.paidLead(en.money(price.amount ?? "0", price), merchant.name)

const Receipt = ({ phase, snapshot }: Pick<Props, "phase" | "snapshot">) => (
  <dl class="receipt">
    {phase === "done" && snapshot.price.amount !== null && (
      <div>
        <dt>{en.amount}</dt>
        <dd>{en.money(snapshot.price.amount, snapshot.price)}</dd>
      </div>
    )}
    {phase === "done" && snapshot.settledAt !== null && (
      <div>
        <dt>{en.paidOn}</dt>
        <dd>
          <Moment iso={snapshot.settledAt} />
        </dd>
      </div>
    )}
    <div>
      <dt>{en.reference}</dt>
      <dd class="hash">
        <code>{snapshot.id}</code>
        <Copy text={snapshot.id} label={en.copyReference} />
      </dd>
    </div>
  </dl>
)

/** Drawn by the browser only: on paper, and without JavaScript, it would do nothing. */
const Print = () => {
  const [able, setAble] = useState(false)
  useEffect(() => setAble(true), [])
  return able
    ? (
      <button type="button" class="button quiet js" onClick={() => print()}>
        <Icon name="print" />
        {en.print}
      </button>
    )
    : null
}
