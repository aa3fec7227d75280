/** The one table from what the house can refuse or fail with to what a caller is told of it. */
import { Effect } from "effect"
import type { VersionConflict } from "#commands/Dispatch.ts"
import type { TooManyEndpoints } from "#commands/Endpoints.ts"
import type {
  MerchantNotFound,
  MethodNotAccepted,
  NoWayToPay,
  OutOfBounds,
  WalletMissing
} from "#commands/Invoicing.ts"
import { maxUrlLength, type UrlRefused } from "#domain/EgressPolicy.ts"
import type { InvoiceExists, NotPossibleNow } from "#domain/Invoice.ts"
import type { NotUnique, StoreUnavailable } from "#ports/EventStore.ts"
import { type Problem, refuse } from "./Problem.ts"

const whyRefused: Readonly<Record<UrlRefused["code"], string>> = {
  malformed: "This is not an absolute URL like `https://shop.example/webhooks`.",
  too_long: `A URL may have ${maxUrlLength} characters at the most.`,
  scheme: "Webhooks go to `https:` addresses only.",
  userinfo: "A URL with a user name in it is not accepted. Verify the signature instead.",
  port: "Webhooks do not go to this port. Use 443, or one that the operator of this server allows.",
  host: "This is no name of a public host: it needs a dot, and none at its end.",
  forbidden_address: "This leads to an address that is not on the public internet."
}

/** For each way to pay that cannot be offered, what is in the way. */
const whySilent: Readonly<Record<NoWayToPay["reasons"][number]["reason"], string>> = {
  no_source: "nobody here knows its price in this currency",
  stale: "its price is too old",
  absurd: "its price makes no sense",
  sources_disagree: "the sources of its price contradict each other",
  too_few_sources: "too few sources know its price",
  depegged: "it is not worth what it should be",
  chain_not_watched: "this server does not watch that chain",
  chain_halted: "that chain is halted here until somebody has looked at it",
  chain_behind: "that chain is not read up to now"
}

const outOfBounds: Readonly<Record<OutOfBounds["field"], { readonly pointer: string; readonly message: string }>> = {
  expiresIn: { pointer: "/expiresIn", message: "Must be a whole number from 60 to 604800 (seven days)." },
  policy: { pointer: "/policy/tolerancePercent", message: "May not be more than half of the price." }
}

const table = {
  InvoiceNotFound: () => refuse("not_found"),
  EndpointNotFound: () => refuse("not_found"),
  NotPossibleNow: ({ status }: NotPossibleNow) =>
    refuse("not_possible_now", { detail: `Not possible while the invoice is \`${status}\`.` }),
  MethodNotAccepted: ({ asset, chain }: MethodNotAccepted) =>
    refuse("nothing_to_pay_with", {
      detail:
        `This merchant does not take \`${asset}\` on \`${chain}\` in this mode. Without \`accepts\`, everything is offered that it takes.`,
      errors: [{ pointer: "/accepts", code: "not_accepted", message: `\`${asset}\` on \`${chain}\` is not accepted.` }]
    }),
  WalletMissing: ({ mode }: WalletMissing) =>
    refuse("nothing_to_pay_with", {
      detail: `This merchant has no wallet in ${mode} mode to be paid into. One must be registered first.`
    }),
  NoWayToPay: ({ reasons }: NoWayToPay) =>
    reasons.length === 0
      ? refuse("nothing_to_pay_with", { detail: "This merchant accepts nothing in this mode." })
      : refuse("no_way_to_pay_now", {
        detail: `${
          reasons.map(({ method, reason }) => `${method.asset} on ${method.chain}: ${whySilent[reason]}`).join("; ")
        }.`,
        headers: { "retry-after": "30" }
      }),
  OutOfBounds: ({ field }: OutOfBounds) =>
    refuse("invalid_request", {
      errors: [{ ...outOfBounds[field], code: "out_of_bounds" }]
    }),
  EndpointNotEnabled: () => refuse("not_possible_now", { detail: "The endpoint is disabled. Enable it first." }),
  TooManyEndpoints: ({ most }: TooManyEndpoints) =>
    refuse("too_many", {
      detail: `There are ${most} webhook endpoints in this mode. Delete one before adding another.`
    }),
  UrlRefused: ({ code }: UrlRefused) =>
    refuse("destination_refused", {
      detail: whyRefused[code],
      errors: [{ pointer: "/url", code, message: whyRefused[code] }]
    }),
  PaymentUnderWay: () => refuse("payment_under_way"),
  ReceiptMismatch: () => refuse("idempotency_mismatch"),
  VersionConflict: ({ version }: VersionConflict) =>
    refuse(
      "version_conflict",
      version === 0 ? {} : { detail: `The resource is at version ${version}. Read it again, and decide anew.` }
    ),
  CursorInvalid: () =>
    refuse("invalid_request", {
      errors: [{
        parameter: "after",
        code: "not_a_cursor",
        message: "Is not a `nextCursor` that the feed has given out."
      }]
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
