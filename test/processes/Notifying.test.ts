import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryBus from "#adapters/memory/Bus.ts"
import { Dispatch } from "#commands/Dispatch.ts"
import { CancelInvoice, OpenInvoice } from "#commands/Invoices.ts"
import { DeleteEndpoint, DisableEndpoint } from "#commands/Merchants.ts"
import type { Message } from "#ports/Bus.ts"
import { Bus } from "#ports/Bus.ts"
import { Deliveries } from "#ports/Deliveries.ts"
import { EventStore } from "#ports/EventStore.ts"
import * as Notifying from "#processes/Notifying.ts"
import { invoiceId, merchantId, opening } from "../support/examples.ts"
import { behalf, deliveriesOf, register, webhooks } from "../support/webhooks.ts"

const world = MemoryBus.layer.pipe(Layer.provideMerge(webhooks))
const settle = Effect.repeat(TestClock.adjust(0), { times: 50 })
const telling = Effect.andThen(Layer.build(Notifying.layer), settle)

/** What the bus says of a stream's events. */
const messagesOf = Effect.fnUntraced(function*(stream: string) {
  const { read } = yield* EventStore
  const history = yield* read(stream, merchantId)
  return history.map(({ category, data, eventId, recordedAt, schemaVersion, tenant, type, version }): Message => ({
    topic: "domain-events",
    key: stream,
    id: eventId,
    type,
    schemaVersion,
    body: data,
    headers: { stream, category, version, tenant },
    recordedAt
  }))
})
const publish = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>) {
  yield* (yield* MemoryBus.Publish)(messages)
  yield* settle
})

/** An invoice that was opened and canceled. */
const canceledInvoice = Effect.fnUntraced(function*() {
  const { dispatch } = yield* Dispatch
  yield* dispatch(OpenInvoice, invoiceId, opening, behalf)
  yield* dispatch(CancelInvoice, invoiceId, {}, behalf)
  return yield* messagesOf(invoiceId)
})

const notices = Effect.flatMap(
  Deliveries,
  ({ notifications }) =>
    Effect.map(notifications({ merchantId, mode: "live", after: null, limit: 100 }), ({ data }) => data)
)
const typesFor = (id: string) =>
  Effect.map(deliveriesOf(id), (all) => all.map(({ notification, status }) => [notification.type, status]).toSorted())
const both = ["invoice.canceled", "invoice.created"]

describe("what a merchant is owed", () => {
  it.effect("follows from each event, as things stood then", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      yield* telling
      yield* publish(yield* canceledInvoice())
      assert.deepStrictEqual(yield* typesFor(id), both.map((type) => [type, "pending"]))
      const told = (yield* notices).map(({ body }) =>
        JSON.parse(body) as { sequence: number; data: { status: string } }
      )
      assert.deepStrictEqual(told.map(({ data, sequence }) => [sequence, data.status]), [[1, "open"], [2, "canceled"]])
    }).pipe(Effect.scoped, Effect.provide(world)))

  it.effect("is owed once, however often the bus says it", () =>
    Effect.gen(function*() {
      const { id } = yield* register("shop.example")
      yield* telling
      const messages = yield* canceledInvoice()
      yield* publish([...messages, ...messages])
      yield* publish(messages)
      assert.strictEqual((yield* deliveriesOf(id)).length, 2)
      assert.strictEqual((yield* notices).length, 2)
    }).pipe(Effect.scoped, Effect.provide(world)))

  it.effect("goes to each endpoint of the mode that wants it, and to no other merchant's", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* Dispatch
      const all = yield* register("all.example")
      const some = yield* register("some.example", { types: ["invoice.canceled"] })
      const other = yield* register("test.example", { mode: "test" })
      const disabled = yield* register("disabled.example")
      const deleted = yield* register("deleted.example")
      yield* dispatch(DisableEndpoint, disabled.id, { reason: "by_merchant" }, behalf)
      yield* dispatch(DeleteEndpoint, deleted.id, {}, behalf)
      yield* telling
      yield* publish(yield* canceledInvoice())
      assert.deepStrictEqual(yield* typesFor(all.id), both.map((type) => [type, "pending"]))
      assert.deepStrictEqual(yield* typesFor(some.id), [["invoice.canceled", "pending"]])
      assert.deepStrictEqual(yield* typesFor(disabled.id), both.map((type) => [type, "skipped"]))
      assert.deepStrictEqual([...yield* typesFor(other.id), ...yield* typesFor(deleted.id)], [])
    }).pipe(Effect.scoped, Effect.provide(world)))

  it.effect("is written down for the feed also where nobody listens", () =>
    Effect.gen(function*() {
      yield* telling
      yield* publish(yield* canceledInvoice())
      assert.deepStrictEqual((yield* notices).map(({ type }) => type), ["invoice.created", "invoice.canceled"])
    }).pipe(Effect.scoped, Effect.provide(world)))

  it.effect("107: waits, skipped, from the moment the endpoint is disabled", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* Dispatch
      const { id } = yield* register("shop.example")
      yield* telling
      yield* publish(yield* canceledInvoice())
      yield* dispatch(DisableEndpoint, id, { reason: "by_merchant" }, behalf)
      yield* publish((yield* messagesOf(id)).slice(-1))
      assert.deepStrictEqual(yield* typesFor(id), both.map((type) => [type, "skipped"]))
    }).pipe(Effect.scoped, Effect.provide(world)))

  it.effect("137: is not made up from a store that ends before the event: the message is kept aside", () =>
    Effect.gen(function*() {
      const bus = yield* Bus
      yield* telling
      const [opened] = yield* canceledInvoice()
      assert.isDefined(opened)
      const ahead = { ...opened, id: "ahead", headers: { ...opened.headers, version: 9 } }
      yield* publish([ahead])
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 minute"), settle), { times: 30 })
      assert.deepStrictEqual(yield* notices, [])
      assert.deepStrictEqual((yield* bus.parked("webhook-delivery")).map(({ message }) => message.id), ["ahead"])
    }).pipe(Effect.scoped, Effect.provide(world)))
})
