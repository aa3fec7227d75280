/** A wallet takes an account xpub, and neither takes nor repeats a secret. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import * as Wallet from "#domain/Wallet.ts"
import { walletRegistered, xpub } from "../support/examples.ts"
import { specification } from "../support/specification.ts"

const given = specification(Wallet.aggregate)
const { _tag, ...details } = walletRegistered()

const words = "legal winner thank year wave sausage worth useful legal winner thank yellow"
const secrets = [
  ["private_key", `xprv${xpub.slice(4)}`],
  ["private_key", ` xprv${xpub.slice(4)}\n`],
  ["private_key", `zprv${xpub.slice(4)}`],
  ["private_key", "4c".repeat(32)],
  ["private_key", `0x${"4C".repeat(32)}`],
  ["private_key", ` 0x${"4c".repeat(32)}`],
  ["mnemonic", words],
  ["mnemonic", `  ${words.toUpperCase().replaceAll(" ", "\n")} `],
  ["mnemonic", `${words} ${words}`],
  ["something_else", xpub.slice(0, -1)],
  ["something_else", `${xpub}A`],
  ["something_else", `${xpub.slice(0, -1)}0`],
  ["something_else", `zpub${xpub.slice(4)}`],
  ["something_else", `0x${"4c".repeat(20)}`],
  ["something_else", "hunter2"],
  ["something_else", ""]
] as const

describe("a wallet", () => {
  it("is registered by its account xpub", () =>
    given()
      .when(Wallet.register(details))
      .emits(walletRegistered()))

  it("is registered once", () =>
    given(walletRegistered())
      .when(Wallet.register(details))
      .emits())

  it("does not change its xpub", () =>
    given(walletRegistered())
      .when(Wallet.register({ ...details, xpub: `${xpub.slice(0, -1)}z` }))
      .refuses(new Wallet.WalletExists()))

  it.each(secrets)("56: refuses a %s, and does not repeat it (%#)", (looksLike, text) => {
    const outcome = Wallet.register({ ...details, xpub: text })(Wallet.initial)
    assert.deepStrictEqual(outcome, Result.fail(new Wallet.NotAnXpub({ looksLike })))
    const error = Result.match(outcome, { onFailure: (error) => error, onSuccess: () => null })
    const said = `${error} ${error?.message} ${error?.stack} ${JSON.stringify(error)}`
    assert.isTrue(text === "" || !said.includes(text.trim()))
  })

  it("56: refuses whatever else is pasted, without repeating it", () =>
    fc.assert(fc.property(fc.string({ minLength: 20 }), (text) => {
      const error = Result.getOrElse(Result.flip(Wallet.inspectXpub(text)), () => null)
      assert.isNotNull(error)
      assert.isFalse(JSON.stringify(error).includes(text))
    })))
})
