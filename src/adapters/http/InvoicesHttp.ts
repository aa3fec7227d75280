/** The invoices part of the contract, carried out. */
import { Effect, Redacted, Schema, Semaphore, Stream } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import { Dispatch, type Outcome } from "#commands/Dispatch.ts"
import { CancelInvoice, MarkInvoice } from "#commands/Invoices.ts"
import { Invoicing } from "#commands/Invoicing.ts"
import type { Mode } from "#domain/Chain.ts"
import { InvoiceId } from "#domain/Invoice.ts"
import { Instant } from "#domain/Money.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { Changes } from "#ports/Changes.ts"
import { Shutdown } from "#ports/Shutdown.ts"
import { Views } from "#ports/Views.ts"
import { type InvoiceDetails, invoiceDetails } from "#projections/InvoiceDetails.ts"
import { Api } from "./Api.ts"
import { Asking, Principal } from "./Conventions.ts"
import type { InvoiceFilters } from "./InvoicesApi.ts"
import { PublicUrl, resourceOf } from "./InvoiceResource.ts"
import { pageOf, usualLimit } from "./Paging.ts"
import { refuse } from "./Problem.ts"
import { answered } from "./Problems.ts"

/** Requests that may wait for a change at once; who comes later is answered at once, and asks again. */
const mostWaiting = 2000

const isInvoiceId = Schema.is(InvoiceId)

export const layer = HttpApiBuilder.group(
  Api,
  "invoices",
  Effect.fnUntraced(function*(handlers) {
    const { dispatch } = yield* Dispatch
    const invoicing = yield* Invoicing
    const views = yield* Views
    const ledger = yield* ChainLedger
    const changes = yield* Changes
    const publicUrl = yield* PublicUrl
    const shutdown = yield* Shutdown
    const waiting = yield* Semaphore.make(mostWaiting)

    /** The caller's own invoice, of the key's world; anything else does not exist. */
    const owned = Effect.fnUntraced(function*(id: string) {
      const { merchantId, mode } = yield* Principal
      const row = isInvoiceId(id) ? yield* views.get(invoiceDetails, id) : null
      return row === null || row.merchantId !== merchantId || row.mode !== mode ? yield* refuse("not_found") : row
    })

    const shown = Effect.fnUntraced(function*(row: InvoiceDetails) {
      const body = resourceOf(row, yield* ledger.heights, publicUrl)
      return HttpApiSchema.withHeaders({ body, headers: { etag: `"${row.version}"` } })
    })

    /** What a command answered with, first or again. */
    const shownAfter = Effect.fnUntraced(function*({ replayed, row }: Outcome<unknown>) {
      const details = row(invoiceDetails)
      if (details === null) return yield* Effect.die(new Error("a command left no row"))
      const { body, headers } = yield* shown(details)
      return { body, headers: { ...headers, ...replayed && { "idempotent-replayed": "true" as const } } }
    })

    const newer = Effect.fnUntraced(function*(known: InvoiceDetails, since: number, seconds: number) {
      const hears = Stream.merge(changes.of(known.id), Stream.tick("5 seconds")).pipe(
        Stream.mapEffect(() => owned(known.id)),
        Stream.filter(({ version }) => version > since),
        Stream.take(1),
        Stream.interruptWhen(shutdown.await),
        Stream.runHead,
        Effect.timeoutOption(`${seconds} seconds`)
      )
      yield* waiting.withPermitsIfAvailable(1)(hears)
      return yield* owned(known.id)
    })

    return handlers.handleAll({
      create: ({ payload }) =>
        Effect.gen(function*() {
          const { mode } = yield* Principal
          const { customer, policy, ...rest } = payload
          const opening = {
            ...rest,
            mode,
            ...customer !== undefined && { customer: { email: Redacted.make(customer.email) } },
            ...policy?.tolerancePercent !== undefined && { policy: { toleranceBasisPoints: policy.tolerancePercent } }
          }
          const outcome = yield* invoicing.open(opening, yield* Asking)
          const { body, headers } = yield* shownAfter(outcome)
          return HttpApiSchema.withHeaders({ body, headers: { ...headers, location: `/v1/invoices/${body.id}` } })
        }).pipe(answered),

      list: ({ query }) =>
        Effect.gen(function*() {
          const { merchantId, mode } = yield* Principal
          const { after, createdFrom, createdTo, limit = usualLimit, q, ...exact } = query
          const rows = yield* views.list(invoiceDetails, {
            tenant: merchantId,
            ...searched(q),
            contains: { ...searched(q).contains, ...matching(exact, mode) },
            ...after !== undefined && { before: after },
            ...createdFrom !== undefined && { createdFrom: encodeInstant(createdFrom) },
            ...createdTo !== undefined && { createdTo: encodeInstant(createdTo) },
            limit: limit + 1
          })
          const heights = yield* ledger.heights
          return pageOf(rows, limit, (row) => resourceOf(row, heights, publicUrl), ({ id }) => id)
        }).pipe(answered),

      get: ({ params, query: { sinceVersion, wait = 0 } }) =>
        Effect.gen(function*() {
          const row = yield* owned(params.id)
          const since = sinceVersion ?? row.version
          return yield* shown(wait > 0 && row.version <= since ? yield* newer(row, since, wait) : row)
        }).pipe(answered),

      cancel: ({ params, payload }) =>
        Effect.gen(function*() {
          const { id } = yield* owned(params.id)
          return HttpApiSchema.withHeaders(
            yield* shownAfter(yield* dispatch(CancelInvoice, id, payload, yield* Asking))
          )
        }).pipe(answered),

      mark: ({ params, payload }) =>
        Effect.gen(function*() {
          const { id } = yield* owned(params.id)
          return HttpApiSchema.withHeaders(yield* shownAfter(yield* dispatch(MarkInvoice, id, payload, yield* Asking)))
        }).pipe(answered)
    })
  })
)

const encodeInstant = Schema.encodeSync(Instant)

/** Whatever must hold of a row exactly. */
const matching = (exact: Exact, mode: Mode) => {
  const { asset, chain, flag, orderId, status, ...rest } = exact
  const metadata = Object.entries(rest).map(([name, value]) => [name.slice("metadata[".length, -1), value])
  return {
    mode,
    ...status !== undefined && { status },
    ...flag !== undefined && { flags: [flag] },
    ...orderId !== undefined && { orderId },
    ...(chain ?? asset) !== undefined && {
      methods: [{ ...chain !== undefined && { chain }, ...asset !== undefined && { asset } }]
    },
    ...metadata.length > 0 && { metadata: Object.fromEntries(metadata) }
  }
}
type Exact = Omit<typeof InvoiceFilters.Type, "after" | "createdFrom" | "createdTo" | "limit" | "q">

/** An address and a transaction are found as a whole, by the index; words are looked for in what people wrote. */
const searched = (q: string | undefined) => {
  if (q === undefined) return {}
  if (/^0x[0-9a-fA-F]{40}$/.test(q)) return { contains: { address: q.toLowerCase() } }
  if (/^0x[0-9a-fA-F]{64}$/.test(q)) return { contains: { payments: [{ transaction: q.toLowerCase() }] } }
  return { text: { in: ["orderId", "description"], find: q } }
}
