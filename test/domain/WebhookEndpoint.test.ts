/** What may be asked of a webhook endpoint. */
import { describe, it } from "@effect/vitest"
import * as Endpoint from "#domain/WebhookEndpoint.ts"
import {
  at,
  endpointChanged,
  endpointDeleted,
  endpointDisabled,
  endpointEnabled,
  endpointRegistered,
  secretRotated
} from "../support/examples.ts"
import { specification } from "../support/specification.ts"

const given = specification(Endpoint.aggregate)
const { _tag: _r, ...registration } = endpointRegistered()
const { _tag: _c, ...settings } = endpointChanged
const { _tag: _s, ...rotation } = secretRotated()

const change = Endpoint.change(settings)
const rotate = Endpoint.rotateSecret(rotation)
const disable = Endpoint.disable({ reason: "failing", disabledAt: at("11:00") })
const enable = Endpoint.enable({ enabledAt: at("11:30") })
const remove = Endpoint.remove({ deletedAt: at("12:00") })

describe("a webhook endpoint", () => {
  it("is registered, once", () => {
    given().when(Endpoint.register(registration)).emits(endpointRegistered())
    given(endpointRegistered()).when(Endpoint.register(registration)).emits()
  })

  it("can be changed and its secret rotated, enabled or not", () => {
    given(endpointRegistered()).when(change).emits(endpointChanged)
    given(endpointRegistered(), endpointDisabled).when(change).emits(endpointChanged)
    given(endpointRegistered()).when(rotate).emits(secretRotated())
  })

  it("is disabled, once, and enabled again, once", () => {
    given(endpointRegistered()).when(disable).emits(endpointDisabled)
    given(endpointRegistered(), endpointDisabled).when(disable).emits()
    given(endpointRegistered(), endpointDisabled).when(enable).emits(endpointEnabled)
    given(endpointRegistered()).when(enable).emits()
  })

  it("is deleted, once, from wherever it was", () => {
    given(endpointRegistered()).when(remove).emits(endpointDeleted)
    given(endpointRegistered(), endpointDisabled).when(remove).emits(endpointDeleted)
    given(endpointRegistered(), endpointDeleted).when(remove).emits()
  })

  it.each([["change", change], ["rotate", rotate], ["disable", disable], ["enable", enable]] as const)(
    "knows nothing to %s when it is deleted or was never there",
    (_, decision) => {
      given().when(decision).refuses(new Endpoint.EndpointNotFound())
      given(endpointRegistered(), endpointDeleted).when(decision).refuses(new Endpoint.EndpointNotFound())
    }
  )

  it("is not deleted before it was there", () =>
    given()
      .when(remove)
      .refuses(new Endpoint.EndpointNotFound()))
})
