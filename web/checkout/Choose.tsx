/** Which coin, on which network. Plain links, so that choosing needs no JavaScript. */
import { useEffect, useState } from "preact/hooks"
import type { Snapshot } from "#adapters/checkout/Snapshots.ts"
import { Coin, Icon } from "./Icon.tsx"
import { en } from "./messages/en.ts"
import { announcementOf } from "./view.ts"

interface Props {
  readonly snapshot: Snapshot
  readonly onPick: (method: string) => void
}

export const Choose = ({ onPick, snapshot }: Props) => {
  const [last, setLast] = useState<string | null>(null)
  useEffect(() => setLast(lastChoice.get()), [])
  return (
    <section>
      <h1>{snapshot.state === "partial" ? announcementOf(snapshot, null) : en.chooseHeadline}</h1>
      <p class="lead">{en.chooseLead}</p>
      <ul class="methods">
        {snapshot.methods.map(({ asset, chainName, confirmationSeconds, id, remaining, symbol }) => (
          <li key={id}>
            <a
              class="method"
              href={`?method=${id}`}
              onClick={(event) => {
                event.preventDefault()
                lastChoice.set(id)
                onPick(id)
              }}
            >
              <Coin asset={asset} />
              <span class="which">
                <span class="symbol">
                  {symbol} <span class="network">{en.onNetwork(chainName)}</span>
                </span>
                <span class="note">{id === last ? en.lastUsed : en.confirmsIn(confirmationSeconds)}</span>
              </span>
              {remaining !== null && (
                <span class="due">
                  {en.short(remaining)} <span class="network">{symbol}</span>
                </span>
              )}
              <Icon name="next" />
            </a>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** Kept by the browser, where it lets us. Never sent anywhere. */
const lastChoice = {
  get: (): string | null => {
    try {
      return localStorage.getItem("method")
    } catch {
      return null
    }
  },
  set: (method: string): void => {
    try {
      localStorage.setItem("method", method)
    } catch {
      // A browser that keeps nothing forgets the choice, and that is all.
    }
  }
}
