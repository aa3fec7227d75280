import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { crc32 } from "node:zlib"
import { ApiKeys, fresh, type Given, type Issue, parse } from "#commands/ApiKeys.ts"
import { Views } from "#ports/Views.ts"
import { EventStore } from "#ports/EventStore.ts"
import { apiKeys } from "#projections/Directory.ts"
import { memoryCommands } from "../support/commands.ts"
import { apiKeyId, merchantId } from "../support/examples.ts"

const pepper = Redacted.make("pepper")
const layer = ApiKeys.layer({ pepper }).pipe(Layer.provideMerge(memoryCommands))
const behalf = { tenant: merchantId, actor: "operator:test" }
const issue = (overrides: Partial<Issue> = {}, given?: Given) =>
  Effect.flatMap(
    ApiKeys,
    (keys) =>
      keys.issue({ merchantId, mode: "test", name: "Shop", scopes: ["invoices:read"], ...overrides }, behalf, given)
  )
const authenticate = (text: Redacted.Redacted<string> | string) =>
  Effect.flatMap(ApiKeys, (keys) => keys.authenticate(typeof text === "string" ? Redacted.make(text) : text))
const refused = Effect.fnUntraced(function*(text: Redacted.Redacted<string> | string) {
  assert.strictEqual((yield* Effect.flip(authenticate(text)))._tag, "KeyRefused")
})

/** Another letter at that place. */
const altered = (key: Redacted.Redacted<string>, at: number) => {
  const text = Redacted.value(key)
  return text.slice(0, at) + (text[at] === "a" ? "b" : "a") + text.slice(at + 1)
}

describe("an API key", () => {
  it.effect("says whose it is, in which world, and what it may do", () =>
    Effect.gen(function*() {
      const { id, key } = yield* issue({ scopes: ["invoices:read", "webhooks:write"] })
      assert.deepStrictEqual(yield* authenticate(key), {
        keyId: id,
        merchantId,
        mode: "test",
        scopes: ["invoices:read", "webhooks:write"]
      })
    }).pipe(Effect.provide(layer)))

  it.effect("looks like one: its world, a public part, the secret, and a checksum", () =>
    Effect.gen(function*() {
      assert.match(
        Redacted.value((yield* issue({ mode: "live" })).key),
        /^ck_live_sk_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9a-f]{8}$/
      )
    }).pipe(Effect.provide(layer)))

  it.effect("is refused when any letter of it is another, most of them before anybody is asked", () =>
    Effect.gen(function*() {
      const { key } = yield* issue()
      for (let at = 0; at < Redacted.value(key).length; at++) {
        assert.isNull(parse(altered(key, at)))
        yield* refused(altered(key, at))
      }
    }).pipe(Effect.provide(layer)))

  it.effect("is refused with another key's secret, although it is well formed", () =>
    Effect.gen(function*() {
      const { key } = yield* issue()
      const other = yield* fresh("test")
      const [mine, theirs] = [parse(Redacted.value(key)), parse(Redacted.value(other))]
      assert.isNotNull(mine)
      assert.isNotNull(theirs)
      yield* refused(other)
      const body = `ck_test_sk_${mine?.lookup}_${theirs?.secret}`
      const mixed = `${body}_${crc32(body).toString(16).padStart(8, "0")}`
      assert.isNotNull(parse(mixed))
      yield* refused(mixed)
    }).pipe(Effect.provide(layer)))

  it.effect.each(["", "ck_test_sk_", "Bearer x", "ck_prod_sk_x", "' or 1=1 --", "ck_test_sk_".padEnd(100_000, "a")])(
    "is not what «%.20s» is",
    (text) => refused(text).pipe(Effect.provide(layer))
  )

  it.effect("72: is refused from its expiry on", () =>
    Effect.gen(function*() {
      const { key } = yield* issue({ expiresAt: DateTime.makeUnsafe(60_000) })
      yield* TestClock.adjust("59 seconds")
      yield* authenticate(key)
      yield* TestClock.adjust("1 second")
      yield* refused(key)
    }).pipe(Effect.provide(layer)))

  it.effect("is refused at once where it was revoked", () =>
    Effect.gen(function*() {
      const { id, key } = yield* issue()
      yield* authenticate(key)
      yield* (yield* ApiKeys).revoke(id, behalf)
      yield* refused(key)
    }).pipe(Effect.provide(layer)))

  it.live("73: takes as long to be refused for a wrong secret as for an unknown name", () =>
    Effect.gen(function*() {
      const mine = parse(Redacted.value((yield* issue()).key))
      /** The middle of many, in microseconds; each key is another one. */
      const middleOf = Effect.fnUntraced(function*(lookup: (other: string) => string) {
        const times: Array<number> = []
        for (let i = 0; i < 400; i++) {
          const other = parse(Redacted.value(yield* fresh("test")))
          const body = `ck_test_sk_${lookup(other?.lookup ?? "")}_${other?.secret}`
          const key = `${body}_${crc32(body).toString(16).padStart(8, "0")}`
          const began = performance.now()
          yield* refused(key)
          times.push((performance.now() - began) * 1000)
        }
        return times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0
      })
      yield* middleOf((other) => other)
      const unknown = yield* middleOf((other) => other)
      const wrong = yield* middleOf(() => mine?.lookup ?? "")
      assert.isBelow(Math.max(unknown, wrong) / Math.min(unknown, wrong), 2.5, `${unknown} and ${wrong} µs`)
    }).pipe(Effect.provide(layer)))

  it.effect("is refused within half a minute in every other process", () =>
    Effect.gen(function*() {
      const { id, key } = yield* issue()
      const elsewhere = yield* ApiKeys.make({ pepper })
      yield* elsewhere.authenticate(key)
      yield* (yield* ApiKeys).revoke(id, behalf)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Effect.flip(elsewhere.authenticate(key)))._tag, "KeyRefused")
    }).pipe(Effect.provide(layer)))

  it.effect("is worth nothing to an instance with another pepper", () =>
    Effect.gen(function*() {
      const { key } = yield* issue()
      const elsewhere = yield* ApiKeys.make({ pepper: Redacted.make("another") })
      assert.strictEqual((yield* Effect.flip(elsewhere.authenticate(key)))._tag, "KeyRefused")
    }).pipe(Effect.provide(layer)))

  it.effect("is kept as a hash only", () =>
    Effect.gen(function*() {
      const { id, key } = yield* issue()
      const parts = parse(Redacted.value(key))
      const row = yield* (yield* Views).get(apiKeys, parts?.lookup ?? "")
      const events = yield* (yield* EventStore).read(id, merchantId)
      assert.strictEqual(events.length, 1)
      assert.notInclude(JSON.stringify([row, events]), parts?.secret ?? "nothing")
    }).pipe(Effect.provide(layer)))

  it.effect("issued twice under the same id is one key", () =>
    Effect.gen(function*() {
      const given = { id: apiKeyId, key: yield* fresh("test") }
      yield* issue({}, given)
      yield* issue({}, given)
      assert.strictEqual((yield* authenticate(given.key)).keyId, apiKeyId)
      assert.strictEqual((yield* (yield* EventStore).read(apiKeyId, merchantId)).length, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("of the other world is not issued", () =>
    Effect.gen(function*() {
      const given = { id: apiKeyId, key: yield* fresh("live") }
      assert.strictEqual((yield* Effect.flip(issue({ mode: "test" }, given)))._tag, "KeyRefused")
    }).pipe(Effect.provide(layer)))
})

it.effect("an unknown key costs the same look-up as one whose secret is wrong", () =>
  Effect.gen(function*() {
    let asked = 0
    const views = yield* Views
    const counting = Views.of({
      ...views,
      get: (view, key) => {
        asked++
        return views.get(view, key)
      }
    })
    const keys = yield* ApiKeys.make({ pepper }).pipe(Effect.provideService(Views, counting))
    const unknown = yield* fresh("test")
    yield* Effect.flip(keys.authenticate(unknown))
    assert.strictEqual(asked, 1)
    // Neither is asked for again while it is remembered.
    yield* Effect.flip(keys.authenticate(unknown))
    assert.strictEqual(asked, 1)
  }).pipe(Effect.provide(layer)))
