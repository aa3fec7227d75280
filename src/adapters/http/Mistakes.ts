/** Turns what a schema has against a request into words an integrator can act on. */
import { Schema, SchemaIssue } from "effect"
import type { HttpApiError } from "effect/http-api"
import type { Mistake } from "./Problem.ts"
import { pointerOf } from "./StrictJson.ts"

/** More would only repeat what is wrong. */
const atMost = 20

/** `input`: the part of the request that was decoded, as it came. */
export const mistakesIn = (error: HttpApiError.HttpApiSchemaError, input: unknown): ReadonlyArray<Mistake> =>
  leaves(error.cause.issue, []).slice(0, atMost).map(({ code, issue, message, path }) => {
    const where = place(error.kind, path)
    return { ...where, ...worded(error.kind, issue, valueAt(input, path), path, code, message) }
  })

const place = (kind: HttpApiError.HttpApiSchemaError["kind"], path: ReadonlyArray<PropertyKey>) => {
  const name = path.map(String).join(".")
  switch (kind) {
    case "Payload":
      return { pointer: pointerOf(path) }
    case "Headers":
      return { header: name }
    default:
      return { parameter: name }
  }
}

interface Found {
  readonly path: ReadonlyArray<PropertyKey>
  readonly issue: SchemaIssue.Issue
  readonly code?: string
  readonly message?: string
}

const leaves = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>): ReadonlyArray<Found> => {
  switch (issue._tag) {
    case "Pointer":
      return leaves(issue.issue, [...path, ...issue.path])
    case "Encoding":
      return leaves(issue.issue, path)
    case "Composite":
      return issue.issues.flatMap((inner) => leaves(inner, path))
    case "Filter": {
      const { code, expected, message } = issue.filter.annotations ?? {}
      const words = text(message) ?? (text(expected) === undefined ? undefined : `Must be ${text(expected)}.`)
      return leaves(issue.issue, path).map((found) => ({
        ...found,
        ...text(code) !== undefined && found.code === undefined && { code: text(code)! },
        ...words !== undefined && found.message === undefined && { message: words }
      }))
    }
    case "AnyOf": {
      // Of the members of a union, the one that came furthest is the one that was meant.
      const tried = issue.issues.map((inner) => leaves(inner, path))
      const depth = (found: ReadonlyArray<Found>) => Math.max(...found.map(({ path }) => path.length))
      const best = tried.toSorted((a, b) => depth(b) - depth(a))[0]
      return best === undefined || depth(best) === path.length ? [{ path, issue }] : best
    }
    case "InvalidValue":
    case "Forbidden": {
      const { code, message } = issue.annotations ?? {}
      return [{
        path,
        issue,
        ...text(code) !== undefined && { code: text(code)! },
        ...text(message) !== undefined && { message: text(message)! }
      }]
    }
    default:
      return [{ path, issue }]
  }
}

const text = (value: unknown) => typeof value === "string" ? value : undefined

const worded = (
  kind: HttpApiError.HttpApiSchemaError["kind"],
  issue: SchemaIssue.Issue,
  value: unknown,
  path: ReadonlyArray<PropertyKey>,
  code: string | undefined,
  message: string | undefined
): Pick<Mistake, "code" | "message"> => {
  if (kind === "Query" && Array.isArray(value)) return { code: "repeated", message: "May be given only once." }
  if (code !== undefined && message !== undefined) return { code, message }
  switch (issue._tag) {
    case "MissingKey":
      return { code: "required", message: "Is required." }
    case "UnexpectedKey": {
      const name = String(path.at(-1))
      const near = nearest(name, namesOf(issue.ast))
      const none = `There is no such ${kind === "Query" ? "parameter" : "field"}.`
      return { code: "unknown_field", message: near === undefined ? none : `${none} Did you mean «${near}»?` }
    }
    case "AnyOf":
    case "InvalidType": {
      const choices = choicesOf(issue.ast)
      if (choices === undefined) break
      return { code: "not_a_choice", message: choose(typeof value === "string" ? value : "", choices) }
    }
    default:
      break
  }
  if (typeof value === "number" && moneyNames.has(String(path.at(-1)))) {
    return { code: "number_not_string", message: `Amounts are strings, so that they stay exact: "25.00", not 25.00.` }
  }
  return { code: code ?? "invalid", message: message ?? sentence(issue) }
}

/** Names under which an amount is written. */
const moneyNames: ReadonlySet<string> = new Set(["amount", "tolerancePercent"])

const format = SchemaIssue.makeFormatterStandardSchemaV1()
const sentence = (issue: SchemaIssue.Issue) => {
  const said = format(issue).issues[0]?.message ?? "Is not valid."
  return `${said.replace(/^Expected /, "Must be ").slice(0, 400)}.`
}

/** The texts of which it must be one; undefined where other things will do as well. */
const choicesOf = (ast: object): ReadonlyArray<string> | undefined => {
  const types = "types" in ast && Array.isArray(ast.types)
    ? ast.types as ReadonlyArray<{ readonly literal?: unknown }>
    : []
  const texts = types.map(({ literal }) => text(literal)).filter((literal) => literal !== undefined)
  return texts.length > 0 && texts.length === types.length ? texts : undefined
}

/** What a name must be one of, and which of them was probably meant. */
export const choose = (name: string, choices: ReadonlyArray<string>): string => {
  const near = name === "" ? undefined : nearest(name, choices)
  return `Must be one of ${choices.join(", ")}.${near === undefined ? "" : ` Did you mean «${near}»?`}`
}

const namesOf = (ast: object): ReadonlyArray<string> =>
  "propertySignatures" in ast && Array.isArray(ast.propertySignatures)
    ? ast.propertySignatures.map(({ name }: { readonly name: PropertyKey }) => String(name))
    : []

const valueAt = (input: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (value, part) => typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined,
    input
  )

/** The known name that the fewest keystrokes lead to, if they are few. */
export const nearest = (name: string, known: ReadonlyArray<string>): string | undefined => {
  const plain = name.replaceAll("_", "").toLowerCase()
  const scored = known.map((candidate) => [distance(plain, candidate.toLowerCase()), candidate] as const)
  const [best] = scored.toSorted(([a], [b]) => a - b)
  return best !== undefined && best[0] <= Math.max(1, Math.floor(name.length / 3)) ? best[1] : undefined
}

/** Levenshtein's, on names cut to a length at which it costs nothing. */
const distance = (a: string, b: string): number => {
  const [from, to] = [a.slice(0, 40), b.slice(0, 40)]
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const swap = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}

/** A schema's own words for a mistake, with a stable code. */
export const mistake = (code: string, message: string) => new SchemaIssue.InvalidValue({ code, message })

/** A check with a stable code. `document`: as much of it as JSON Schema can say. */
export const rule = <A>(
  code: string,
  message: string,
  holds: (value: A) => boolean,
  document: Readonly<Record<string, unknown>> = {}
) => Schema.makeFilter<A>((value) => holds(value), { code, message, toJsonSchema: () => [document, true] })
