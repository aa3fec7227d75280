import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ReceiptMismatch, VersionConflict } from "#commands/Dispatch.ts"
import { EndpointNotEnabled, TooManyEndpoints } from "#commands/Endpoints.ts"
import { MethodNotAccepted, NoWayToPay, OutOfBounds, WalletMissing } from "#commands/Invoicing.ts"
import { UrlRefused } from "#domain/EgressPolicy.ts"
import { InvoiceNotFound, NotPossibleNow, PaymentUnderWay } from "#domain/Invoice.ts"
import { EndpointNotFound } from "#domain/WebhookEndpoint.ts"
import { CursorInvalid } from "#ports/Deliveries.ts"
import { NotUnique, StoreUnavailable } from "#ports/EventStore.ts"
import { answered } from "#adapters/http/Problems.ts"

const method = { chain: "base", asset: "usdc" } as const

describe("a refusal or failure", () => {
  it.effect("becomes the problem that the table names", () =>
    Effect.gen(function*() {
      const table = [
        [new InvoiceNotFound(), 404, "not_found"],
        [new EndpointNotFound(), 404, "not_found"],
        [new NotPossibleNow({ status: "settled" }), 409, "not_possible_now"],
        [new EndpointNotEnabled(), 409, "not_possible_now"],
        [new PaymentUnderWay({ status: "open" }), 409, "payment_under_way"],
        [new VersionConflict({ version: 3 }), 409, "version_conflict"],
        [new ReceiptMismatch(), 422, "idempotency_mismatch"],
        [new MethodNotAccepted(method), 422, "nothing_to_pay_with"],
        [new WalletMissing({ mode: "live" }), 422, "nothing_to_pay_with"],
        [new NoWayToPay({ reasons: [] }), 422, "nothing_to_pay_with"],
        [new NoWayToPay({ reasons: [{ method, reason: "stale" }] }), 503, "no_way_to_pay_now"],
        [new TooManyEndpoints({ most: 20 }), 422, "too_many"],
        [new UrlRefused({ code: "forbidden_address" }), 422, "destination_refused"],
        [new OutOfBounds({ field: "expiresIn" }), 400, "invalid_request"],
        [new CursorInvalid(), 400, "invalid_request"],
        [new StoreUnavailable({ reason: "ConnectionError", retryAfterSeconds: 2 }), 503, "unavailable"]
      ] as const
      for (const [refusal, status, code] of table) {
        const problem = yield* Effect.flip(answered(Effect.fail(refusal)))
        assert.deepStrictEqual([problem.status, problem.code], [status, code], refusal._tag)
        assert.strictEqual(status === 503, "retry-after" in problem.headers, refusal._tag)
      }
    }))

  it.effect("that can only be our own mistake is none of the caller's business", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(answered(Effect.fail(new NotUnique({ constraint: "address_book_pkey" }))))
      assert.isTrue(exit._tag === "Failure" && exit.cause.reasons.every(({ _tag }) => _tag === "Die"))
    }))
})
