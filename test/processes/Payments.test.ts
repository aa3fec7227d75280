/** The payments process on the memory adapters: what the chains show, and what the clock brings, reaches the invoice. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { BaseUnits } from "#domain/Amount.ts"
import type { ChainId } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import { keyOf, Observation } from "#domain/Observation.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { OpenInvoice } from "#commands/Invoices.ts"
import { Quotes } from "#commands/Quotes.ts"
import type { Message } from "#ports/Bus.ts"
import { ChainLedger, type Height } from "#ports/ChainLedger.ts"
import { EventStore } from "#ports/EventStore.ts"
import { RateSources } from "#ports/RateSource.ts"
import * as Payments from "#processes/Payments.ts"
import { addressBook } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import * as MemoryBus from "#adapters/memory/Bus.ts"
import * as MemoryEventStore from "#adapters/memory/EventStore.ts"
import * as MemoryTimers from "#adapters/memory/Timers.ts"
import * as MemoryViews from "#adapters/memory/Views.ts"
import { address, at, hash, invoiceId, merchantId, opening, quote, usdc } from "../support/examples.ts"
import { until } from "../support/until.ts"

/** How far the chains have been read; the tests move it. */
const heights = new Map<ChainId, Height>()
const ledger = Layer.mock(ChainLedger, { heights: Effect.sync(() => [...heights.values()]) })
const readTo = (time: string) => {
  for (const chain of ["base", "ethereum"] as const) {
    heights.set(chain, { chain, number: 1, time: at(time), finalized: 0, checkedAt: at(time), halted: null })
  }
}

const world = () =>
  Payments.layer.pipe(
    Layer.provideMerge(Dispatch.layer),
    Layer.provide(Layer.succeed(StrongProjections, [invoiceDetails, addressBook])),
    Layer.provide(Quotes.layer()),
    Layer.provide(Layer.succeed(RateSources, [])),
    Layer.provide(ledger),
    Layer.provideMerge(Layer.mergeAll(MemoryBus.layer, MemoryTimers.layer)),
    Layer.provideMerge(Layer.merge(MemoryEventStore.layer, MemoryViews.layer))
  )

let ids = 0
const publish = (message: Pick<Message, "topic" | "key" | "type" | "body" | "headers">) =>
  Effect.gen(function*() {
    const write = yield* MemoryBus.Publish
    yield* write([{ ...message, id: `m${++ids}`, schemaVersion: 1, recordedAt: yield* DateTime.now }])
  })

const encodeObservation = Schema.encodeSync(Observation)
const observe = (observation: Observation) =>
  publish({
    topic: "integrations",
    key: keyOf(observation),
    type: observation._tag,
    body: encodeObservation(observation),
    headers: {}
  })

/** Passes the invoice's new events on, as the log does where it is the bus. */
const relay = (from: number) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    for (const { category, data, stream, tenant, type, version } of yield* store.read(invoiceId, merchantId, from)) {
      yield* publish({
        topic: "domain-events",
        key: stream,
        type,
        body: data,
        headers: { stream, category, version, tenant }
      })
    }
  })

const { TransferConfirmed, TransferOrphaned, TransferSeen } = Observation.cases
const to = address("aa")
const transferId = "base:a1:0"
const seen = (overrides: { amount?: BaseUnits; block?: Invoice.Block } = {}) =>
  TransferSeen.make({
    chain: "base",
    transferId,
    asset: "usdc",
    decimals: 6,
    to,
    from: address("cc"),
    amount: usdc(25),
    transaction: hash("a1"),
    block: { number: 5, hash: hash("b0"), time: at("10:05") },
    ...overrides
  })
const sure = TransferConfirmed.make({
  chain: "base",
  transferId,
  to,
  level: "default",
  blockHash: hash("b0"),
  at: at("10:06")
})
const gone = TransferOrphaned.make({
  chain: "base",
  transferId,
  to,
  blockHash: hash("b0"),
  wasConfirmed: false,
  at: at("10:06")
})

/** The world begins at ten o'clock: its timers would count every second since 1970 if the clock were set later. */
const atTen = <A, E>(test: Effect.Effect<A, E, Layer.Success<ReturnType<typeof world>>>) =>
  Effect.andThen(TestClock.setTime(at("10:00").epochMilliseconds), Effect.suspend(() => Effect.provide(test, world())))

const open = Effect.gen(function*() {
  readTo("10:00")
  const { dispatch } = yield* Dispatch
  const { openedAt: _, ...asked } = { ...opening, methods: [quote(), quote({ chain: "ethereum", asset: "eth" })] }
  yield* dispatch(OpenInvoice, invoiceId, asked, { tenant: merchantId, actor: "test" })
  yield* relay(0)
})

const types = Effect.gen(function*() {
  const store = yield* EventStore
  return (yield* store.read(invoiceId, merchantId)).map(({ type }) => type)
})

/** The clock stands still while fibers work, so waiting is by real time. */
const eventually = (...expected: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    yield* TestClock.withLive(
      until(
        `events ${expected.join(", ")}`,
        Effect.fnUntraced(function*() {
          return (yield* types).length >= expected.length
        })
      )
    )
    assert.deepStrictEqual(yield* types, expected)
  })

describe("a transfer that the chain shows", () => {
  it.effect("is detected once however often it is told, and settles the invoice when it is sure", () =>
    atTen(Effect.gen(function*() {
      yield* open
      yield* observe(seen())
      yield* observe(seen())
      yield* observe(sure)
      yield* eventually("InvoiceOpened", "PaymentDetected", "InvoiceProcessing", "PaymentConfirmed", "InvoiceSettled")
    })))
})

describe("a transfer that a reorg takes away", () => {
  it.effect("is dropped after the grace time of two blocks, and not before", () =>
    atTen(Effect.gen(function*() {
      yield* open
      yield* observe(seen())
      yield* eventually("InvoiceOpened", "PaymentDetected", "InvoiceProcessing")
      yield* TestClock.setTime(at("10:06").epochMilliseconds)
      yield* observe(gone)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* types).length, 3)
      yield* TestClock.adjust("2 seconds")
      yield* eventually("InvoiceOpened", "PaymentDetected", "InvoiceProcessing", "PaymentDropped", "InvoiceReopened")
    })))
})

describe("an invoice whose time is up", () => {
  it.effect("waits until every chain has been read beyond it, then expires", () =>
    atTen(Effect.gen(function*() {
      yield* open
      yield* TestClock.adjust("20 minutes")
      assert.deepStrictEqual(yield* types, ["InvoiceOpened"])
      readTo("10:20")
      yield* TestClock.adjust("20 seconds")
      yield* eventually("InvoiceOpened", "WindowClosed", "InvoiceExpired")
    })))
})
