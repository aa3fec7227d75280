/** The one table from what the house can refuse or fail with to what a caller is told of it. */
import { Effect } from "effect"
import type { VersionConflict } from "#commands/Dispatch.ts"
import type {
  MerchantNotFound,
  MethodNotAccepted,
  NoWayToPay,
  OutOfBounds,
  WalletMissing
} from "#commands/Invoicing.ts"
import type { UrlRefused } from "#domain/EgressPolicy.ts"
import type { InvoiceExists, NotPossibleNow } from "#domain/Invoice.ts"
import type { NotUnique, StoreUnavailable } from "#ports/EventStore.ts"
import { type Problem, refuse } from "./Problem.ts"

const whyRefused: Readonly<Record<UrlRefused["code"], string>> = {
  malformed: "This is not an absolute URL.",
  too_long: "This URL is too long.",
  scheme: "Webhooks go to `https:` addresses only.",
  userinfo: "A URL with a user name in it is not accepted. Verify the signature instead.",
  port: "Webhooks do not go to this port.",
  host: "This is no name of a public host.",
  forbidden_address: "This address is not on the public internet."
}

const table = {
  InvoiceNotFound: () => refuse("not_found"),
  EndpointNotFound: () => refuse("not_found"),
  NotPossibleNow: ({ status }: NotPossibleNow) =>
    refuse("not_possible_now", { detail: `Not possible while the invoice is \`${status}\`.` }),
  MethodNotAccepted: ({ asset, chain }: MethodNotAccepted) =>
    refuse("nothing_to_pay_with", {
      detail: `This merchant does not take \`${asset}\` on \`${chain}\` in this mode.`,
      errors: [{ pointer: "/accepts", code: "not_accepted", message: `\`${asset}\` on \`${chain}\` is not accepted.` }]
    }),
  WalletMissing: ({ mode }: WalletMissing) =>
    refuse("nothing_to_pay_with", { detail: `This merchant has no wallet in ${mode} mode to be paid into.` }),
  NoWayToPay: ({ reasons }: NoWayToPay) =>
    reasons.length === 0
      ? refuse("nothing_to_pay_with", { detail: "This merchant accepts nothing in this mode." })
      : refuse("no_way_to_pay_now", {
        detail: reasons.map(({ method, reason }) => `${method.asset} on ${method.chain}: ${reason}`).join("; "),
        headers: { "retry-after": "30" }
      }),
  OutOfBounds: ({ field }: OutOfBounds) =>
    refuse("invalid_request", {
      errors: [{ pointer: `/${field}`, code: "out_of_bounds", message: "Lies outside of what makes sense." }]
    }),
  EndpointNotEnabled: () => refuse("not_possible_now", { detail: "The endpoint is disabled. Enable it first." }),
  TooManyEndpoints: () => refuse("too_many"),
  UrlRefused: ({ code }: UrlRefused) =>
    refuse("destination_refused", {
      detail: whyRefused[code],
      errors: [{ pointer: "/url", code, message: whyRefused[code] }]
    }),
  PaymentUnderWay: () => refuse("payment_under_way"),
  ReceiptMismatch: () => refuse("idempotency_mismatch"),
  VersionConflict: ({ version }: VersionConflict) =>
    refuse("version_conflict", version === 0 ? {} : { detail: `The resource is at version ${version}.` }),
  CursorInvalid: () =>
    refuse("invalid_request", {
      errors: [{ parameter: "after", code: "not_a_cursor", message: "Is no `nextCursor` that the feed has given out." }]
    }),
  StoreUnavailable: ({ retryAfterSeconds }: StoreUnavailable) =>
    refuse("unavailable", { headers: { "retry-after": `${retryAfterSeconds}` } }),
  // These would be ours to mend: a key names its merchant, ids are made here with 74 random bits or more, and an
  // address is given out once.
  MerchantNotFound: (error: MerchantNotFound) => Effect.die(error),
  InvoiceExists: (error: InvoiceExists) => Effect.die(error),
  NotUnique: (error: NotUnique) => Effect.die(error)
}
type Table = typeof table
type Tag = keyof Table

/** What a refusal becomes. A refusal that is not in the table does not compile where it would be answered. */
type Told<E> = E extends { readonly _tag: Tag } ? Effect.Error<ReturnType<Table[E["_tag"]]>> : never

/** Every handler's last step. */
export const answered = <A, E extends { readonly _tag: Tag } | Problem, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catch(effect, (error): Effect.Effect<never, Told<E> | Extract<E, Problem>> => {
    const tell = error._tag === "Problem" ? Effect.fail : table[error._tag]
    return tell(error as never) as Effect.Effect<never, Told<E> | Extract<E, Problem>>
  })
