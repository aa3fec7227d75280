/** The checkout page: what is being paid on one side, what to do about it on the other. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import type { PageProps } from "#adapters/checkout/Page.ts"
import { Choose } from "./Choose.tsx"
import { clockAt } from "./clock.ts"
import { isTampered } from "./guard.ts"
import { Icon } from "./Icon.tsx"
import { follow, type Link } from "./live.ts"
import { en } from "./messages/en.ts"
import { Outcome } from "./Outcome.tsx"
import { Send } from "./Send.tsx"
import { Summary } from "./Summary.tsx"
import { announcementOf, isNewer, phaseOf, selectedOf } from "./view.ts"

export const Page = (props: PageProps) => {
  const [snapshot, setSnapshot] = useState(props.snapshot)
  const [clock, setClock] = useState(() => clockAt(props.snapshot.serverTime))
  const [picked, pick] = useState(props.method)
  const [code, setCode] = useState(props.code)
  const [link, setLink] = useState<{ kind: Link; reachable: boolean } | null>(null)
  const [tampered, setTampered] = useState(false)

  const shown = useRef(snapshot)
  shown.current = snapshot

  useEffect(() =>
    follow({
      invoiceId: props.snapshot.id,
      shown: () => shown.current.revision,
      onFrame: ({ serverTime, snapshot }) => {
        setClock(clockAt(serverTime))
        if (snapshot === null || !isNewer(snapshot, shown.current)) return
        // An invoice keeps its address for life.
        if (isTampered(shown.current.address, snapshot.address)) return setTampered(true)
        shown.current = snapshot
        setSnapshot(snapshot)
      },
      onLink: (kind, reachable) => setLink({ kind, reachable })
    }), [])

  const selected = selectedOf(snapshot, picked)
  const phase = phaseOf(snapshot, selected)
  // For whoever watches the page from outside: what the payer sees, which is no longer a choice once it is made.
  const isPicked = snapshot.state === "choosing" && phase === "send"
  const announcement = announcementOf(snapshot, selected)
  const { merchant } = snapshot
  useEffect(() => {
    document.title = phase === "choose" || phase === "send"
      ? en.title(merchant.name)
      : en.titleOf(announcement, merchant.name)
  }, [announcement])

  /** In the address bar too, so that loading the page again shows the same. */
  const go = (search: Record<string, string>) => {
    const query = new URLSearchParams({ ...(picked !== null && { method: picked }), code, ...search })
    history.replaceState(null, "", `?${query}`)
    if (search["method"] !== undefined) {
      moved.current = true
      pick(search["method"])
    }
    if (search["code"] !== undefined) setCode(search["code"] === "link" ? "link" : "address")
  }
  const check = () => {
    const wrong = isTampered(props.snapshot.address, snapshot.address)
    if (wrong) setTampered(true)
    return !wrong
  }

  // Who picked by keyboard goes on from the new content, not from the top.
  const main = useRef<HTMLElement>(null)
  const moved = useRef(false)
  useEffect(() => {
    if (moved.current) main.current?.focus({ preventScroll: true })
    moved.current = false
  }, [picked])

  // What was there from the start is not animated: only changes are.
  const first = useRef(true)
  useEffect(() => void (first.current = false), [])
  const pane = useMemo(() => ({ enter: !first.current }), [phase, snapshot.state, selected?.id])

  return (
    <div class="page" data-link={link?.kind} data-state={isPicked ? "waiting" : snapshot.state}>
      <Summary snapshot={snapshot} />
      <main ref={main} tabIndex={-1}>
        <div class={pane.enter ? "pane enter" : "pane"} key={`${phase} ${snapshot.state} ${selected?.id}`}>
          {tampered
            ? <Warning />
            : phase === "choose"
            ? <Choose snapshot={snapshot} onPick={(method) => go({ method })} />
            : phase === "send" && selected !== null
            ? (
              <Send
                snapshot={snapshot}
                method={selected}
                code={code}
                clock={clock}
                demo={props.demo}
                allowed={check}
                onGo={go}
              />
            )
            : <Outcome snapshot={snapshot} phase={phase} demo={props.demo} />}
        </div>
        {link?.reachable === false && <p class="offline">{en.offline}</p>}
      </main>
      <p class="unseen" aria-live="polite" role="status">{link?.reachable === false ? en.offline : announcement}</p>
    </div>
  )
}

const Warning = () => (
  <section class="outcome">
    <div class="emblem reversed" aria-hidden="true">
      <Icon name="warn" />
    </div>
    <h1>{en.tampered}</h1>
    <p class="lead">{en.tamperedLead}</p>
  </section>
)
