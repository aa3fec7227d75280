import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Changes } from "#ports/Changes.ts"
import { apiLayer, ask, World } from "../../support/api.ts"
import { until } from "../../support/until.ts"

it.live("150: when the end begins, who waits is answered, and the port is free", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(apiLayer({ drainSeconds: 20 }), scope)
    const run = Effect.provide(
      Effect.gen(function*() {
        const { keys, url } = yield* World
        const changes = yield* Changes
        const { body } = yield* ask(`${url}/v1/invoices`, { key: keys.a, json: { price: null } })
        const waiting = yield* Effect.forkDetach(
          ask(`${url}/v1/invoices/${body.id}?wait=30`, { key: keys.a, headers: { connection: "close" } })
        )
        yield* until("somebody waits", () => Effect.map(changes.watched, (ids) => ids.includes(body.id)))
        return { url, waiting }
      }),
      context
    )
    const { url, waiting } = yield* run
    yield* Scope.close(scope, Exit.void).pipe(Effect.timeout("10 seconds"))
    assert.strictEqual((yield* Fiber.join(waiting)).status, 200)
    const refused = yield* Effect.exit(Effect.tryPromise(() => fetch(`${url}/health/live`)))
    assert.isTrue(Exit.isFailure(refused))
  }), 60_000)
