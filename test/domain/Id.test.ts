/** Ids: what they say, how they sort, and what is none. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as fc from "fast-check"
import * as Id from "#domain/Id.ts"
import { ApiKeyId } from "#domain/ApiKey.ts"
import { InvoiceId } from "#domain/Invoice.ts"
import { invoiceId } from "../support/examples.ts"

const random = fc.uint8Array({ minLength: 16, maxLength: 16 })
const moment = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const uuid = fc.uuid()
const isInvoiceId = Schema.is(Id.schema("inv"))

describe("an id", () => {
  it("is the UUID that it was made of", () =>
    fc.assert(fc.property(uuid, (uuid) => {
      const id = Id.fromUuid("inv", uuid)
      assert.isTrue(isInvoiceId(id), id)
      assert.strictEqual(Id.toUuid(id), uuid)
    })))

  it("does not care for the UUID's dashes", () =>
    fc.assert(
      fc.property(uuid, (uuid) =>
        assert.strictEqual(Id.fromUuid("inv", uuid.replaceAll("-", "")), Id.fromUuid("inv", uuid)))
    ))

  it("sorts by the time of its making, as text", () =>
    fc.assert(fc.property(moment, moment, random, random, (a, b, one, other) => {
      const first = Id.fromUuid("inv", Id.uuidV7(a, one))
      const then = Id.fromUuid("inv", Id.uuidV7(b, other))
      assert.isTrue(a === b || (a < b) === (first < then))
    })))

  it("sorts after all of those when its stream is evergreen", () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 47 }), random, random, (time, one, other) =>
        assert.isTrue(Id.fromUuid("mer", Id.uuidV7(time, one)) < Id.fromUuid("mer", Id.uuidEvergreen(other))))
    ))

  it("carries a version 7 UUID", () =>
    fc.assert(fc.property(moment, random, (time, bytes) =>
      assert.match(
        Id.toUuid(Id.fromUuid("inv", Id.uuidV7(time, bytes))),
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
      ))))

  it("65: differs in at least 74 bits from any other of the same millisecond", () => {
    const bits = (random: Uint8Array) => BigInt(`0x${Id.uuidV7(0, random)}`)
    const changeable = bits(new Uint8Array(16).fill(255)) ^ bits(new Uint8Array(16))
    assert.isAtLeast(changeable.toString(2).replaceAll("0", "").length, 74)
  })

  it("has no letter that can be mistaken for another", () =>
    fc.assert(fc.property(uuid, (uuid) => assert.match(Id.fromUuid("inv", uuid), /^inv_[0-9a-hjkmnp-tv-z]{26}$/))))

  it.each(
    [
      ["another prefix", invoiceId.replace("inv_", "mer_")],
      ["no prefix", invoiceId.slice(4)],
      ["upper case", invoiceId.toUpperCase()],
      ["one letter too few", invoiceId.slice(0, -1)],
      ["one letter too many", `${invoiceId}0`],
      ["a letter outside the alphabet", `${invoiceId.slice(0, -1)}u`],
      ["more than 128 bits", "inv_80000000000000000000000000"],
      ["a line break after it", `${invoiceId}\n`],
      ["nothing", ""]
    ]
  )("with %s is refused", (_, text) => assert.isFalse(isInvoiceId(text)))

  it("of one thing is not the id of another", () => {
    assert.isTrue(Result.isSuccess(Schema.decodeResult(InvoiceId)(invoiceId)))
    assert.isTrue(Result.isFailure(Schema.decodeResult(ApiKeyId)(invoiceId)))
  })
})
