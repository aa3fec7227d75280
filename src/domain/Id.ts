/**
 * Ids: a prefix that says what it names, and a UUID in a short alphabet (TypeID's: Crockford base 32, 26 characters).
 * Pure: time and randomness come in as details.
 */
import { Schema } from "effect"

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
const prefixes = ["inv", "pay", "we", "dlv", "evt", "key", "mer", "wal", "req"] as const
export type Prefix = typeof prefixes[number]

/** The schema of ids with this prefix. */
export const schema = (prefix: Prefix) =>
  Schema.String.pipe(Schema.check(Schema.isPattern(new RegExp(`^${prefix}_[0-7][${alphabet}]{25}$`)))).annotate({
    description: `an id that begins with ${prefix}_`
  })

/** A UUID as 32 hex digits, with or without dashes → the id. */
export const fromUuid = (prefix: Prefix, uuid: string): string => {
  let rest = BigInt(`0x${uuid.replaceAll("-", "")}`)
  let text = ""
  for (let i = 0; i < 26; i++) {
    text = alphabet[Number(rest & 31n)] + text
    rest >>= 5n
  }
  return `${prefix}_${text}`
}

/** The UUID an id stands for, with dashes. Only for ids that passed their schema. */
export const toUuid = (id: string): string => {
  let value = 0n
  for (const char of id.slice(id.indexOf("_") + 1)) value = (value << 5n) | BigInt(alphabet.indexOf(char))
  const hex = value.toString(16).padStart(32, "0").slice(-32)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const hexOf = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

/** RFC 9562 version 7: its time is the month in which the stream was born, which is where its events are kept. */
export const uuidV7 = (epochMilliseconds: number, random: Uint8Array): string => {
  const bytes = random.slice(0, 10)
  bytes[0] = 0x70 | ((bytes[0] ?? 0) & 0x0f)
  bytes[2] = 0x80 | ((bytes[2] ?? 0) & 0x3f)
  return epochMilliseconds.toString(16).padStart(12, "0") + hexOf(bytes)
}

/** For streams that live as long as the merchant: they sort after every month, into a partition of their own. */
export const uuidEvergreen = (random: Uint8Array): string => `ffff${hexOf(random.slice(0, 14))}`
