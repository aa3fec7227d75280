/** Signatures of the Standard Webhooks specification 1.0: `v1`, HMAC-SHA256. */
import { DateTime } from "effect"
import { createHmac } from "node:crypto"

const prefix = "whsec_"
/** The specification's least; ours have 32. An empty key would sign for anybody. */
const leastBytes = 24

/** One signature per secret, parted by spaces: a receiver needs to know one of them. Throws on a secret that is none. */
export const sign = (secrets: ReadonlyArray<string>, id: string, at: DateTime.Utc, body: string): string => {
  if (secrets.length === 0) throw new Error("there is no secret to sign with")
  const signed = `${id}.${unixSeconds(at)}.${body}`
  return secrets.map((secret) => `v1,${createHmac("sha256", keyOf(secret)).update(signed).digest("base64")}`).join(" ")
}

export const unixSeconds = (at: DateTime.Utc): number => Math.floor(at.epochMilliseconds / 1000)

const keyOf = (secret: string): Buffer => {
  const key = Buffer.from(secret.startsWith(prefix) ? secret.slice(prefix.length) : "", "base64")
  if (key.length < leastBytes) throw new Error("the secret is no whsec_ secret of at least 24 bytes")
  return key
}
