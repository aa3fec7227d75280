/** Reads each chain block by block, follows it through reorgs, and halts rather than undo what was final. */
import { Cause, Clock, Duration, Effect, Layer, Schedule } from "effect"
import { type ChainId, chains } from "#domain/Chain.ts"
import { finalHeight, type Header, linked, place } from "#domain/Headers.ts"
import { ChainLedger, type Cursor } from "#ports/ChainLedger.ts"
import { ChainInconsistent, ChainReaders, type ChainReaderShape, ChainUnreachable } from "#ports/ChainReader.ts"

export interface Options {
  /** The first block to read on a chain that was never read. Without it, reading begins after the node's head. */
  readonly startAt?: Partial<Record<ChainId, number>>
}

/** Blocks read ahead and committed together while catching up; halved when reading fails, doubled when it does not. */
const largestBatch = 64
/** Requests to one node at the same time. */
const sideBySide = 4
/** The page counts confirmations from announcements; more than one a second nobody can see. */
const announceEvery = 1_000
const lookAgainAtHalted = Duration.seconds(5)
/** The least time after which a node that has fallen behind is believed: load balancers have slow nodes, too. */
const leastPatience = 4_000

const backOff = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.jittered
)

/** What a look at the node came to: there is more to read at once, nothing for now, or reading is stopped. */
export type Outcome = "more" | "idle" | "halted"

export const layer = (options: Options = {}) =>
  Layer.effectDiscard(Effect.gen(function*() {
    for (const reader of (yield* ChainReaders).values()) {
      const { run } = yield* make(reader, options)
      yield* Effect.forkScoped(run)
    }
  }))

/** The scanner of one chain. `tick` is one look at the node; `run` goes on for ever. */
export const make = Effect.fnUntraced(function*(reader: ChainReaderShape, options: Options = {}) {
  const ledger = yield* ChainLedger
  const { chain } = reader
  const { blockSeconds, confirmations: depths, finalDepth, window } = chains[chain]
  const blockTime = blockSeconds * 1_000

  // Everything that matters is in the ledger; these may be forgotten at any time.
  let trusted = false
  let batch = largestBatch
  let tag: Header | null = null
  let tagAskedAt = -Infinity
  let announced = { hash: "", at: -Infinity }
  let behind = { hash: "", since: 0 }

  const tick = Effect.gen(function*() {
    const cursor: Cursor = (yield* ledger.cursor(chain)) ?? (yield* begin)
    if (cursor.halted !== null) {
      trusted = false
      return "halted"
    }
    if (!trusted) {
      if (yield* isStranger(cursor)) return "halted"
      trusted = true
    }
    yield* askForFinality
    const head = yield* reader.head
    const ours = head.number > cursor.number ? null : yield* ledger.headerAt(chain, head.number)
    const placement = place(head, cursor, ours)
    if (placement !== "behind") behind = { hash: "", since: 0 }
    const outcome = yield* ({
      same: () => rest(cursor),
      ahead: () => advance(cursor, head),
      behind: () => wait(cursor, head),
      fork: () => walkBack(cursor, head)
    })[placement]()
    yield* announce
    return outcome
  }).pipe(
    Effect.catchTag("CursorMoved", () => Effect.succeed<Outcome>("idle")),
    Effect.onError(() =>
      Effect.sync(() => {
        trusted = false
        tag = null
        tagAskedAt = -Infinity
        batch = Math.max(1, Math.floor(batch / 2))
      })
    )
  )

  const genesis = Effect.gen(function*() {
    yield* reader.verify
    return yield* known(0)
  })

  const begin = Effect.gen(function*() {
    const { hash } = yield* genesis
    const head = yield* reader.head
    const startAt = options.startAt?.[chain]
    const header = startAt === undefined ? head : yield* known(Math.max(0, Math.min(startAt, head.number) - 1))
    const finalized = Math.min(header.number, finalHeight(0, null, head.number, finalDepth))
    yield* ledger.begin(chain, { header, genesis: hash, finalized })
    yield* Effect.logInfo(`${chain}: reading begins after block ${header.number}`)
    trusted = true
    return { ...header, genesis: hash, finalized, halted: null }
  })

  /** Whether this is another chain than the one we read; then it halts. Asked anew before anything is undone. */
  const isStranger = Effect.fnUntraced(function*(cursor: Cursor) {
    const { hash } = yield* genesis
    if (hash === cursor.genesis) return false
    yield* halt(cursor, `the node's block 0 is ${hash}, ours is ${cursor.genesis}`)
    return true
  })

  const askForFinality = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    if (now - tagAskedAt < blockTime) return
    tag = yield* reader.finalized
    tagAskedAt = now
  })

  /**
   * How far all is final once the tip is `tip`. Behind one address there can be several nodes, and what one of them calls
   * final says nothing about the branch of another: its word counts where we have the same block.
   */
  const finalWith = Effect.fnUntraced(
    function*(cursor: Cursor, tip: Header, head: Header, fresh: ReadonlyArray<Header>) {
      const word = tag
      const ours = word === null || word.number <= cursor.finalized
        ? null
        : fresh.find(({ number }) => number === word.number) ?? (yield* ledger.headerAt(chain, word.number))
      const agreed = word !== null && ours?.hash === word.hash ? word.number : null
      return Math.min(tip.number, finalHeight(cursor.finalized, agreed, head.number, finalDepth))
    }
  )

  const rest = Effect.fnUntraced(function*(cursor: Cursor) {
    yield* ledger.checked(chain, cursor.hash, { depths, finalized: yield* finalWith(cursor, cursor, cursor, []) })
    return "idle" as const
  })

  const advance = Effect.fn("Scanner.advance")(function*(cursor: Cursor, head: Header) {
    const first = cursor.number + 1
    const numbers = Array.from({ length: Math.min(batch, head.number - cursor.number) }, (_, i) => first + i)
    const headers = yield* Effect.forEach(
      numbers,
      (number) => number === head.number ? Effect.succeed(head) : known(number),
      { concurrency: sideBySide }
    )
    const following = linked(cursor, headers)
    const last = following.at(-1)
    if (last === undefined) return yield* walkBack(cursor, head)
    const blocks = yield* Effect.forEach(following, ({ hash }) => reader.block(hash), { concurrency: sideBySide })
    if (linked(cursor, blocks).length < blocks.length) {
      return yield* new ChainInconsistent({
        chain,
        reason: `the blocks after ${cursor.number} are not those announced`
      })
    }
    yield* ledger.commit(chain, blocks, { depths, window, finalized: yield* finalWith(cursor, last, head, following) })
    batch = Math.min(largestBatch, batch * 2)
    return last.number < head.number ? "more" as const : "idle" as const
  })

  /** The node lags, or its chain got shorter and has not grown again. Only time tells which. */
  const wait = Effect.fnUntraced(function*(cursor: Cursor, head: Header) {
    const now = yield* Clock.currentTimeMillis
    if (behind.hash !== head.hash) behind = { hash: head.hash, since: now }
    if (now - behind.since < Math.max(2 * blockTime, leastPatience)) return "idle"
    return yield* walkBack(cursor, head)
  })

  /** Goes back to the highest block of ours that the node has, too. */
  const walkBack = Effect.fn("Scanner.walkBack")(function*(cursor: Cursor, head: Header) {
    if (yield* isStranger(cursor)) return "halted"
    for (let number = Math.min(head.number, cursor.number); number >= cursor.finalized; number--) {
      const ours = yield* ledger.headerAt(chain, number)
      const theirs = yield* known(number)
      // Down to what is final the window has no gaps, so having none means: before the beginning.
      if (ours !== null && ours.hash !== theirs.hash) continue
      if (theirs.hash === cursor.hash) {
        return yield* new ChainInconsistent({
          chain,
          reason: `block ${number + 1} does not follow from ${theirs.hash}`
        })
      }
      yield* ledger.rollBack(chain, cursor.hash, theirs)
      yield* Effect.logWarning(`${chain}: went back from ${cursor.number} to ${number}`)
      return "more"
    }
    // A node that stands still on a branch that lost is no news of the chain, only of itself.
    if (head.number <= cursor.number) {
      return yield* new ChainUnreachable({
        chain,
        reason: `the node is at ${head.number} without ${cursor.finalized}, which was final`
      })
    }
    return yield* halt(cursor, `the node has another chain below ${cursor.finalized}, which was final`)
  })

  const halt = Effect.fnUntraced(function*(cursor: Cursor, reason: string) {
    yield* ledger.halt(chain, cursor.hash, reason)
    yield* Effect.logError(`${chain}: halted: ${reason}`)
    return "halted" as const
  })

  const announce = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    if (now - announced.at < announceEvery) return
    const cursor = yield* ledger.cursor(chain)
    if (cursor === null || cursor.hash === announced.hash) return
    yield* ledger.announce(chain)
    announced = { hash: cursor.hash, at: now }
  })

  /** A block that must be there, since the node has a later one. Where it is not, that says nothing about our branch. */
  const known = (number: number) =>
    Effect.filterOrFail(
      reader.headerAt(number),
      (header) => header !== null,
      () => new ChainUnreachable({ chain, reason: `the node has no block ${number}` })
    )

  const pause = (outcome: Outcome) => {
    switch (outcome) {
      case "more":
        return Effect.yieldNow
      case "idle":
        return Effect.sleep(Math.min(blockTime / 2, 1_000))
      case "halted":
        return Effect.sleep(lookAgainAtHalted)
    }
  }

  /** Nothing ends it but its scope: a defect is logged, and tried again like any failure. */
  const run = tick.pipe(
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning(`${chain}: reading failed`, cause)
    ),
    Effect.sandbox,
    Effect.retry(backOff),
    Effect.orDie,
    Effect.flatMap(pause),
    Effect.forever
  )

  return { tick, run }
})
