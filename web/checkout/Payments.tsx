/** What has arrived so far, each with how sure it is. */
import { useEffect, useState } from "preact/hooks"
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { Copy } from "./Copy.tsx"
import { Icon } from "./Icon.tsx"
import { en } from "./messages/en.ts"
import type { Payment } from "./view.ts"

export const Payments = ({ snapshot: { payments } }: { readonly snapshot: Snapshot }) =>
  payments.length === 0 ? null : (
    <div class="payments">
      <h2>{en.payments}</h2>
      <ul>{payments.map((payment) => <Item key={payment.id} payment={payment} />)}</ul>
    </div>
  )

const Item = ({ payment }: { readonly payment: Payment }) => {
  const { amount, chainName, firstSeenAt, symbol, transaction, url } = payment
  return (
    <li>
      <p class="line">
        <span class="figure">{amount} {symbol}</span>
        <span class={`tag ${payment.status}`}>{statusOf(payment)}</span>
      </p>
      <p class="line note">
        <span>
          {chainName} · <Moment iso={firstSeenAt} />
        </span>
        {url === null
          ? (
            <span class="hash">
              <code title={transaction}>{short(transaction)}</code>
              <Copy text={transaction} label={en.copyTransaction} />
            </span>
          )
          : (
            <a href={url} target="_blank" rel="noreferrer noopener">
              {en.viewTransaction}
              <Icon name="out" />
            </a>
          )}
      </p>
    </li>
  )
}

const statusOf = ({ confirmations, held, late, required, status, value }: Payment): string => {
  const base = status === "detected" ? en.confirmations(confirmations, required) : en.paymentStatus[status]
  const remarks = [value === null ? en.paymentOther : "", late || held ? en.paymentLate : ""].filter(Boolean)
  return [base, ...remarks].join(", ")
}

const short = (hash: string) => `${hash.slice(0, 8)}…${hash.slice(-6)}`

/** In the payer's own time zone, once the browser has told it. */
export const Moment = ({ iso }: { readonly iso: string }) => {
  const [local, setLocal] = useState(false)
  useEffect(() => setLocal(true), [])
  return <time dateTime={iso}>{en.moment(iso, local)}</time>
}
