/** Natural batching: what arrives while a batch is under way makes up the next one. Nobody waits for a batch to fill. */
import { Deferred, Effect, type Exit, Queue } from "effect"

export interface Options<Item, A, E> {
  /** Batches under way at once. Items of one key always take the same lane, in the order in which they came. */
  readonly lanes: number
  /** Items in a batch, at most; no two of one key. */
  readonly batch: number
  /** Items waiting in a lane, at most. One more is answered with `full`. */
  readonly waiting: number
  readonly key: (item: Item) => string
  /** Answers each item of a batch, in its order. */
  readonly run: (batch: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Exit.Exit<A, E>>>
  readonly full: Exit.Exit<A, E>
  /** The answer to what is still waiting when the scope closes, and to whoever comes later. */
  readonly closed: Exit.Exit<A, E>
}

/**
 * Begins the lanes and answers with the way in. They belong to the scope they were made in: nothing of a caller's
 * context (tenant, trace, transaction) reaches a batch that it shares with others, and neither does its interruption.
 */
export const make = Effect.fnUntraced(function*<Item, A, E>(options: Options<Item, A, E>) {
  const { batch: most, closed, full, key, run, waiting } = options
  interface Entry {
    readonly item: Item
    readonly key: string
    readonly done: Deferred.Deferred<A, E>
  }

  let open = true
  const begin = Effect.gen(function*() {
    const queue = yield* Queue.dropping<Entry>(waiting)
    /** Taken from the queue and not answered yet. */
    let taken: ReadonlyArray<Entry> = []
    const turn = Effect.gen(function*() {
      const arrived = yield* Queue.takeBetween(queue, taken.length === 0 ? 1 : 0, most - taken.length)
      taken = [...taken, ...arrived]
      const batch = firstOfEachKey(taken)
      // A batch that has begun is finished even while the process stops: its callers deserve the true answer.
      const exits = yield* Effect.uninterruptible(run(batch.map(({ item }) => item)))
      batch.forEach(({ done }, i) => Deferred.doneUnsafe(done, exits[i] ?? closed))
      taken = batch.length === taken.length ? [] : taken.filter((entry) => !batch.includes(entry))
    })
    const close = Effect.map(Queue.clear(queue), (left) => {
      open = false
      for (const { done } of [...taken, ...left]) Deferred.doneUnsafe(done, closed)
    })
    yield* Effect.forkScoped(Effect.ensuring(Effect.forever(turn), close))
    return queue
  })
  const lanes = yield* Effect.replicateEffect(begin, options.lanes)

  return (item: Item): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (!open) return closed
      const entry: Entry = { item, key: key(item), done: Deferred.makeUnsafe() }
      const lane = lanes[hash(entry.key) % lanes.length]
      return lane !== undefined && Queue.offerUnsafe(lane, entry) ? Deferred.await(entry.done) : full
    })
})

const firstOfEachKey = <Entry extends { readonly key: string }>(entries: ReadonlyArray<Entry>) => {
  const seen = new Set<string>()
  return entries.filter(({ key }) => seen.size < seen.add(key).size)
}

/** FNV-1a over the last characters, which are the random ones of an id. */
const hash = (key: string) => {
  let value = 0x811c9dc5
  for (let i = Math.max(0, key.length - 8); i < key.length; i++) {
    value = Math.imul(value ^ key.charCodeAt(i), 0x01000193)
  }
  return value >>> 0
}
