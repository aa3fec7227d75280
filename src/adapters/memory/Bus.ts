/** The bus of a single process that keeps nothing: for tests, and for trying the processes out. */
import { Context, DateTime, Effect, Layer, Queue } from "effect"
import { Bus, type Group, type Message, type Parked, type Topic } from "#ports/Bus.ts"
import { careful, type Partition, workOff } from "#ports/Patience.ts"

/** Writes messages, in this order. */
export class Publish extends Context.Service<
  Publish,
  (messages: ReadonlyArray<Message>) => Effect.Effect<void>
>()("checkout/adapters/memory/Publish") {}

const shardCount = 16
/** Nothing is ever dropped, so whoever writes more than this has mistaken it for a real bus. */
const longestLog = 100_000
const longestTail = 1000

const make = Effect.sync(() => {
  const logs = new Map<Topic, ReadonlyArray<Array<Message>>>()
  const groups = new Map<string, ReadonlyArray<Shard>>()
  const given: Array<Parked> = []
  const sleepers = new Set<Queue.Queue<void>>()
  const tails = new Map<Queue.Queue<Message>, Topic>()
  let written = 0

  const logOf = (topic: Topic) => {
    const log = logs.get(topic) ?? Array.from({ length: shardCount }, () => [])
    logs.set(topic, log)
    return log
  }

  const shardsOf = ({ name, topic }: Group) => {
    const shards = groups.get(name) ?? logOf(topic).map((log) => ({ log, next: 0, taken: false }))
    groups.set(name, shards)
    return shards
  }

  const wakeAll = Effect.sync(() => {
    for (const sleeper of sleepers) Queue.offerUnsafe(sleeper, undefined)
  })

  const publish = (messages: ReadonlyArray<Message>) =>
    Effect.andThen(
      Effect.sync(() => {
        written += messages.length
        if (written > longestLog) throw new Error("the memory bus is full")
        for (const message of messages) {
          logOf(message.topic)[shardOf(message.key)]?.push(message)
          for (const [tail, topic] of tails) if (topic === message.topic) Queue.offerUnsafe(tail, message)
        }
      }),
      wakeAll
    )

  const registered = <A, Held extends { delete: (key: Queue.Queue<A>) => boolean }>(
    capacity: number,
    held: Held,
    add: (queue: Queue.Queue<A>) => void
  ) =>
    Effect.acquireRelease(
      Effect.tap(Queue.sliding<A>(capacity), (queue) => Effect.sync(() => add(queue))),
      (queue) => Effect.sync(() => held.delete(queue))
    )

  const partition = (group: Group, shard: Shard): Partition => ({
    turn: (limit, handle) =>
      Effect.suspend(() => {
        const messages = shard.log.slice(shard.next, shard.next + limit)
        if (messages.length === 0) return Effect.succeed(0)
        return Effect.map(handle(messages), () => {
          shard.next += messages.length
          return messages.length
        })
      }),
    park: (message, reason, attempts) =>
      Effect.map(DateTime.now, (parkedAt) => {
        given.unshift({ group: group.name, message, reason, attempts, parkedAt })
        shard.next++
      })
  })

  const consume: Bus["Service"]["consume"] = Effect.fnUntraced(function*(group, handle) {
    const patient = yield* careful(group, handle)
    const shards = shardsOf(group)
    const worker = Effect.gen(function*() {
      const woken = yield* registered<void, typeof sleepers>(1, sleepers, (queue) => sleepers.add(queue))
      const work = Effect.suspend(() => {
        const shard = shards.find(({ log, next, taken }) => !taken && next < log.length)
        if (shard === undefined) return Queue.take(woken)
        shard.taken = true
        const release = Effect.andThen(Effect.sync(() => void (shard.taken = false)), wakeAll)
        return Effect.ensuring(workOff(group, patient, partition(group, shard)), release)
      })
      return yield* Effect.forever(work)
    })
    for (let i = 0; i < group.consumers; i++) yield* Effect.forkScoped(Effect.scoped(worker))
  })

  const tail: Bus["Service"]["tail"] = Effect.fnUntraced(function*(topic, hear) {
    const heard = yield* registered<Message, typeof tails>(longestTail, tails, (queue) => tails.set(queue, topic))
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.takeAll(heard), hear)))
  })

  const parked = (group: string) => Effect.sync(() => given.filter((parked) => parked.group === group).slice(0, 1000))

  return Context.make(Bus, Bus.of({ consume, tail, parked })).pipe(Context.add(Publish, publish))
})

export const layer = Layer.effectContext(make)

interface Shard {
  readonly log: ReadonlyArray<Message>
  next: number
  taken: boolean
}

const shardOf = (key: string) => {
  let hash = 0
  for (const char of key) hash = (hash * 31 + char.charCodeAt(0)) | 0
  return hash & (shardCount - 1)
}
