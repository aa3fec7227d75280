import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { canonical, faultIn } from "#adapters/http/StrictJson.ts"
import { nearest } from "#adapters/http/Mistakes.ts"

describe("strict JSON", () => {
  it("finds a name that occurs twice, at its place", () => {
    assert.deepStrictEqual(faultIn(`{"a":[1,{"b":2,"b":3}]}`, 16), { code: "duplicate_name", pointer: "/a/1/b" })
    assert.deepStrictEqual(faultIn(`{"a/b":1,"a\\u002fb":2}`, 16), { code: "duplicate_name", pointer: "/a~1b" })
  })

  it("takes the same name in different objects, and in texts, for what it is", () => {
    assert.isNull(faultIn(`[{"a":1},{"a":{"a":"a\\":\\"a"}}]`, 16))
    assert.isNull(faultIn(`{"a":"{\\"b\\":1,\\"b\\":2}"}`, 16))
  })

  it("finds what is text nowhere, in names and values, and lets everything else pass", () => {
    assert.deepStrictEqual(faultIn(`{"a":["x","\\u0000"]}`, 16), { code: "not_text", pointer: "/a/1" })
    assert.deepStrictEqual(faultIn(`{"a\\ud800":1}`, 16)?.code, "not_text")
    assert.deepStrictEqual(faultIn(`{"a":"\\udc00\\ud800"}`, 16), { code: "not_text", pointer: "/a" })
    assert.isNull(faultIn(`{"a":"\\ud83d\\ude00 \\u0001 \\\\u0000"}`, 16))
  })

  it("allows so many levels and not one more", () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels)
    assert.isNull(faultIn(nested(16), 16))
    assert.strictEqual(faultIn(nested(17), 16)?.code, "too_deep")
  })

  it("finds no fault in what JSON.stringify writes", () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), fc.integer({ min: 0, max: 2 }), (value, indent) => {
      assert.isNull(faultIn(JSON.stringify(value, null, indent), 16))
    }))
  })

  it("ends on any text", () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'{}[]":,\\a ') }), (text) => {
      faultIn(text, 16)
    }))
  })

  it("writes equal values alike, and different ones differently", () => {
    const shuffled = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(shuffled)
        : value !== null && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).toReversed().map(([name, field]) => [name, shuffled(field)]))
        : value
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      assert.strictEqual(canonical(JSON.parse(JSON.stringify(shuffled(a)))), canonical(a))
      assert.deepStrictEqual(JSON.parse(canonical(a)), JSON.parse(JSON.stringify(a)))
      if (canonical(a) === canonical(b)) {
        assert.deepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)))
      }
    }))
  })
})

describe("the nearest known name", () => {
  it("is offered where few keystrokes lead to it", () => {
    const known = ["orderId", "metadata", "price"]
    assert.deepStrictEqual(["order_id", "metadta", "Price", "status"].map((name) => nearest(name, known)), [
      "orderId",
      "metadata",
      "price",
      undefined
    ])
  })
})
