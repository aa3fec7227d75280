/** Seals secrets with AES-256-GCM under the instance's key. */
import { Effect, Layer, Redacted, Schema } from "effect"
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"
import { SealBroken, Vault } from "#ports/Vault.ts"

/** The first key seals; the others still open what was sealed before. Each is 32 bytes in base64. */
export type Keys = readonly [Redacted.Redacted<string>, ...ReadonlyArray<Redacted.Redacted<string>>]

/** What was configured is not 32 bytes in base64. `position` counts from 1; the text is not repeated. */
export class KeyInvalid extends Schema.TaggedError<KeyInvalid>()("KeyInvalid", { position: Schema.Int }) {}

const cipher = "aes-256-gcm"
const nonceBytes = 12
const tagBytes = 16

/** A sealed text: format, key, then nonce, ciphertext and tag. */
const sealedText = /^s1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/

export const layer = (keys: Keys) =>
  Layer.effect(
    Vault,
    Effect.gen(function*() {
      const read = yield* Effect.forEach(keys, parse)
      const [current] = read
      if (current === undefined) return yield* new KeyInvalid({ position: 1 })
      const ring = new Map(read.map((key) => [key.id, key]))
      return Vault.of({
        seal: (purpose, secret) => Effect.sync(() => seal(current, purpose, Redacted.value(secret))),
        open: (purpose, sealed) =>
          Effect.try({
            try: () => Redacted.make(open(ring, purpose, sealed)),
            // Why it does not open is nobody's business: each reason would teach an attacker something.
            catch: () => new SealBroken({ purpose })
          })
      })
    })
  )

interface Key {
  readonly id: string
  readonly bytes: Buffer
}

const parse = (text: Redacted.Redacted<string>, index: number): Effect.Effect<Key, KeyInvalid> => {
  const written = Redacted.value(text)
  const bytes = Buffer.from(written, "base64")
  if (bytes.length !== 32 || bytes.toString("base64") !== written) {
    return Effect.fail(new KeyInvalid({ position: index + 1 }))
  }
  // Names the key without giving anything of it away.
  const id = createHash("sha256").update("key id").update(bytes).digest("hex").slice(0, 8)
  return Effect.succeed({ id, bytes })
}

const seal = ({ bytes, id }: Key, purpose: string, secret: string): string => {
  const nonce = randomBytes(nonceBytes)
  const sealing = createCipheriv(cipher, bytes, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(purpose))
  const body = Buffer.concat([nonce, sealing.update(secret, "utf8"), sealing.final(), sealing.getAuthTag()])
  return `s1.${id}.${body.toString("base64url")}`
}

const open = (ring: ReadonlyMap<string, Key>, purpose: string, sealed: string): string => {
  const [, id = "", text = ""] = sealedText.exec(sealed) ?? []
  const key = ring.get(id)
  const body = Buffer.from(text, "base64url")
  if (key === undefined || body.length < nonceBytes + tagBytes) throw new Error("not sealed here")
  const opening = createDecipheriv(cipher, key.bytes, body.subarray(0, nonceBytes), { authTagLength: tagBytes })
    .setAAD(Buffer.from(purpose))
    .setAuthTag(body.subarray(-tagBytes))
  return Buffer.concat([opening.update(body.subarray(nonceBytes, -tagBytes)), opening.final()]).toString("utf8")
}
