/** How fast payments get from a block to their invoices, and how fast a chain is caught up with, on a node that costs nothing. */
import { PgClient } from "@effect/sql-pg"
import { DateTime, Effect, Layer } from "effect"
import { performance } from "node:perf_hooks"
import * as Bus from "#adapters/postgres/Bus.ts"
import * as ChainLedger from "#adapters/postgres/ChainLedger.ts"
import * as Database from "#adapters/postgres/Database.ts"
import * as EventStore from "#adapters/postgres/EventStore.ts"
import * as Timers from "#adapters/postgres/Timers.ts"
import * as Views from "#adapters/postgres/Views.ts"
import { Dispatch, StrongProjections } from "#commands/Dispatch.ts"
import { Quotes } from "#commands/Quotes.ts"
import { Address } from "#domain/Chain.ts"
import * as Payments from "#processes/Payments.ts"
import * as Scanner from "#processes/Scanner.ts"
import { ChainLedger as Ledger } from "#ports/ChainLedger.ts"
import { ChainReaders, type ChainReaderShape, type Movement } from "#ports/ChainReader.ts"
import { RateSources } from "#ports/RateSource.ts"
import { addressBook, merchants } from "#projections/Directory.ts"
import { invoiceDetails } from "#projections/InvoiceDetails.ts"
import { address, quote, usdc } from "../test/support/examples.ts"
import { type Bench, load, rounded } from "./Bench.ts"
import { freshServer } from "./database.ts"
import { opener } from "./opening.ts"

const chain = "base"

const hashOf = (number: number) => `0x${number.toString(16).padStart(64, "0")}`

/** A node whose chain ends where it is told to, and answers at once. */
const node = () => {
  const movements = new Map<number, ReadonlyArray<Movement>>()
  const state = { top: 0, told: Infinity }
  const born = DateTime.nowUnsafe()
  const headerAt = (number: number) => ({
    number,
    hash: hashOf(number),
    parentHash: hashOf(number - 1),
    time: DateTime.addDuration(born, number)
  })
  const reader: ChainReaderShape = {
    chain,
    verify: Effect.void,
    head: Effect.sync(() => {
      if (state.top > 0) state.told = Math.min(state.told, performance.now())
      return headerAt(state.top)
    }),
    headerAt: (number) => Effect.succeed(number > state.top ? null : headerAt(number)),
    block: (hash) => Effect.sync(() => ({ ...headerAt(Number(hash)), movements: movements.get(Number(hash)) ?? [] })),
    finalized: Effect.succeed(null)
  }
  return { movements, state, reader }
}

const movement = (block: number, nth: number, to: Address): Movement => ({
  transaction: `0x${block.toString(16).padStart(32, "0")}${nth.toString(16).padStart(32, "0")}`,
  position: 0,
  asset: "usdc",
  decimals: 6,
  from: address("cc"),
  to,
  amount: usdc(25)
})

/** The scanner and the payments process of that node, on a Postgres of their own. */
const world = Effect.fnUntraced(function*(reader: ChainReaderShape) {
  const url = yield* freshServer
  const ports = Layer.mergeAll(EventStore.layer, Bus.layer({ handlers: 12 }), Timers.layer, ChainLedger.layer).pipe(
    Layer.provideMerge(Views.layer),
    Layer.provideMerge(Database.layerMigrated({ url, maxConnections: 24 }))
  )
  const commands = Quotes.layer({}).pipe(
    Layer.provideMerge(Dispatch.layer),
    Layer.provide(Layer.succeed(StrongProjections, [invoiceDetails, addressBook, merchants])),
    Layer.provide(Layer.succeed(RateSources, []))
  )
  return yield* Layer.build(
    Layer.merge(Scanner.layer(), Payments.layer).pipe(
      Layer.provide(Layer.succeed(ChainReaders, new Map([[chain, reader] as const]))),
      Layer.provideMerge(commands),
      Layer.provideMerge(ports)
    )
  )
})

/** Looks until it is so; a scanner that stands still ends the bench. */
const become = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  Effect.delay(condition, "25 millis").pipe(
    Effect.repeat({ until: (met) => met }),
    Effect.timeoutOrElse({ duration: "2 minutes", orElse: () => Effect.die(new Error(`never: ${what}`)) })
  )

const reading = Effect.flatMap(
  Ledger,
  ({ cursor }) => become("reading begins", Effect.map(cursor(chain), (known) => known !== null))
)

const blocksOfPayments = 20
const paymentsEach = 200

const payments: Bench = Effect.gen(function*() {
  const { movements, reader, state } = node()
  const context = yield* world(reader)
  return yield* Effect.provideContext(
    Effect.gen(function*() {
      yield* reading
      const now = yield* DateTime.now
      const later = DateTime.add(now, { hours: 1 })
      const open = yield* opener({
        expiresAt: later,
        methods: [quote({ quotedAt: now, lockedUntil: later })]
      })
      const all = blocksOfPayments * paymentsEach
      const opened = yield* Effect.replicateEffect(open, all, { concurrency: 64 })
      for (let number = 1; number <= blocksOfPayments; number++) {
        const here = opened.slice((number - 1) * paymentsEach, number * paymentsEach)
        movements.set(number, here.map(({ address }, nth) => movement(number, nth, address)))
      }
      state.top = blocksOfPayments
      const sql = yield* PgClient.PgClient
      yield* become(
        "every payment is an event",
        Effect.map(
          sql<{ count: number }>`select count(*)::int as count from es.events where type = 'PaymentDetected'`,
          ([row]) => row?.count === all
        )
      )
      const seconds = (performance.now() - state.told) / 1000
      return [{
        bench: "scanner.payments",
        value: Math.round(all / seconds),
        unit: "payments a second, from their blocks to the events of their invoices",
        payments: all,
        blocks: blocksOfPayments,
        seconds: rounded(seconds),
        loadAverage: load()
      }]
    }),
    context
  )
})

const blocksBehind = 4000
const strangersEach = 50

const catchUp: Bench = Effect.gen(function*() {
  const { movements, reader, state } = node()
  const context = yield* world(reader)
  return yield* Effect.provideContext(
    Effect.gen(function*() {
      yield* reading
      for (let number = 1; number <= blocksBehind; number++) {
        const strangers = Array.from({ length: strangersEach }, (_, nth) => {
          const to = Address.make(`0x${number.toString(16).padStart(20, "1")}${nth.toString(16).padStart(20, "2")}`)
          return movement(number, nth, to)
        })
        movements.set(number, strangers)
      }
      state.top = blocksBehind
      const { cursor } = yield* Ledger
      yield* become("it has caught up", Effect.map(cursor(chain), (known) => known?.number === blocksBehind))
      const seconds = (performance.now() - state.told) / 1000
      return [{
        bench: "scanner.catchup",
        value: Math.round(blocksBehind / seconds),
        unit: `blocks a second with ${strangersEach} transfers each, none of them ours`,
        seconds: rounded(seconds),
        loadAverage: load()
      }]
    }),
    context
  )
})

export const benches: Readonly<Record<string, Bench>> = { "scanner.payments": payments, "scanner.catchup": catchUp }
