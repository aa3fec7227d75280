/** Where to send how much: the code, the amount and the address, each to scan or to copy. */
import { useEffect, useState } from "preact/hooks"
import type { DemoLinks } from "#adapters/checkout/Page.ts"
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { type Clock, useNow } from "./clock.ts"
import { Copy } from "./Copy.tsx"
import { addressId } from "./guard.ts"
import { Coin, Icon } from "./Icon.tsx"
import { en } from "./messages/en.ts"
import { Payments } from "./Payments.tsx"
import { QrCode } from "./QrCode.tsx"
import { announcementOf, groupsOf, type Method } from "./view.ts"

interface Props {
  readonly snapshot: Snapshot
  readonly method: Method
  readonly code: "address" | "link"
  readonly clock: Clock
  readonly demo: DemoLinks | null
  /** Whether the address on the screen is still the right one. */
  readonly allowed: () => boolean
  readonly onGo: (search: Record<string, string>) => void
}

export const Send = ({ allowed, clock, code, demo, method, onGo, snapshot }: Props) => {
  const { address, methods, state } = snapshot
  const { remaining, symbol } = method
  const partial = state === "partial"
  return (
    <section>
      <p class="status">
        <span class="live">
          <span class="pulse" aria-hidden="true" />
          {en.waiting}
        </span>
        <Countdown clock={clock} until={snapshot.expiresAt} />
      </p>
      <h1>
        {announcementOf(snapshot, method)}
        {!partial && <span class="network">{` ${en.onNetwork(method.chainName)}`}</span>}
      </h1>
      {partial && <Progress snapshot={snapshot} />}
      {partial && remaining !== null && <p class="lead">{en.partialLead(remaining, symbol, method.chainName)}</p>}
      {methods.length > 1 && (
        <p class="change">
          <Go search={{ method: "choose" }} onGo={onGo}>{en.change}</Go>
        </p>
      )}
      {method.behind && (
        <p class="notice">
          <Icon name="info" />
          <span>{en.behind(method.chainName)}</span>
        </p>
      )}
      <div class="card">
        {address !== null && snapshot.codes.address !== null && (
          <div class="scan">
            <QrCode
              code={(code === "link" ? snapshot.codes.links[method.id] : undefined) ?? snapshot.codes.address}
              label={code === "link" ? en.qrLink : en.qrAddress}
            />
            <div class="scanning">
              <nav class="tabs" aria-label={en.scanWith}>
                {(["address", "link"] as const).map((kind) => (
                  <Go key={kind} search={{ code: kind }} method={method.id} onGo={onGo} current={kind === code}>
                    {kind === "address" ? en.scanAddress : en.scanLink}
                  </Go>
                ))}
              </nav>
              <p class="note">{code === "address" ? en.scanAddressHint : en.scanLinkHint}</p>
            </div>
          </div>
        )}
        <dl class="rows">
          {remaining !== null && (
            <div>
              <dt>{partial ? en.leftToPay : en.amount}</dt>
              <dd>
                <span class={remaining.length > 12 ? "figure lengthy" : "figure"}>
                  <Coin asset={method.asset} />
                  <span>
                    {remaining} <span class="symbol">{symbol}</span>
                  </span>
                </span>
                <Copy text={remaining} label={en.copyAmount} />
              </dd>
            </div>
          )}
          {address !== null && (
            <div class="long">
              <dt>{en.address}</dt>
              <dd>
                <span id={addressId} class="address" dir="ltr">
                  {groupsOf(address).map((group) => (
                    <span>{group.map(({ strong, text }) => strong ? <b>{text}</b> : text)}</span>
                  ))}
                </span>
                <Copy text={address} label={en.copyAddress} allowed={allowed} />
              </dd>
            </div>
          )}
        </dl>
        <p class="only">
          <Icon name="warn" />
          <span>
            <b>{en.only(symbol, method.chainName)}</b> {en.onlyWhy}
          </span>
        </p>
      </div>
      <div class="actions">
        {demo !== null && <DemoPay snapshot={snapshot} method={method} />}
        {method.paymentUri !== null && (
          <a class={demo === null ? "button touch" : "button quiet touch"} href={method.paymentUri}>
            <Icon name="wallet" />
            {en.openWallet}
          </a>
        )}
      </div>
      {demo !== null && (
        <p class="note center">
          {en.demoHint} {demo.webhooks !== null && <a href={demo.webhooks}>{en.demoWebhooks}</a>}
        </p>
      )}
      <Payments snapshot={snapshot} />
      <details class="more">
        <summary>
          {en.exchange}
          <Icon name="next" />
        </summary>
        <p>{en.exchangeNetwork(method.chainName)}</p>
        <p>{en.exchangeFee(remaining, symbol)}</p>
      </details>
      <Rate snapshot={snapshot} method={method} clock={clock} />
      {partial && <p class="note">{en.partialAsk(snapshot.merchant.name)}</p>}
    </section>
  )
}

interface GoProps {
  readonly search: Record<string, string>
  readonly onGo: Props["onGo"]
  readonly method?: string
  readonly current?: boolean
  readonly children: string
}

/** A link that works by itself, and without loading the page where it can. */
const Go = ({ children, current, method, onGo, search }: GoProps) => (
  <a
    href={`?${new URLSearchParams({ ...(method !== undefined && { method }), ...search })}`}
    aria-current={current}
    onClick={(event) => {
      event.preventDefault()
      onGo(search)
    }}
  >
    {children}
  </a>
)

/** Not read out each second: a screen reader finds it when it looks. */
const Countdown = ({ clock, until }: { readonly clock: Clock; readonly until: string }) => {
  const now = useNow(clock)
  const seconds = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000))
  return (
    <span class={seconds < 120 ? "countdown soon" : "countdown"} role="timer" aria-live="off">
      <Icon name="clock" />
      <span class="unseen">{en.timeLeft}</span>
      <time>{en.left(seconds)}</time>
    </span>
  )
}

const Rate = ({ clock, method, snapshot: { price } }: Pick<Props, "clock" | "method" | "snapshot">) => {
  const now = useNow(clock)
  const age = Math.max(0, (now - Date.parse(method.quotedAt)) / 1000)
  return (
    <p class="note rate">
      {en.rate(method.symbol, en.rateMoney(method.rate, price))} · {en.rateAge(en.ago(age))}
    </p>
  )
}

const Progress = ({ snapshot: { price, received } }: { readonly snapshot: Snapshot }) => (
  <progress max={Number(price.amount)} value={Number(received)} aria-label={en.received} />
)

const demoPatienceMs = 15_000

const DemoPay = ({ method, snapshot }: Pick<Props, "method" | "snapshot">) => {
  const [sent, setSent] = useState<string | null>(null)
  // Whatever comes of it shows as a new revision; if nothing does, one may try again.
  useEffect(() => {
    if (sent === null) return
    if (sent !== snapshot.revision) return setSent(null)
    const timer = setTimeout(() => setSent(null), demoPatienceMs)
    return () => clearTimeout(timer)
  }, [sent, snapshot.revision])
  const action = `/demo/pay/${snapshot.id}?method=${method.id}`
  return (
    <form
      method="post"
      action={action}
      onSubmit={(event) => {
        event.preventDefault()
        setSent(snapshot.revision)
        fetch(action, { method: "post", redirect: "manual" }).catch(() => setSent(null))
      }}
    >
      <button class="button" disabled={sent !== null}>{sent === null ? en.demoPay : en.demoPaying}</button>
    </form>
  )
}
