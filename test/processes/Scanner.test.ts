/** What the scanner does when a node lags, lies, forks or fails, and when it must stop. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { ChainId } from "#domain/Chain.ts"
import * as Invoice from "#domain/Invoice.ts"
import * as History from "#commands/History.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { ChainReaders, type ChainReaderShape, WrongChain } from "#ports/ChainReader.ts"
import * as LateAddresses from "#processes/LateAddresses.ts"
import * as Scanner from "#processes/Scanner.ts"
import * as MemoryBus from "#adapters/memory/Bus.ts"
import { invoiceId, opened, walletId } from "../support/examples.ts"
import { memoryLedger, Probe } from "../support/ledgers.ts"
import * as SimulatedChain from "../support/SimulatedChain.ts"

const chain: ChainId = "dev"
const shop = SimulatedChain.address(1)

const scanning = Effect.fnUntraced(function*(sim: SimulatedChain.SimulatedChain, reader = sim.reader) {
  const ledger = yield* ChainLedger
  const { published, register } = yield* Probe
  yield* register(shop, "test")
  const { tick } = yield* Scanner.make(reader)
  const look = Effect.andThen(TestClock.adjust("2 seconds"), tick)
  return {
    ...ledger,
    tick: look,
    /** Looks until there is nothing more to read. */
    catchUp: Effect.repeat(look, { until: (outcome) => outcome !== "more" }),
    tip: Effect.map(ledger.cursor(chain), (cursor) => cursor?.number),
    tags: Effect.map(published, (all) => all.map(({ _tag }) => _tag)),
    published
  }
})
const mine = (sim: SimulatedChain.SimulatedChain, blocks: number) => {
  for (let i = 0; i < blocks; i++) sim.mine()
}
/** A node that can be exchanged for another behind the scanner's back. */
const exchangeable = (first: ChainReaderShape) => {
  let now = first
  const reader: ChainReaderShape = {
    chain: first.chain,
    verify: Effect.suspend(() => now.verify),
    head: Effect.suspend(() => now.head),
    headerAt: (number) => now.headerAt(number),
    block: (hash) => now.block(hash),
    finalized: Effect.suspend(() => now.finalized)
  }
  return { reader, exchange: (next: ChainReaderShape) => void (now = next) }
}

const check = <A, E>(what: string, test: Effect.Effect<A, E, ChainLedger | Probe | Scope.Scope>) =>
  it.effect(what, () => test.pipe(Effect.provide(memoryLedger)))

describe("the scanner of a chain", () => {
  check(
    "begins after the node's head on a chain it never read",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      sim.submit([shop], "coin", true)
      mine(sim, 5)
      const { tags, tick, tip } = yield* scanning(sim)
      yield* tick
      assert.strictEqual(yield* tip, 5)
      assert.deepStrictEqual(yield* tags, ["HeadAdvanced"])
    })
  )

  check(
    "begins at a block it is given",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      mine(sim, 2)
      sim.submit([shop], "coin", true)
      mine(sim, 3)
      const { published, register } = yield* Probe
      yield* register(shop, "test")
      const { tick } = yield* Scanner.make(sim.reader, { startAt: { dev: 3 } })
      yield* tick
      const [seen] = yield* published
      assert.strictEqual(seen?._tag === "TransferSeen" ? seen.block.number : null, 3)
    })
  )

  check(
    "has nothing to do with a node of another chain",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const wrong = new WrongChain({ chain, expected: 31337, actual: 1 })
      const { heights, tick } = yield* scanning(sim, { ...sim.reader, verify: Effect.fail(wrong) })
      assert.deepStrictEqual(yield* Effect.flip(tick), wrong)
      assert.deepStrictEqual(yield* heights, [])
      assert.strictEqual(sim.asked(), 0)
    })
  )

  check(
    "asks again whether the node is on the right chain after an outage",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const node = exchangeable(sim.reader)
      const { tick } = yield* scanning(sim, node.reader)
      yield* tick
      sim.setFault({ kind: "errs" })
      yield* Effect.flip(tick)
      sim.settle()
      node.exchange({ ...sim.reader, verify: Effect.fail(new WrongChain({ chain, expected: 31337, actual: 1 })) })
      assert.strictEqual((yield* Effect.flip(tick))._tag, "WrongChain")
    })
  )

  check(
    "halts when the node's first block is another than it was",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { heights, tags, tick } = yield* scanning(sim)
      yield* tick
      const other = exchangeable(sim.reader)
      const { tick: tickOther } = yield* scanning(sim, other.reader)
      other.exchange({
        ...sim.reader,
        headerAt: (number) =>
          Effect.map(sim.reader.headerAt(number), (header) => header && { ...header, hash: `${header.hash}'` })
      })
      assert.strictEqual(yield* tickOther, "halted")
      assert.include((yield* heights)[0]?.halted, "block 0")
      assert.include(yield* tags, "ScannerHalted")
    })
  )

  check(
    "halts when the node has another chain below what was final, and goes on when an operator says so",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const node = exchangeable(sim.reader)
      const { catchUp, heights, published, resume, tags, tick, tip } = yield* scanning(sim, node.reader)
      yield* tick
      sim.submit([shop], "coin", true)
      mine(sim, 6)
      sim.finalize(2)
      yield* catchUp
      const other = SimulatedChain.make(chain, 100)
      mine(other, 9)
      node.exchange(other.reader)
      assert.strictEqual(yield* tick, "halted")
      const said = (yield* published).length
      const asked = other.asked()
      assert.strictEqual(yield* tick, "halted")
      assert.strictEqual(other.asked(), asked)
      assert.strictEqual((yield* published).length, said)
      assert.include((yield* heights)[0]?.halted, "final")
      assert.notInclude(yield* tags, "TransferOrphaned")

      node.exchange(sim.reader)
      mine(sim, 1)
      assert.strictEqual(yield* tick, "halted")
      yield* resume(chain)
      yield* tick
      assert.strictEqual(yield* tip, 7)
    })
  )

  check(
    "does not believe a finalized height that falls, and reads on",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      let tag: number | null = null
      const reader = {
        ...sim.reader,
        finalized: Effect.suspend(() => tag === null ? Effect.succeed(null) : sim.reader.headerAt(tag))
      }
      const { cursor, tick, tip } = yield* scanning(sim, reader)
      yield* tick
      mine(sim, 10)
      tag = 8
      yield* tick
      mine(sim, 1)
      tag = 3
      yield* tick
      assert.strictEqual(yield* tip, 11)
      assert.strictEqual((yield* cursor(chain))?.finalized, 8)
    })
  )

  check(
    "calls final what is deep enough where the node has no notion of it",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { catchUp, published, tick } = yield* scanning(sim, { ...sim.reader, finalized: Effect.succeed(null) })
      yield* tick
      sim.submit([shop], "coin", true)
      mine(sim, 64)
      yield* catchUp
      const levels = Effect.map(
        published,
        (all) => all.flatMap((one) => one._tag === "TransferConfirmed" ? [one.level] : [])
      )
      assert.deepStrictEqual(yield* levels, ["default"])
      mine(sim, 1)
      yield* catchUp
      assert.deepStrictEqual(yield* levels, ["default", "final"])
    })
  )

  check(
    "bears with a node that lags for a moment",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { tags, tick, tip } = yield* scanning(sim)
      yield* tick
      mine(sim, 5)
      yield* tick
      sim.setFault({ kind: "lags", by: 3 })
      yield* tick
      yield* tick
      sim.settle()
      yield* tick
      assert.strictEqual(yield* tip, 5)
      assert.notInclude(yield* tags, "ChainReorged")
    })
  )

  check(
    "follows a chain that got shorter and stayed so",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { tags, tick, tip } = yield* scanning(sim)
      yield* tick
      mine(sim, 2)
      sim.submit([shop], "coin", true)
      mine(sim, 1)
      yield* tick
      sim.reorg(1, 0, ["dropped"], false)
      for (let i = 0; i < 3; i++) yield* tick
      assert.strictEqual(yield* tip, 2)
      assert.include(yield* tags, "TransferOrphaned")
    })
  )

  check(
    "fails, and undoes nothing, when the node is behind what was final",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { catchUp, tags, tick, tip } = yield* scanning(sim)
      yield* tick
      mine(sim, 10)
      sim.finalize(1)
      yield* catchUp
      sim.setFault({ kind: "lags", by: 6 })
      yield* tick
      yield* tick
      assert.strictEqual((yield* Effect.flip(tick))._tag, "ChainUnreachable")
      assert.strictEqual(yield* tip, 10)
      assert.notInclude(yield* tags, "ChainReorged")
    })
  )

  check(
    "catches up in batches, smaller ones while the node fails",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { tick, tip } = yield* scanning(sim)
      yield* tick
      mine(sim, 200)
      assert.strictEqual(yield* tick, "more")
      assert.strictEqual(yield* tip, 64)
      sim.setFault({ kind: "forgets" })
      yield* Effect.flip(tick)
      yield* Effect.flip(tick)
      sim.settle()
      yield* tick
      assert.strictEqual(yield* tip, 80)
    })
  )

  check(
    "announces its head at most once a second, and the last one in the end",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { published } = yield* Probe
      const { tick } = yield* Scanner.make(sim.reader)
      yield* tick
      for (let i = 0; i < 10; i++) {
        sim.mine()
        yield* tick
        yield* TestClock.adjust("300 millis")
      }
      yield* TestClock.adjust("1 second")
      yield* tick
      const heads = (yield* published).flatMap((one) => one._tag === "HeadAdvanced" ? [one.number] : [])
      assert.isAtMost(heads.length, 6)
      assert.strictEqual(heads.at(-1), 10)
    })
  )

  check(
    "tells each transfer once, although two of them read the same chain",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const one = yield* scanning(sim)
      const other = yield* scanning(sim)
      yield* one.tick
      for (let i = 0; i < 10; i++) {
        sim.submit([shop], "coin", true)
        sim.mine()
        yield* Effect.all([one.tick, other.tick], { concurrency: 2 })
      }
      const seen = (yield* one.published).flatMap((each) => each._tag === "TransferSeen" ? [each.transferId] : [])
      assert.strictEqual(seen.length, 10)
      assert.strictEqual(new Set(seen).size, 10)
    })
  )
})

const readersOf = (...readers: ReadonlyArray<ChainReaderShape>) =>
  Layer.succeed(ChainReaders, new Map(readers.map((reader) => [reader.chain, reader])))

describe("the scanners of all chains", () => {
  check(
    "go on when one of them fails, and it recovers by itself",
    Effect.gen(function*() {
      const good = SimulatedChain.make("base")
      const bad = SimulatedChain.make("dev")
      const node = exchangeable({ ...bad.reader, head: Effect.die("a bug") })
      const { cursor } = yield* ChainLedger
      yield* Layer.build(Scanner.layer().pipe(Layer.provide(readersOf(node.reader, good.reader))))
      yield* TestClock.adjust("3 seconds")
      mine(good, 3)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* cursor("base"))?.number, 3)
      assert.isNull(yield* cursor("dev"))
      node.exchange(bad.reader)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* cursor("dev"))?.number, 0)
    })
  )

  check(
    "ask a failing node less and less often",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      yield* Layer.build(Scanner.layer().pipe(Layer.provide(readersOf(sim.reader))))
      yield* TestClock.adjust("5 seconds")
      sim.setFault({ kind: "forgets" })
      mine(sim, 1)
      const before = sim.asked()
      yield* TestClock.adjust("5 minutes")
      const [during, perTry] = [sim.asked() - before, 3]
      assert.isAtLeast(during, 8 * perTry)
      assert.isAtMost(during, 40 * perTry)
    })
  )

  check(
    "stop with their scope",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(Scanner.layer().pipe(Layer.provide(readersOf(sim.reader))), scope)
      yield* TestClock.adjust("3 seconds")
      yield* Scope.close(scope, Exit.void)
      const before = sim.asked()
      assert.isAbove(before, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(sim.asked(), before)
    })
  )
})

describe("late addresses", () => {
  check(
    "are looked up in what was read before their invoice was opened",
    Effect.gen(function*() {
      const sim = SimulatedChain.make()
      const { published, tick } = yield* scanning(sim)
      const late = SimulatedChain.address(9)
      const invoice = opened({ mode: "test", payTo: { address: late, wallet: walletId, index: 7 } })
      yield* tick
      sim.submit([late], "token", true)
      sim.mine()
      yield* tick
      const { register } = yield* Probe
      yield* register(late, "test")
      assert.notInclude((yield* published).map(({ _tag }) => _tag), "TransferSeen")

      const bus = yield* Layer.build(LateAddresses.layer.pipe(Layer.provideMerge(MemoryBus.layer)))
      yield* Context.get(bus, MemoryBus.Publish)([{
        topic: "domain-events",
        key: invoiceId,
        id: "1",
        type: invoice._tag,
        schemaVersion: 1,
        body: History.encode(Invoice.aggregate, invoice).data,
        headers: { stream: invoiceId, category: Invoice.aggregate.category },
        recordedAt: invoice.openedAt
      }])
      yield* TestClock.adjust("1 second")
      assert.include((yield* published).map(({ _tag }) => _tag), "TransferSeen")
    })
  )
})
