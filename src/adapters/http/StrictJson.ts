/** What JSON.parse lets pass and an API must not: names that occur twice, nesting without end, text that is none. */

export interface Fault {
  readonly code: "duplicate_name" | "too_deep" | "not_text"
  /** JSON pointer to the place. */
  readonly pointer: string
}

type Level = { readonly names: Set<string> | null; place: string; index: number }

export const pointerOf = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")

/** Looks at the text before it is parsed; what is not JSON at all is left for JSON.parse to say. */
export const faultIn = (text: string, maxDepth: number): Fault | null => {
  const levels: Array<Level> = []
  const here = () => pointerOf(levels.map(({ index, names, place }) => names === null ? index : place))
  for (let at = 0; at < text.length; at++) {
    const level = levels.at(-1)
    switch (text[at]) {
      case "{":
      case "[":
        if (levels.length === maxDepth) return { code: "too_deep", pointer: here() }
        levels.push({ names: text[at] === "{" ? new Set() : null, place: "", index: 0 })
        break
      case "}":
      case "]":
        levels.pop()
        break
      case ",":
        if (level !== undefined) level.index++
        break
      case '"': {
        const end = endOfString(text, at)
        const after = /\S/.exec(text.slice(end + 1, end + 65))?.[0] ?? text.slice(end + 65).trimStart()[0]
        if (after === ":" && level?.names) {
          level.place = nameOf(text.slice(at, end + 1))
          if (level.names.has(level.place)) return { code: "duplicate_name", pointer: here() }
          level.names.add(level.place)
        }
        if (!isText(text.slice(at, end + 1))) return { code: "not_text", pointer: here() }
        at = end
        break
      }
    }
  }
  return null
}

const endOfString = (text: string, start: number): number => {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1
  return at
}

/** No database takes U+0000 in a text, nor half of a surrogate pair: only escapes can bring them here. */
const isText = (literal: string): boolean => {
  if (!literal.includes("\\u")) return true
  const text = nameOf(literal)
  return text.isWellFormed() && !text.includes("\0")
}

/** Two spellings of one name ("a", "\u0061") are the same name. */
const nameOf = (literal: string): string => {
  try {
    return JSON.parse(literal) as string
  } catch {
    return literal
  }
}

/** The same text for the same value, whatever the order of its names. */
export const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (value === null || typeof value !== "object") return JSON.stringify(value)
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(",")}}`
}
