/** Random histories of a chain, its nodes and its scanners, and what must be true of all that was published meanwhile. */
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { atLeast, chains, type Level } from "#domain/Chain.ts"
import type { Observation } from "#domain/Observation.ts"
import { ChainLedger, type Cursor } from "#ports/ChainLedger.ts"
import type { ChainReaderShape } from "#ports/ChainReader.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import * as Scanner from "#processes/Scanner.ts"
import { Probe } from "./ledgers.ts"
import * as SimulatedChain from "./SimulatedChain.ts"

const chain = "dev"
const { confirmations, finalDepth } = chains[chain]

type Happening =
  | { readonly op: "submit"; readonly to: ReadonlyArray<number>; readonly kind: "coin" | "token"; readonly ok: boolean }
  | { readonly op: "mine" }
  | {
    readonly op: "reorg"
    readonly depth: number
    readonly length: number
    readonly fates: ReadonlyArray<SimulatedChain.Fate>
    readonly reversed: boolean
  }
  | { readonly op: "comeBack"; readonly to: number }
  | { readonly op: "finalize"; readonly below: number }
  | { readonly op: "fault"; readonly of: number; readonly fault: SimulatedChain.Fault }
type Op =
  | Happening
  | { readonly op: "register"; readonly address: number }
  | { readonly op: "tick"; readonly of: number | "all"; readonly times: number }
  /** Things happen while the scanner is at work. */
  | {
    readonly op: "tickDuring"
    readonly of: number
    readonly calls: number
    readonly happenings: ReadonlyArray<Happening>
  }
  /** One looks while another waits for its node. */
  | { readonly op: "overtake"; readonly of: number; readonly calls: number }
  /** The process dies at its next write: before the database has it, or before the process knows. */
  | { readonly op: "crash"; readonly when: "before" | "after" }
  /** The database fails after so many more statements that write. */
  | { readonly op: "fail"; readonly after: number }

/** Watched from the beginning, some; given out later, some; one of the other mode, and one of nobody. */
const early = [1, 2]
const late = [3, 4, 5]
const otherMode = 6
const payees = [...early, ...late, otherMode, 7]

/** Which scanner, or which scanner's node. Where there is only one, it is that one. */
const which = fc.nat(1)

const fault = fc.record({
  op: fc.constant("fault" as const),
  of: which,
  fault: fc.oneof(
    fc.constantFrom<SimulatedChain.Fault>(
      { kind: "none" },
      { kind: "none" },
      { kind: "none" },
      { kind: "left_behind" },
      { kind: "balanced" },
      { kind: "errs" },
      { kind: "forgets" },
      { kind: "truncates" },
      { kind: "clamps" },
      { kind: "mixes" }
    ),
    fc.record({ kind: fc.constant("lags" as const), by: fc.integer({ min: 1, max: 4 }) })
  )
})
const becomesStranger = fc.record({
  op: fc.constant("fault" as const),
  of: which,
  fault: fc.record({
    kind: fc.constant("stranger" as const),
    chainId: fc.constantFrom("same" as const, "other" as const)
  })
})

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant("submit" as const),
      to: fc.array(fc.constantFrom(...payees), { minLength: 1, maxLength: 3 }),
      kind: fc.constantFrom("coin" as const, "token" as const),
      ok: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
    })
  },
  { weight: 5, arbitrary: fc.constant({ op: "mine" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("reorg" as const),
      depth: fc.integer({ min: 1, max: 5 }),
      length: fc.integer({ min: 0, max: 7 }),
      fates: fc.array(fc.constantFrom<SimulatedChain.Fate>("kept", "kept", "dropped", "failing"), { maxLength: 3 }),
      reversed: fc.boolean()
    })
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("comeBack" as const), to: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("finalize" as const), below: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fault }
)

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 32, arbitrary: happening },
  { weight: 1, arbitrary: becomesStranger },
  {
    weight: 16,
    arbitrary: fc.record({
      op: fc.constant("tick" as const),
      of: fc.oneof(which, fc.constant("all" as const)),
      times: fc.integer({ min: 1, max: 4 })
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("tickDuring" as const),
      of: which,
      calls: fc.nat(6),
      happenings: fc.array(happening, { minLength: 1, maxLength: 4 })
    })
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("overtake" as const), of: which, calls: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("register" as const), address: fc.constantFrom(...late) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("crash" as const),
      when: fc.constantFrom("before" as const, "after" as const)
    })
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("fail" as const), after: fc.nat(7) }) }
)

/** Looks at a healthy node after which the scanner must have everything: a few to catch up, three to lose patience. */
const ticksToConverge = 12

/** Plays one history against an empty ledger, with so many scanners at once. Dies of whatever is not as it must be. */
const play = Effect.fnUntraced(function*(history: ReadonlyArray<Op>, scanners: number) {
  const { failAfter, published, register } = yield* Probe
  const real = yield* ChainLedger
  const sim = SimulatedChain.make()
  const registered = new Set<string>()
  let crash: "before" | "after" | null = null
  /** What lies up to here is not ours. */
  let base = Infinity
  /** How often the cursor came to a block, less how often it left. */
  const stays = new Map<string, number>()

  const write = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    done: () => void = () => {}
  ): Effect.Effect<A, E | StoreUnavailable, R> =>
    Effect.suspend(() => {
      const when = crash
      crash = null
      const dies = Effect.fail(new StoreUnavailable({ reason: "the process died", retryAfterSeconds: 1 }))
      const written = Effect.tap(effect, () => Effect.sync(done))
      if (when === null) return written
      return when === "before" ? dies : Effect.andThen(written, dies)
    })
  const moved = (from: string | undefined, to: string | undefined) => {
    if (from !== undefined) stays.set(from, (stays.get(from) ?? 0) - 1)
    if (to !== undefined) stays.set(to, (stays.get(to) ?? 0) + 1)
  }
  const ledger = ChainLedger.of({
    ...real,
    begin: (chain, start) =>
      write(real.begin(chain, start), () => {
        base = Math.min(base, start.header.number)
        moved(undefined, start.header.hash)
      }),
    commit: (chain, blocks, rules) =>
      write(real.commit(chain, blocks, rules), () => moved(blocks[0]?.parentHash, blocks.at(-1)?.hash)),
    rollBack: (chain, from, to) =>
      write(real.rollBack(chain, from, to), () => {
        base = Math.min(base, to.number)
        moved(from, to.hash)
      }),
    checked: (chain, at, rules) => write(real.checked(chain, at, rules))
  })
  const launch = (reader: ChainReaderShape) => Effect.provideService(Scanner.make(reader), ChainLedger, ledger)
  const nodes = Array.from({ length: scanners }, sim.node)
  const running = yield* Effect.forEach(nodes, ({ reader }) => launch(reader))

  const tickOne = Effect.fnUntraced(function*(i: number) {
    const [node, scanner] = [nodes[i], running[i]]
    if (node === undefined || scanner === undefined) return null
    const failed = yield* scanner.tick.pipe(Effect.as(null), Effect.catch((error) => Effect.succeed(error)))
    if (failed?._tag === "StoreUnavailable") running[i] = yield* launch(node.reader)
    return failed
  })
  const tick = (of: number | "all") =>
    Effect.andThen(
      TestClock.adjust("2 seconds"),
      Effect.forEach(of === "all" ? nodes.keys() : [of % scanners], tickOne, { concurrency: "unbounded" })
    )
  const happen = (happening: Happening) => {
    switch (happening.op) {
      case "submit":
        return sim.submit(happening.to.map(SimulatedChain.address), happening.kind, happening.ok)
      case "mine":
        return sim.mine()
      case "reorg":
        return sim.reorg(happening.depth, happening.length, happening.fates, happening.reversed)
      case "comeBack":
        return sim.comeBack(happening.to)
      case "finalize":
        return sim.finalize(happening.below)
      case "fault":
        return nodes[happening.of % scanners]?.setFault(happening.fault)
    }
  }
  const enter = Effect.fnUntraced(function*(n: number) {
    const address = SimulatedChain.address(n)
    yield* register(address, n === otherMode ? "live" : "test")
    if (n !== otherMode) registered.add(address)
    yield* Effect.retry(real.backfill([address]), { times: 1 })
  })
  let halted: string | null = null
  /** An operator mends the node. */
  const operate = Effect.gen(function*() {
    const reason = (yield* real.cursor(chain))?.halted ?? null
    if (reason !== null) yield* Effect.retry(real.resume(chain), { times: 1 })
    halted = null
  })
  /** What may call one: a node of another chain, or one with more blocks than we, and not those that were final. */
  const contradicted = (cursor: Cursor | null) =>
    nodes.some((node) => (node.contradictsUpTo() ?? -1) > (cursor?.number ?? Infinity))
  const alarm = (before: boolean, cursor: Cursor) =>
    before || contradicted(cursor) ? /another chain below|block 0 is .*strange/ : /block 0 is .*strange/

  let finalized = 0
  let highest = 0
  const examine = Effect.fnUntraced(function*(before: boolean) {
    highest = Math.max(highest, sim.head().number)
    const cursor = yield* real.cursor(chain)
    if (cursor !== null) {
      must(cursor.finalized >= finalized, `what is final fell from ${finalized} to ${cursor.finalized}`)
      must(cursor.finalized <= cursor.number, `${cursor.finalized} is final, but only ${cursor.number} was read`)
      finalized = cursor.finalized
      if (cursor.halted !== halted) must(alarm(before, cursor).test(cursor.halted ?? ""), `it halted: ${cursor.halted}`)
      halted = cursor.halted
    }
    return fold(yield* published, { highest, finalized: Math.max(sim.finalized(), highest - finalDepth) })
  })

  for (const n of [...early, otherMode]) yield* enter(n)
  for (const step of history) {
    const before = contradicted(yield* real.cursor(chain))
    switch (step.op) {
      case "register":
        yield* enter(step.address)
        break
      case "tick":
        for (let i = 0; i < step.times; i++) yield* tick(step.of)
        break
      case "tickDuring":
        nodes[step.of % scanners]?.during(
          step.calls,
          Effect.sync(() =>
            step.happenings.forEach((each) => {
              happen(each)
              highest = Math.max(highest, sim.head().number)
            })
          )
        )
        yield* tick(step.of)
        break
      case "overtake":
        if (scanners === 1) break
        nodes[step.of % scanners]?.during(step.calls, Effect.asVoid(tickOne((step.of + 1) % scanners)))
        yield* tick(step.of)
        break
      case "crash":
        crash = step.when
        break
      case "fail":
        yield* failAfter(step.after)
        break
      case "fault": {
        const strange = step.fault.kind === "stranger"
        // Whoever begins with a stranger has no reason to doubt it.
        if (!strange || (yield* real.cursor(chain)) !== null) happen(step)
        if (!strange) yield* operate
        break
      }
      default:
        happen(step)
    }
    yield* examine(before)
  }

  crash = null
  yield* failAfter(-2)
  for (const node of nodes) node.settle()
  yield* operate
  for (let i = 0; i < ticksToConverge; i++) {
    for (const failed of yield* tick("all")) must(failed === null, `a healthy node was not read: ${failed}`)
  }

  const live = yield* examine(false)
  const truth = sim.transfers(base).filter(({ to }) => registered.has(to))
  const cursor = yield* real.cursor(chain)
  must(cursor?.halted === null, `it halted: ${cursor?.halted}`)
  must(cursor?.hash === sim.head().hash, `the cursor is at ${cursor?.hash}, the head at ${sim.head().hash}`)
  const visited = [...stays].filter(([, times]) => times !== 0)
  must(visited.length === 1 && visited[0]?.[1] === 1, `two wrote from one place: ${visited.join(" ")}`)
  equal(
    [...live].map(([transferId, { hash }]) => `${transferId} in ${hash}`),
    truth.map(({ hash, transferId }) => `${transferId} in ${hash}`),
    "what is standing"
  )
  for (const { number, transferId } of truth) {
    const due = levelOf(number, sim.head().number, sim.finalized())
    const told = live.get(transferId)?.level ?? null
    must(due === null || (told !== null && atLeast(told, due)), `${transferId} is told as ${told}, and is ${due}`)
  }
  const announced = (yield* published).findLast(({ _tag }) => _tag === "HeadAdvanced")
  must(announced?._tag === "HeadAdvanced" && announced.number === sim.head().number, "the head was not announced")
})

/** By the definition of the levels, and not by the code under test. */
const levelOf = (number: number, tip: number, finalized: number): Level | null => {
  if (number <= Math.max(finalized, tip - finalDepth)) return "final"
  if (tip - number + 1 >= confirmations.default) return "default"
  return tip - number + 1 >= confirmations.small ? "small" : null
}

/** What a consumer believes after these observations, and whether it could have been true at any time so far. */
const fold = (
  observations: ReadonlyArray<Observation>,
  { finalized, highest }: { readonly finalized: number; readonly highest: number }
) => {
  const live = new Map<string, { readonly hash: string; readonly number: number; readonly level: Level | null }>()
  for (const seen of observations) {
    switch (seen._tag) {
      case "TransferSeen":
        must(!live.has(seen.transferId), `${seen.transferId} was seen twice`)
        live.set(seen.transferId, { hash: seen.block.hash, number: seen.block.number, level: null })
        break
      case "TransferConfirmed": {
        const before = live.get(seen.transferId)
        if (before?.hash !== seen.blockHash) {
          throw new Error(`${seen.transferId} was confirmed in a block in which it does not stand`)
        }
        must(!before.level || !atLeast(before.level, seen.level), `${seen.transferId} was ${seen.level} already`)
        const most = levelOf(before.number, highest, finalized)
        must(most !== null && atLeast(most, seen.level), `${seen.transferId} was told as ${seen.level}, and is ${most}`)
        live.set(seen.transferId, { ...before, level: seen.level })
        break
      }
      case "TransferOrphaned": {
        const before = live.get(seen.transferId)
        must(before?.hash === seen.blockHash, `${seen.transferId} was orphaned where it does not stand`)
        must(before?.level !== "final", `${seen.transferId} was orphaned after it had been final`)
        must(seen.wasConfirmed === (before?.level !== null), `${seen.transferId}: whether it was confirmed`)
        live.delete(seen.transferId)
        break
      }
    }
  }
  return live
}

const must = (is: boolean, what: string) => {
  if (!is) throw new Error(what)
}
const equal = (actual: ReadonlyArray<string>, expected: ReadonlyArray<string>, what: string) =>
  must(
    JSON.stringify(actual.toSorted()) === JSON.stringify(expected.toSorted()),
    `${what}: ${actual.toSorted().join(", ")}; should be ${expected.toSorted().join(", ")}`
  )

export interface Play {
  readonly runs: number
  /** All read the same chain, each from a node of its own, into the same ledger. */
  readonly scanners?: number
  /** Plays the same histories again. */
  readonly seed?: number
}
type Empty = Layer.Layer<ChainLedger | Probe>

const property = (scanners: number, empty: Empty) =>
  fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 60, size: "max" }), (history) =>
    Effect.runPromise(
      play(history, scanners).pipe(
        Effect.provide(Layer.mergeAll(empty, TestClock.layer(), Logger.layer([])), { local: true }),
        Effect.scoped
      )
    ))
const anySeed = () => Number(process.env["SCANNER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

/** Plays random histories, each on an empty ledger; a failure is shrunk to the least history that has it. */
export const histories = ({ runs, scanners = 1, seed = anySeed() }: Play, empty: Empty) =>
  Effect.promise(async () => {
    await fc.assert(property(scanners, empty), { numRuns: runs, seed })
    console.log(`${runs} histories with ${scanners} at once, from seed ${seed}`)
  })

/** How many histories it takes until one fails, and of what; null where none does. */
export const firstFailure = async ({ runs, scanners = 1, seed = anySeed() }: Play, empty: Empty) => {
  const { errorInstance, failed, numRuns } = await fc.check(property(scanners, empty), {
    numRuns: runs,
    seed,
    endOnFailure: true
  })
  return failed ? { tries: numRuns, of: String(errorInstance) } : null
}
