/** What may be asked of an API key. */
import { describe, it } from "@effect/vitest"
import * as ApiKey from "#domain/ApiKey.ts"
import { at, keyIssued, keyRevoked } from "../support/examples.ts"
import { specification } from "../support/specification.ts"

const given = specification(ApiKey.aggregate)
const { _tag, ...details } = keyIssued()
const revoke = ApiKey.revoke({ revokedAt: at("12:00") })

describe("an API key", () => {
  it("is issued", () =>
    given()
      .when(ApiKey.issue(details))
      .emits(keyIssued()))

  it("is issued once, and not again after it was revoked", () => {
    given(keyIssued()).when(ApiKey.issue(details)).emits()
    given(keyIssued(), keyRevoked).when(ApiKey.issue(details)).emits()
  })

  it("is revoked", () =>
    given(keyIssued())
      .when(revoke)
      .emits(keyRevoked))

  it("is revoked once", () =>
    given(keyIssued(), keyRevoked)
      .when(revoke)
      .emits())

  it("cannot be revoked before it was issued", () =>
    given()
      .when(revoke)
      .refuses(new ApiKey.ApiKeyNotFound()))
})
