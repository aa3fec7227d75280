/** BIP-32 children of an account, and their EVM addresses. Public keys only: nothing here can spend. */
import { secp256k1 } from "@noble/curves/secp256k1.js"
import { HDKey } from "@scure/bip32"
import { Layer, Result } from "effect"
import { createHmac } from "node:crypto"
import { keccak256 } from "viem"
import type { Address } from "#domain/Chain.ts"
import { inspectXpub } from "#domain/Wallet.ts"
import { type Account, Derivation, XpubInvalid } from "#ports/Derivation.ts"

/** m / purpose' / coin' / account' (BIP-44). Below another level the merchant's own wallet would not find the money. */
const accountDepth = 3
const external = 0

/** The account behind an xpub whose checksum is right. */
export const account = (xpub: string): Result.Result<Account, XpubInvalid> =>
  // Looked at first: nothing that could spend gets as far as being parsed.
  Result.mapError(inspectXpub(xpub), () => new XpubInvalid({ reason: "not_an_account" })).pipe(
    Result.flatMap((text) =>
      Result.try({ try: () => HDKey.fromExtendedKey(text), catch: () => new XpubInvalid({ reason: "checksum" }) })
    ),
    Result.flatMap((key) =>
      key.depth === accountDepth
        ? Result.succeed(key.deriveChild(external))
        : Result.fail(new XpubInvalid({ reason: "not_an_account" }))
    ),
    Result.map(({ chainCode, publicKey }) => accountOf(publicKey ?? none, chainCode ?? none))
  )

const none = new Uint8Array()

const { Point } = secp256k1
const { ORDER } = Point.Fn

/**
 * The children of BIP-32's CKDpub. The library's own takes twice as long, because it unpacks the parent each time and
 * hides how it multiplies, as one must with a secret; here is none.
 */
const accountOf = (publicKey: Uint8Array, chainCode: Uint8Array): Account => {
  const parent = Point.fromBytes(publicKey)
  return {
    addressAt: (index) => {
      const data = Buffer.alloc(publicKey.length + 4)
      data.set(publicKey)
      data.writeUInt32BE(index, publicKey.length)
      const tweak = BigInt(`0x${createHmac("sha512", chainCode).update(data).digest("hex").slice(0, 64)}`)
      if (tweak >= ORDER) return null
      const child = parent.add(Point.BASE.multiplyUnsafe(tweak))
      if (child.is0()) return null
      return `0x${keccak256(child.toBytes(false).subarray(1)).slice(-40)}` as Address
    }
  }
}

export const layer = Layer.succeed(Derivation, Derivation.of({ account }))
