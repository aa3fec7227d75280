/** Tells those who look at an invoice that it changed, or that the chain has moved under it. */
import { Clock, Effect, Layer } from "effect"
import * as Invoice from "#domain/Invoice.ts"
import { Bus } from "#ports/Bus.ts"
import { Changes } from "#ports/Changes.ts"

/** Of one chain, so that a chain with quick blocks does not have every page drawn several times a second. */
const millisBetweenHeads = 1000

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const { tail } = yield* Bus
    const { announce, watched } = yield* Changes

    yield* tail("domain-events", (messages) => {
      const invoices = messages.filter(({ headers }) => headers.category === Invoice.aggregate.category)
      return announce([...new Set(invoices.map(({ key }) => key))])
    })

    // Bounded by the number of chains: heads come under their chain as the key.
    const announcedAt = new Map<string, number>()
    yield* tail(
      "integrations",
      Effect.fnUntraced(function*(messages) {
        const now = yield* Clock.currentTimeMillis
        const moved = messages.filter(({ key, type }) =>
          type === "HeadAdvanced" && now - (announcedAt.get(key) ?? -Infinity) >= millisBetweenHeads
        )
        if (moved.length === 0) return
        for (const { key } of moved) announcedAt.set(key, now)
        yield* announce(yield* watched)
      })
    )
  })
)
