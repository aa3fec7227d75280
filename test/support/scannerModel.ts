/** Random histories of a chain, its node and its scanner, and what must be true of all that was published meanwhile. */
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { atLeast, chains, type Level } from "#domain/Chain.ts"
import type { Observation } from "#domain/Observation.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import * as Scanner from "#processes/Scanner.ts"
import { Probe } from "./ledgers.ts"
import * as SimulatedChain from "./SimulatedChain.ts"

const chain = "dev"

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
  | { readonly op: "fault"; readonly fault: SimulatedChain.Fault }
type Op =
  | Happening
  | { readonly op: "register"; readonly address: number }
  | { readonly op: "tick"; readonly times: number }
  /** Things happen while the scanner is at work. */
  | { readonly op: "tickDuring"; readonly calls: number; readonly happenings: ReadonlyArray<Happening> }
  /** The process dies at its next write: before the database has it, or before the process knows. */
  | { readonly op: "crash"; readonly when: "before" | "after" }

/** Watched from the beginning, some; given out later, some; one of the other mode, and one of nobody. */
const early = [1, 2]
const late = [3, 4, 5]
const otherMode = 6
const payees = [...early, ...late, otherMode, 7]

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant("submit" as const),
      to: fc.array(fc.constantFrom(...payees), { minLength: 1, maxLength: 3 }),
      kind: fc.constantFrom("coin" as const, "token" as const),
      ok: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
    }).map((submit) => submit.kind === "coin" ? { ...submit, to: submit.to.slice(0, 1) } : submit)
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
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("fault" as const),
      fault: fc.oneof(
        fc.constantFrom(
          { kind: "none" as const },
          { kind: "none" as const },
          { kind: "left_behind" as const },
          { kind: "errs" as const },
          { kind: "forgets" as const },
          { kind: "truncates" as const }
        ),
        fc.record({ kind: fc.constant("lags" as const), by: fc.integer({ min: 1, max: 4 }) })
      )
    })
  }
)

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 16, arbitrary: happening },
  { weight: 8, arbitrary: fc.record({ op: fc.constant("tick" as const), times: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("tickDuring" as const),
      calls: fc.nat(6),
      happenings: fc.array(happening, { minLength: 1, maxLength: 4 })
    })
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("register" as const), address: fc.constantFrom(...late) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("crash" as const),
      when: fc.constantFrom("before" as const, "after" as const)
    })
  }
)

/** Looks at a healthy node after which the scanner must have everything: a few to catch up, three to lose patience. */
const ticksToConverge = 12

/** Plays one history against an empty ledger. Dies of whatever is not as it must be. */
const play = Effect.fnUntraced(function*(history: ReadonlyArray<Op>) {
  const { published, register } = yield* Probe
  const real = yield* ChainLedger
  const sim = SimulatedChain.make()
  const registered = new Set<string>()
  let crash: "before" | "after" | null = null
  /** What lies up to here is not ours. */
  let base = Infinity
  const startFrom = (number: number) => {
    base = Math.min(base, number)
    return Effect.void
  }

  const write = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreUnavailable, R> =>
    Effect.suspend(() => {
      const when = crash
      crash = null
      const dies = Effect.fail(new StoreUnavailable({ reason: "the process died", retryAfterSeconds: 1 }))
      if (when === null) return effect
      return when === "before" ? dies : Effect.andThen(effect, dies)
    })
  const ledger = ChainLedger.of({
    ...real,
    begin: (chain, start) => write(Effect.tap(real.begin(chain, start), () => startFrom(start.header.number))),
    commit: (chain, blocks, rules) => write(real.commit(chain, blocks, rules)),
    rollBack: (chain, from, to) => write(Effect.tap(real.rollBack(chain, from, to), () => startFrom(to.number))),
    checked: (chain, finalized, depths) => write(real.checked(chain, finalized, depths))
  })
  const launch = Effect.provideService(Scanner.make(sim.reader), ChainLedger, ledger)
  let scanner = yield* launch

  const tick = Effect.gen(function*() {
    yield* TestClock.adjust("2 seconds")
    const failed = yield* scanner.tick.pipe(Effect.as(null), Effect.catch((error) => Effect.succeed(error)))
    if (failed?._tag === "StoreUnavailable") scanner = yield* launch
    return failed
  })
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
        return sim.setFault(happening.fault)
    }
  }
  const enter = Effect.fnUntraced(function*(n: number) {
    const address = SimulatedChain.address(n)
    yield* register(address, n === otherMode ? "live" : "test")
    if (n !== otherMode) registered.add(address)
    yield* real.backfill([address])
  })

  for (const n of [...early, otherMode]) yield* enter(n)
  for (const step of history) {
    switch (step.op) {
      case "register":
        yield* enter(step.address)
        break
      case "tick":
        for (let i = 0; i < step.times; i++) yield* tick
        break
      case "tickDuring":
        sim.during(step.calls, () => step.happenings.forEach(happen))
        yield* tick
        break
      case "crash":
        crash = step.when
        break
      default:
        happen(step)
    }
    fold(yield* published)
  }

  crash = null
  sim.settle()
  for (let i = 0; i < ticksToConverge; i++) {
    const failed = yield* tick
    if (failed !== null) must(false, `a healthy node was not read: ${failed}`)
  }

  const observations = yield* published
  const live = fold(observations)
  const truth = sim.transfers(base).filter(({ to }) => registered.has(to))
  const cursor = yield* real.cursor(chain)
  must(cursor?.halted === null, `it halted: ${cursor?.halted}`)
  must(cursor?.hash === sim.head().hash, `the cursor is at ${cursor?.hash}, the head at ${sim.head().hash}`)
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
  const announced = observations.findLast(({ _tag }) => _tag === "HeadAdvanced")
  must(announced?._tag === "HeadAdvanced" && announced.number === sim.head().number, "the head was not announced")
})

/** By the definition of the levels, and not by the code under test. */
const levelOf = (number: number, tip: number, finalized: number): Level | null => {
  const { confirmations, finalDepth } = chains[chain]
  if (number <= Math.max(finalized, tip - finalDepth)) return "final"
  if (tip - number + 1 >= confirmations.default) return "default"
  return tip - number + 1 >= confirmations.small ? "small" : null
}

/** What a consumer believes after these observations. */
const fold = (observations: ReadonlyArray<Observation>) => {
  const live = new Map<string, { readonly hash: string; readonly level: Level | null }>()
  for (const seen of observations) {
    switch (seen._tag) {
      case "TransferSeen":
        must(!live.has(seen.transferId), `${seen.transferId} was seen twice`)
        live.set(seen.transferId, { hash: seen.block.hash, level: null })
        break
      case "TransferConfirmed": {
        const before = live.get(seen.transferId)
        must(before?.hash === seen.blockHash, `${seen.transferId} was confirmed in a block in which it does not stand`)
        must(!before?.level || !atLeast(before.level, seen.level), `${seen.transferId} was ${seen.level} already`)
        live.set(seen.transferId, { hash: seen.blockHash, level: seen.level })
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

/** SCANNER_SEED plays the same histories again. */
const seedOf = () => Number(process.env["SCANNER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

/** Plays random histories, each on an empty ledger; a failure is shrunk to the least history that has it. */
export const histories = (runs: number, empty: Layer.Layer<ChainLedger | Probe>) =>
  Effect.promise(async () => {
    const seed = seedOf()
    await fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 60, size: "max" }), (history) =>
        Effect.runPromise(
          play(history).pipe(
            Effect.provide(Layer.mergeAll(empty, TestClock.layer(), Logger.layer([])), { local: true }),
            Effect.scoped
          )
        )),
      { numRuns: runs, seed }
    )
    console.log(`${runs} histories from seed ${seed}`)
  })
