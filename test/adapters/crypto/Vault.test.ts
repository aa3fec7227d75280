import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import * as VaultAdapter from "#adapters/crypto/Vault.ts"
import { Vault } from "#ports/Vault.ts"

const key = () => Redacted.make(randomBytes(32).toString("base64"))
const first = key()
const second = key()
const secret = Redacted.make("whsec_canary ✓")

const seal = (purpose: string, keys: VaultAdapter.Keys) =>
  Effect.flatMap(Vault, (vault) => vault.seal(purpose, secret)).pipe(Effect.provide(VaultAdapter.layer(keys)))
const open = (purpose: string, sealed: string, keys: VaultAdapter.Keys) =>
  Effect.flatMap(Vault, (vault) => vault.open(purpose, sealed)).pipe(
    Effect.map(Redacted.value),
    Effect.provide(VaultAdapter.layer(keys))
  )

describe("a sealed secret", () => {
  it.effect("opens for the purpose it was sealed for", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* open("endpoint", yield* seal("endpoint", [first]), [first]), "whsec_canary ✓")
    }))

  it.effect("does not open for another purpose", () =>
    Effect.gen(function*() {
      const broken = yield* Effect.flip(open("customer", yield* seal("endpoint", [first]), [first]))
      assert.strictEqual(broken._tag, "SealBroken")
    }))

  it.effect("does not open after any letter of it was changed", () =>
    Effect.gen(function*() {
      const sealed = yield* seal("endpoint", [first])
      for (let i = 0; i < sealed.length; i++) {
        // The last letter of base64url may hold bits that mean nothing; every other one counts.
        if (i === sealed.length - 1) continue
        const changed = sealed.slice(0, i) + (sealed[i] === "A" ? "B" : "A") + sealed.slice(i + 1)
        assert.strictEqual((yield* Effect.flip(open("endpoint", changed, [first])))._tag, "SealBroken")
      }
    }))

  it.effect("shows nothing of the secret, and is another text each time", () =>
    Effect.gen(function*() {
      const sealed = yield* seal("endpoint", [first])
      assert.notInclude(sealed, "canary")
      assert.notStrictEqual(sealed, yield* seal("endpoint", [first]))
    }))

  it.effect("still opens when its key has been replaced by a newer one", () =>
    Effect.gen(function*() {
      const sealed = yield* seal("endpoint", [first])
      assert.strictEqual(yield* open("endpoint", sealed, [second, first]), "whsec_canary ✓")
      assert.strictEqual((yield* Effect.flip(open("endpoint", sealed, [second])))._tag, "SealBroken")
    }))

  it.effect.each(["", "s1", "s1.00000000.AAAA", "AAAA", "s1..", `s1.00000000.${"A".repeat(4000)}`])(
    "is not what «%s» is",
    (text) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(open("endpoint", text, [first])))._tag, "SealBroken")
      })
  )
})

it.effect("a key that is not 32 bytes in base64 is refused without repeating it", () =>
  Effect.gen(function*() {
    for (
      const text of ["", "short", "z".repeat(43), randomBytes(31).toString("base64"), randomBytes(32).toString("hex")]
    ) {
      const refused = yield* Effect.flip(seal("endpoint", [first, Redacted.make(text)]))
      assert.deepStrictEqual(refused, new VaultAdapter.KeyInvalid({ position: 2 }))
      if (text !== "") assert.notInclude(JSON.stringify(refused), text)
    }
  }))
