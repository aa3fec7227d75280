/** Writes down what merchants are owed: from each event its notices, and for each notice a delivery to every endpoint. */
import { Effect, Layer } from "effect"
import * as History from "#commands/History.ts"
import type { Mode } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { bodyOf, type InvoiceNotice } from "#domain/Notice.ts"
import * as Endpoint from "#domain/WebhookEndpoint.ts"
import { Bus, type Group, HandlerFailed, type Message } from "#ports/Bus.ts"
import { Deliveries, type Notification, type Recipient } from "#ports/Deliveries.ts"
import { EventStore, type Recorded } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { type EndpointRow, endpoints } from "#projections/Directory.ts"
import { type InvoiceDetails, invoiceDetails } from "#projections/InvoiceDetails.ts"
import { noticesOf } from "#reactions/MerchantNotices.ts"

const group: Group = { name: "webhook-delivery", topic: "domain-events", consumers: 4, batch: 100, tries: 10 }

/** More than a merchant can have (`commands/Endpoints.ts`); each status is asked for by itself. */
const mostEndpoints = 50

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const { consume } = yield* Bus
    const { owe, shelve } = yield* Deliveries
    const store = yield* EventStore
    const views = yield* Views

    const handle = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>) {
      const invoices = messages.filter(({ headers }) => headers.category === Invoice.aggregate.category)
      const told = yield* Effect.forEach(
        Object.values(Object.groupBy(invoices, ({ key }) => key)),
        (sameStream) => noticesFrom(sameStream ?? [])
      )
      const notices = told.flat()
      const listeners = yield* listenersOf(notices)
      yield* owe(notices.map((notification) => ({ notification, to: recipientsOf(notification, listeners) })))

      for (const { headers, key, type } of messages) {
        if (headers.category === Endpoint.aggregate.category && endsDeliveries.has(type)) yield* shelve(key)
      }
    })

    /** The notices of some of a stream's events, each as things stood right after it. The stream is read once. */
    const noticesFrom = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>) {
      const [first] = messages
      const { stream, tenant } = first?.headers ?? {}
      if (stream === undefined || tenant === undefined) return []
      const versions = new Set(messages.map(({ headers }) => headers.version))
      // A stream that has just begun is at hand already.
      const told = messages.map((message) => recordedOf(message, stream, tenant))
      const whole = told.every(({ version }, i) => version === i + 1)
      const history = whole ? told : yield* store.read(stream, tenant)
      // The store may be restored from an older copy, or a replica that lags behind the bus.
      if (messages.some(({ headers: { version = 0 } }) => version > history.length)) {
        return yield* new HandlerFailed({ reason: `${stream} ends before the event`, retry: true })
      }
      return notificationsOf(history, versions, tenant)
    })

    /** The endpoints of all the merchants concerned, under `merchant mode`. */
    const listenersOf = Effect.fnUntraced(function*(notices: ReadonlyArray<Notification>) {
      const owners = new Map(notices.map((notice) => [ownerOf(notice), notice]))
      const rows = yield* Effect.forEach(
        owners.values(),
        ({ merchantId, mode }) =>
          Effect.forEach(
            ["enabled", "disabled"],
            (status) => views.list(endpoints, { tenant: merchantId, contains: { mode, status }, limit: mostEndpoints })
          )
      )
      return new Map([...owners.keys()].map((owner, i) => [owner, rows[i]?.flat() ?? []]))
    })

    yield* consume(group, handle)
  })
)

/** After these nothing may be sent any more. What was pending is kept, and can be recovered. */
const endsDeliveries: ReadonlySet<string> = new Set<Endpoint.Event["_tag"]>(["EndpointDisabled", "EndpointDeleted"])

type Told = Omit<Recorded, "category" | "meta">

const ownerOf = ({ merchantId, mode }: { readonly merchantId: string; readonly mode: Mode }) => `${merchantId} ${mode}`

/** As the store has it, but for who asked and why. */
const recordedOf = (
  { body, headers, id, recordedAt, schemaVersion, type }: Message,
  stream: string,
  tenant: string
): Told => ({ eventId: id, stream, tenant, version: headers.version ?? 0, recordedAt, type, schemaVersion, data: body })

const notificationsOf = (
  history: ReadonlyArray<Told>,
  versions: ReadonlySet<number | undefined>,
  merchantId: string
): ReadonlyArray<Notification> => {
  const notifications: Array<Notification> = []
  let row: InvoiceDetails | null = null
  let state = Invoice.initial
  for (const recorded of history) {
    const event = History.decode(Invoice.aggregate, recorded)
    row = invoiceDetails.apply(row, event, recorded)
    state = Invoice.evolve(state, event)
    if (row === null || !versions.has(recorded.version)) continue
    const at = { eventId: recorded.eventId, occurredAt: recorded.recordedAt }
    for (const notice of noticesOf(event, { ...row, ...Invoice.standingOf(state) }, at)) {
      notifications.push(notificationOf(notice, merchantId))
    }
  }
  return notifications
}

const notificationOf = (notice: InvoiceNotice, merchantId: string): Notification => ({
  id: notice.id,
  merchantId,
  mode: notice.mode,
  type: notice.type,
  invoiceId: notice.data.invoiceId,
  body: bodyOf(notice),
  occurredAt: notice.occurredAt
})

/** What an endpoint wants is asked now; where and how to send it, when it is sent. */
const recipientsOf = (
  notification: Notification,
  listeners: ReadonlyMap<string, ReadonlyArray<EndpointRow>>
): ReadonlyArray<Recipient> =>
  (listeners.get(ownerOf(notification)) ?? [])
    .filter(({ types }) => types === null || types.includes(notification.type))
    .map(({ id, ordering, status }) => ({
      endpointId: id,
      skip: status === "disabled",
      ordered: ordering === "per_invoice"
    }))
