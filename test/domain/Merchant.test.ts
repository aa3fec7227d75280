/** What may be asked of a merchant. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Merchant from "#domain/Merchant.ts"
import { registered } from "../support/examples.ts"
import { specification } from "../support/specification.ts"

const given = specification(Merchant.aggregate)
const { _tag, ...details } = registered()

describe("a merchant", () => {
  it("is registered", () =>
    given()
      .when(Merchant.register(details))
      .emits(registered()))

  it("is registered once, and the first word stands", () =>
    given(registered())
      .when(Merchant.register({ ...details, name: "Another" }))
      .emits())

  it("is branded by a colour, and by nothing that could be anything else on a page", () => {
    const accepts = (accent: string) => Result.isSuccess(Schema.decodeResult(Merchant.Branding)({ accent }))
    assert.deepStrictEqual(
      ["#1f6feb", "#1F6FEB", "#fff", "red", "#1f6feb;}body{", "url(x)", ""].map(accepts),
      [true, false, false, false, false, false, false]
    )
  })
})
