/** API keys: made, recognised by their look, and told from wrong ones without giving anything away. */
import { Cache, Context, DateTime, Duration, Effect, Exit, Layer, Redacted, Schema } from "effect"
import * as ApiKey from "#domain/ApiKey.ts"
import { Mode } from "#domain/Chain.ts"
import { MerchantId } from "#domain/Merchant.ts"
import { Instant } from "#domain/Money.ts"
import { type View, Views } from "#ports/Views.ts"
import { type Behalf, Dispatch } from "./Dispatch.ts"
import { IssueApiKey, RevokeApiKey } from "./Merchants.ts"
import { newId } from "./NewId.ts"

export interface Settings {
  /** Makes the stored hashes useless to whoever only has the database. */
  readonly pepper: Redacted.Redacted<string>
}

/** Who a key speaks for, and what it may do. */
export interface Principal {
  readonly keyId: string
  readonly merchantId: MerchantId
  readonly mode: Mode
  readonly scopes: ReadonlyArray<ApiKey.Scope>
}

/** Malformed, unknown, wrong, revoked or expired: which of these is nobody's business. */
class KeyRefused extends Schema.TaggedError<KeyRefused>()("KeyRefused", {}) {}

export interface Issue {
  readonly merchantId: MerchantId
  readonly mode: Mode
  readonly name: string
  readonly scopes: ReadonlyArray<ApiKey.Scope>
  readonly expiresAt?: DateTime.Utc
}

/** An id and a key that were made before, so that issuing them again changes nothing. */
export interface Given {
  readonly id: ApiKey.ApiKeyId
  readonly key: Redacted.Redacted<string>
}

/** As much of a key's row as is needed to know it by. */
const KeyRow = Schema.Struct({
  id: Schema.String,
  merchantId: MerchantId,
  mode: Mode,
  hash: Schema.String,
  scopes: Schema.Array(ApiKey.Scope),
  expiresAt: Schema.NullOr(Instant),
  revoked: Schema.Boolean
})
const keys: View<typeof KeyRow.Type> = { name: "api_keys", row: KeyRow }

/** A revoked key is refused everywhere after this at the latest. */
const rememberFor = Duration.seconds(15)
/** Keys remembered at a time; beyond that, the least used are looked up again. */
const rememberAtMost = 10_000

export class ApiKeys extends Context.Service<ApiKeys>()("checkout/commands/ApiKeys", {
  make: Effect.fnUntraced(function*({ pepper }: Settings) {
    const views = yield* Views
    const { dispatch } = yield* Dispatch
    const rows = yield* Cache.makeWith((lookup: string) => views.get(keys, lookup), {
      capacity: rememberAtMost,
      timeToLive: (exit) => Exit.isSuccess(exit) ? rememberFor : Duration.zero
    })

    return {
      /** Whose key this is. An unknown one takes the same steps as one whose secret is wrong. */
      authenticate: Effect.fnUntraced(function*(text: Redacted.Redacted<string>) {
        const parts = parse(Redacted.value(text))
        if (parts === null) return yield* new KeyRefused()
        const hash = yield* hashOf(pepper, parts.secret)
        const row = yield* Cache.get(rows, parts.lookup)
        const same = equal(hash, row?.hash ?? nobodysHash)
        const now = yield* DateTime.now
        const valid = row !== null && same && row.mode === parts.mode && !row.revoked &&
          (row.expiresAt === null || DateTime.isLessThan(now, row.expiresAt))
        if (!valid) return yield* new KeyRefused()
        const { id, merchantId, mode, scopes } = row
        return { keyId: id, merchantId, mode, scopes } satisfies Principal
      }),

      /** A fresh key, or a given one if it is not known yet. Its text is never to be had again. */
      issue: Effect.fn("ApiKeys.issue")(function*(details: Issue, behalf: Behalf, given?: Given) {
        const key = given?.key ?? (yield* fresh(details.mode))
        const parts = parse(Redacted.value(key))
        if (parts === null || parts.mode !== details.mode) return yield* new KeyRefused()
        const id = ApiKey.ApiKeyId.make(given?.id ?? (yield* newId(ApiKey.aggregate)))
        const { expiresAt = null, ...rest } = details
        const hash = yield* hashOf(pepper, parts.secret)
        yield* dispatch(IssueApiKey, id, { ...rest, lookup: parts.lookup, hash, expiresAt }, behalf)
        yield* Cache.invalidate(rows, parts.lookup)
        return { id, key }
      }),

      /** Here it is refused from now on; in other processes as soon as they forget it. */
      revoke: Effect.fn("ApiKeys.revoke")(function*(id: ApiKey.ApiKeyId, behalf: Behalf) {
        yield* dispatch(RevokeApiKey, id, {}, behalf)
        yield* Cache.invalidateAll(rows)
      })
    }
  })
}) {
  /** Needs `Views` and `Dispatch`. */
  static readonly layer = (settings: Settings) => Layer.effect(this, this.make(settings))
}

/** A key that nobody has yet. */
export const fresh = (mode: Mode) =>
  Effect.sync(() => Redacted.make(compose(mode, randomText(lookupLength), randomText(secretLength))))

const lookupLength = 12
/** 62⁴³ is more than 2²⁵⁶. */
const secretLength = 43
const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

interface Parts {
  readonly mode: Mode
  readonly lookup: string
  readonly secret: string
}

/** `ck_live_sk_<lookup>_<secret>_<checksum>`. The prefix and the checksum are for scanners that look for leaked keys. */
const compose = (mode: Mode, lookup: string, secret: string): string => {
  const body = `ck_${mode}_sk_${lookup}_${secret}`
  return `${body}_${checksum(body)}`
}

const written = /^ck_(test|live)_sk_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})_([0-9a-f]{8})$/

/** Null for a text that never was a key: a typing error is found without asking the database. */
export const parse = (text: string): Parts | null => {
  const [, mode, lookup, secret] = written.exec(text) ?? []
  if (lookup === undefined || secret === undefined || (mode !== "test" && mode !== "live")) return null
  return compose(mode, lookup, secret) === text ? { mode, lookup, secret } : null
}

const randomText = (length: number): string => {
  let text = ""
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(64))) {
      // 248 is the largest multiple of 62 in a byte: above it, some letters would come up more often.
      if (byte < 248 && text.length < length) text += letters[byte % 62]
    }
  }
  return text
}

/** CRC-32 (IEEE 802.3), in hex. */
const checksum = (text: string): string => {
  let crc = 0xffffffff
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0")
}

/** SHA-256 of pepper and secret, in hex. */
const hashOf = (pepper: Redacted.Redacted<string>, secret: string) =>
  Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(Redacted.value(pepper) + secret))).pipe(
    Effect.map((digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(""))
  )
const nobodysHash = "0".repeat(64)

/** Takes as long for texts of one length wherever they differ. */
const equal = (a: string, b: string): boolean => {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0
}
