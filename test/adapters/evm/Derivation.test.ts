import { assert, describe, it } from "@effect/vitest"
import { HDKey } from "@scure/bip32"
import { mnemonicToSeedSync } from "@scure/bip39"
import { Result } from "effect"
import { mnemonicToAccount } from "viem/accounts"
import { account } from "#adapters/evm/Derivation.ts"
import { XpubInvalid } from "#ports/Derivation.ts"
import { xpub } from "../../support/examples.ts"

/** The phrase that every development tool knows. */
const phrase = "test test test test test test test test test test test junk"
const root = HDKey.fromMasterSeed(mnemonicToSeedSync(phrase))
const wallet = root.derive("m/44'/60'/0'")

describe("the addresses of an account", () => {
  it("are those that a wallet with the recovery phrase shows", () => {
    const { addressAt } = Result.getOrThrow(account(wallet.publicExtendedKey))
    for (let addressIndex = 0; addressIndex < 100; addressIndex++) {
      assert.strictEqual(addressAt(addressIndex), mnemonicToAccount(phrase, { addressIndex }).address.toLowerCase())
    }
  })

  it("exist up to the last index that is not hardened", () =>
    assert.match(Result.getOrThrow(account(xpub)).addressAt(2 ** 31 - 1) ?? "", /^0x[0-9a-f]{40}$/))
})

describe("a text that is no account's xpub is refused:", () => {
  const flipped = xpub.slice(0, 60) + (xpub[60] === "a" ? "b" : "a") + xpub.slice(61)
  it.each<[string, string, XpubInvalid["reason"]]>([
    ["one letter wrong", flipped, "checksum"],
    ["the private key", wallet.privateExtendedKey, "not_an_account"],
    ["the root", root.publicExtendedKey, "not_an_account"],
    ["the external chain below the account", wallet.deriveChild(0).publicExtendedKey, "not_an_account"],
    ["a recovery phrase", phrase, "not_an_account"],
    ["nothing", "", "not_an_account"]
  ])("%s", (_, text, reason) => assert.deepStrictEqual(account(text), Result.fail(new XpubInvalid({ reason }))))
})
