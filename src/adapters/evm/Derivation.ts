/** BIP-32 children of an account, and their EVM addresses. Public keys only: nothing here can spend. */
import { HDKey } from "@scure/bip32"
import { Layer, Result } from "effect"
import { ECDH } from "node:crypto"
import { publicKeyToAddress } from "viem/accounts"
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
    Result.map((chain) => ({ addressAt: (index) => addressAt(chain, index) }))
  )

const addressAt = (chain: HDKey, index: number): Address | null => {
  const child = chain.deriveChild(index)
  // The library answers with the next child where there is none; that one has an index, and an invoice, of its own.
  if (child.index !== index || child.publicKey === null) return null
  const uncompressed = ECDH.convertKey(child.publicKey, "secp256k1", undefined, "hex", "uncompressed")
  return publicKeyToAddress(`0x${uncompressed.toString()}`).toLowerCase() as Address
}

export const layer = Layer.succeed(Derivation, Derivation.of({ account }))
