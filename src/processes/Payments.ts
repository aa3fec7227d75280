/** The payments process: what the chains show becomes commands to invoices, and time is kept for them. */
import { DateTime, Duration, Effect, Layer, Schema } from "effect"
import { chains } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { MerchantId } from "#domain/Merchant.ts"
import { Observation } from "#domain/Observation.ts"
import {
  CloseWindow,
  ConfirmPayment,
  DetectPayment,
  DropPayment,
  LetReversalStand,
  NoteOverdue
} from "#commands/Invoices.ts"
import { type Behalf, Dispatch, type DispatchError } from "#commands/Dispatch.ts"
import * as History from "#commands/History.ts"
import { Quotes } from "#commands/Quotes.ts"
import { Bus, type Group, HandlerFailed, type Message } from "#ports/Bus.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { type Timer, Timers } from "#ports/Timers.ts"
import { Views } from "#ports/Views.ts"
import { addressBook, merchants } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { type Alarm, alarmsOfEvent, alarmsOfObservation, type Owner, Reminder } from "#reactions/InvoicePayments.ts"

const observing: Group = { name: "payments", topic: "integrations", consumers: 4, batch: 200, tries: 10 }
const timekeeping: Group = { name: "invoice-timers", topic: "domain-events", consumers: 2, batch: 200, tries: 10 }

/** Invoices worked on side by side within a batch, so that their appends share statements. */
const sideBySide = 64

const decodeObservation = Schema.decodeUnknownEffect(Observation)
const decodeReminder = Schema.decodeUnknownEffect(Reminder)
const encodeReminder = Schema.encodeSync(Reminder)

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const { consume } = yield* Bus
    const timers = yield* Timers
    const views = yield* Views
    const { heights } = yield* ChainLedger
    const { dispatch } = yield* Dispatch
    const quotes = yield* Quotes

    const wind = Effect.fnUntraced(function*(alarms: ReadonlyArray<Alarm>) {
      const last = new Map(alarms.map((alarm) => [alarm.id, alarm]))
      const toSet = [...last.values()].flatMap((alarm) =>
        alarm._tag === "Set" ? [{ id: alarm.id, dueAt: alarm.at, about: encodeReminder(alarm.about) }] : []
      )
      const toForget = [...last.values()].flatMap((alarm) => alarm._tag === "Forget" ? [alarm.id] : [])
      if (toForget.length > 0) yield* timers.cancel(toForget)
      if (toSet.length > 0) yield* timers.set(toSet)
    })

    const ownerOf = Effect.fnUntraced(function*(address: string) {
      const row = yield* views.get(addressBook, address)
      return row === null ? null : { invoiceId: row.invoiceId, merchantId: MerchantId.make(row.merchantId) }
    })

    const detect = Effect.fnUntraced(function*(
      seen: Extract<Observation, { _tag: "TransferSeen" }>,
      { invoiceId, merchantId }: Owner,
      behalf: Behalf
    ) {
      const { _tag, to: _to, ...transfer } = seen
      const row = yield* views.get(invoiceDetails, invoiceId)
      const merchant = yield* views.get(merchants, merchantId)
      const unclear = row !== null && Invoice.needsMarket(row, seen, merchant?.accepts ?? [])
      const market = unclear ? yield* quotes.market(seen, row.price.currency) : null
      yield* dispatch(DetectPayment, invoiceId, { ...transfer, market }, behalf)
    })

    const observe = Effect.fnUntraced(function*(message: Message) {
      const observation = yield* Effect.mapError(decodeObservation(message.body), undecodable)
      if (!("to" in observation)) return []
      const owner = yield* ownerOf(observation.to)
      if (owner === null) return []
      const behalf: Behalf = { tenant: owner.merchantId, actor: "scanner", cause: message.id }
      switch (observation._tag) {
        case "TransferSeen":
          yield* detect(observation, owner, behalf)
          break
        case "TransferConfirmed": {
          const { blockHash, level, transferId } = observation
          yield* dispatch(ConfirmPayment, owner.invoiceId, { blockHash, level, transferId }, behalf)
          break
        }
        case "TransferOrphaned":
          break
      }
      return alarmsOfObservation(observation, owner)
    })

    const keepTime = Effect.fnUntraced(function*({ body, headers, schemaVersion, type }: Message) {
      if (headers.category !== Invoice.aggregate.category || headers.stream === undefined) return []
      const event = History.decode(Invoice.aggregate, { type, schemaVersion, data: body })
      const row = yield* views.get(invoiceDetails, headers.stream)
      if (row === null) return []
      return alarmsOfEvent(event, { invoiceId: row.id, merchantId: MerchantId.make(row.merchantId) }, row.policy)
    })

    /** Works a batch off key by key, in order within each, and winds the timers that follow from it. */
    const batchOf =
      (react: (message: Message) => Effect.Effect<ReadonlyArray<Alarm>, DispatchError | HandlerFailed>) =>
      (messages: ReadonlyArray<Message>) =>
        Effect.forEach(
          Object.values(Object.groupBy(messages, ({ key }) => key)),
          (sameKey) => Effect.forEach(sameKey ?? [], react),
          { concurrency: sideBySide }
        ).pipe(
          Effect.flatMap((alarms) => wind(alarms.flat(2))),
          Effect.mapError((error) => isOurs(error) ? error : new HandlerFailed({ reason: error._tag, retry: true }))
        )

    /** How far every chain of an invoice has been read; a chain that was never read counts as not at all. */
    const readUntil = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
      const known = new Map((yield* heights).map(({ chain, time }) => [chain as string, time.epochMilliseconds]))
      return DateTime.makeUnsafe(Math.min(...names.map((name) => known.get(name) ?? 0)))
    })

    /** How soon to ask again whether the chains have been read beyond an invoice's expiry. */
    const retryClose = (names: ReadonlyArray<keyof typeof chains>) =>
      Duration.seconds(Math.min(15, Math.max(1, ...names.map((name) => chains[name].blockSeconds))))

    const ring = Effect.fnUntraced(function*(timer: Timer) {
      const about = yield* Effect.orDie(decodeReminder(timer.about))
      const { invoiceId, merchantId } = about
      const behalf: Behalf = { tenant: merchantId, actor: "timer", cause: timer.id }
      switch (about._tag) {
        case "CloseWindow": {
          const row = yield* views.get(invoiceDetails, invoiceId)
          if (row === null) return null
          const names = [...new Set(row.methods.map(({ chain }) => chain))]
          const until = yield* readUntil(names)
          const { state } = yield* dispatch(CloseWindow, invoiceId, { readUntil: until }, behalf)
          const waiting = !state.closed && !state.settled && !state.canceled
          return waiting ? DateTime.addDuration(yield* DateTime.now, retryClose(names)) : null
        }
        case "DropPayment":
          yield* dispatch(DropPayment, invoiceId, about, behalf)
          return null
        case "LetReversalStand":
          yield* dispatch(LetReversalStand, invoiceId, {}, behalf)
          return null
        case "NoteOverdue":
          yield* dispatch(NoteOverdue, invoiceId, {}, behalf)
          return null
      }
    }, Effect.mapError((error) => new StoreUnavailable({ reason: error._tag, retryAfterSeconds: 1 })))

    yield* Effect.all([
      Effect.forkScoped(consume(observing, batchOf(observe))),
      Effect.forkScoped(consume(timekeeping, batchOf(keepTime))),
      Effect.forkScoped(timers.run(ring))
    ], { discard: true })
  })
)

const undecodable = () => new HandlerFailed({ reason: "the observation does not decode", retry: false })
const isOurs = (error: DispatchError | HandlerFailed): error is HandlerFailed | StoreUnavailable =>
  error._tag === "HandlerFailed" || error._tag === "StoreUnavailable"
