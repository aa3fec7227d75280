/** Who is paid, how much, and for what. */
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { en } from "./messages/en.ts"

export const Summary = ({ snapshot }: { readonly snapshot: Snapshot }) => {
  const { description, merchant, mode, orderId, price, received, remaining, state } = snapshot
  return (
    <header class="summary">
      <div class="inner">
        <div class="merchant">
          <span class="monogram" aria-hidden="true">{initials(merchant.name)}</span>
          <span class="name">{merchant.name}</span>
          {mode === "test" && <span class="chip" title={en.testModeHint}>{en.testMode}</span>}
        </div>
        <p class="what">{description ?? en.pay(merchant.name)}</p>
        <p class="price">{price.amount === null ? en.anyAmount : en.money(price.amount, price)}</p>
        <dl class="facts">
          {orderId !== null && <Fact name={en.order} value={orderId} />}
          {state === "partial" && <Fact name={en.received} value={en.money(received, price)} />}
          {state === "partial" && <Fact name={en.leftToPay} value={en.money(remaining, price)} strong />}
        </dl>
        {merchant.supportEmail !== null && (
          <p class="support">
            {en.questions} <a href={`mailto:${merchant.supportEmail}`}>{en.contact(merchant.name)}</a>
          </p>
        )}
      </div>
    </header>
  )
}

const Fact = (
  { name, strong, value }: { readonly name: string; readonly value: string; readonly strong?: boolean }
) => (
  <div class={strong ? "strong" : undefined}>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)

const initials = (name: string) =>
  name.split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase()
