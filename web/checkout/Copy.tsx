/** A button that copies the plain text and says so. */
import { useEffect, useState } from "preact/hooks"
import { Icon } from "./Icon.tsx"
import { en } from "./messages/en.ts"

interface Props {
  readonly text: string
  /** What a screen reader calls the button: "Copy the address". */
  readonly label: string
  /** Asked before each copy; false, and nothing is copied. */
  readonly allowed?: () => boolean
}

export const Copy = ({ allowed, label, text }: Props) => {
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null)
  useEffect(() => {
    if (outcome === null) return
    const timer = setTimeout(() => setOutcome(null), 2000)
    return () => clearTimeout(timer)
  }, [outcome])
  const copy = async () => {
    if (allowed?.() === false) return
    setOutcome(await write(text) ? "copied" : "failed")
  }
  return (
    <>
      <button type="button" class="copy js" data-copied={outcome === "copied"} onClick={() => void copy()}>
        <Icon name={outcome === "copied" ? "check" : "copy"} />
        <span aria-hidden={outcome === null}>{outcome === null ? en.copy : said[outcome]}</span>
        {outcome === null && <span class="unseen">{label}</span>}
      </button>
      {/* Beside the button: of what is inside one, a screen reader reads no changes. */}
      <span class="unseen" role="status">{outcome !== null && said[outcome]}</span>
    </>
  )
}

const said = { copied: en.copied, failed: en.copyByHand }

const write = async (text: string): Promise<boolean> => {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Without TLS there is no clipboard API; the old way works there.
    const field = document.createElement("textarea")
    field.value = text
    field.className = "unseen"
    document.body.append(field)
    field.select()
    const done = document.execCommand("copy")
    field.remove()
    return done
  }
}
