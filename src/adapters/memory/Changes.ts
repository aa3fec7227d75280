/** Word of changes within one process. */
import { Effect, Layer, Queue, Stream } from "effect"
import { Changes } from "#ports/Changes.ts"

const make = Effect.sync(() => {
  /** A listener's queue holds one tick: whoever is slow looks once, not once for each change. */
  const listeners = new Map<string, Set<Queue.Queue<void>>>()

  const listen = (invoiceId: string) =>
    Effect.acquireRelease(
      Effect.tap(Queue.sliding<void>(1), (queue) =>
        Effect.sync(() => {
          listeners.set(invoiceId, (listeners.get(invoiceId) ?? new Set()).add(queue))
        })),
      (queue) =>
        Effect.sync(() => {
          const others = listeners.get(invoiceId)
          others?.delete(queue)
          if (others?.size === 0) listeners.delete(invoiceId)
        })
    )

  return Changes.of({
    of: (invoiceId) => Stream.unwrap(Effect.map(listen(invoiceId), Stream.fromQueue)),
    announce: (invoiceIds) =>
      Effect.sync(() => {
        for (const id of invoiceIds) for (const queue of listeners.get(id) ?? []) Queue.offerUnsafe(queue, undefined)
      }),
    watched: Effect.sync(() => [...listeners.keys()])
  })
})

export const layer = Layer.effect(Changes, make)
