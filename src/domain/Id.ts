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
  Schema.String.pipe(Schema.check(Schema.isPattern(new RegExp(`^${prefix}_[0-7][${alphabet}]{25}$`, "u")))).annotate({
    description: `an id that begins with ${prefix}_`
  })

const digits = "0123456789abcdef"

/** A UUID as 32 hex digits, with or without dashes → the id. */
export const fromUuid = (prefix: Prefix, uuid: string): string => {
  let text = `${prefix}_`
  // 26 characters hold two bits more than a UUID has: those in front are zero.
  let [held, bits] = [0, 2]
  for (const digit of uuid) {
    if (digit === "-") continue
    held = (held << 4) | digits.indexOf(digit)
    bits += 4
    if (bits < 5) continue
    bits -= 5
    text += alphabet[held >> bits]
    held &= (1 << bits) - 1
  }
  return text
}

/** The UUID an id stands for, with dashes. Only for ids that passed their schema. */
export const toUuid = (id: string): string => {
  let hex = ""
  let [held, bits] = [0, -2]
  for (let i = id.indexOf("_") + 1; i < id.length; i++) {
    held = (held << 5) | alphabet.indexOf(id.charAt(i))
    bits += 5
    while (bits >= 4) {
      bits -= 4
      hex += digits[held >> bits]
      held &= (1 << bits) - 1
    }
  }
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const hexOf = (bytes: Uint8Array) => {
  let hex = ""
  for (const byte of bytes) hex += digits.charAt(byte >> 4) + digits.charAt(byte & 15)
  return hex
}

/** RFC 9562 version 7: its time is the month in which the stream was born, which is where its events are kept. */
export const uuidV7 = (epochMilliseconds: number, random: Uint8Array): string => {
  const bytes = random.slice(0, 10)
  bytes[0] = 0x70 | ((bytes[0] ?? 0) & 0x0f)
  bytes[2] = 0x80 | ((bytes[2] ?? 0) & 0x3f)
  return epochMilliseconds.toString(16).padStart(12, "0") + hexOf(bytes)
}

/** For streams that live as long as the merchant: they sort after every month, into a partition of their own. */
export const uuidEvergreen = (random: Uint8Array): string => `ffff${hexOf(random.slice(0, 14))}`
