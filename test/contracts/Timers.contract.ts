/** What every Timers owes its callers. Run it once per implementation. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Layer, Scope } from "effect"
import type { StoreUnavailable } from "#ports/EventStore.ts"
import { type Timer, Timers } from "#ports/Timers.ts"
import { until } from "../support/until.ts"

const away = { _tag: "StoreUnavailable", reason: "away", retryAfterSeconds: 1 } as unknown as StoreUnavailable

/** A timer so many milliseconds from now. */
const timer = (id: string, millis: number, about: unknown = { of: id }) =>
  Effect.map(DateTime.now, (now): Timer => ({ id, dueAt: DateTime.add(now, { milliseconds: millis }), about }))

/** Rings into a list, by real time. */
const ringing = Effect.gen(function*() {
  const timers = yield* Timers
  const rung: Array<Timer> = []
  const start = timers.run((timer) => Effect.as(Effect.sync(() => void rung.push(timer)), null))
  return { ...timers, rung, start }
})

export const timersContract = <E>(name: string, layer: Layer.Layer<Timers, E>) => {
  /** On timers of its own. */
  const check = (title: string, test: Effect.Effect<void, unknown, Timers | Scope.Scope>) =>
    it.live(title, () => Effect.scoped(Effect.provide(test, Layer.fresh(layer))))

  describe(`Timers: ${name}`, () => {
    check(
      "ring when they are due, with what they are about, and not before",
      Effect.gen(function*() {
        const { rung, set, start } = yield* ringing
        const [soon, later] = [yield* timer("soon", 300), yield* timer("later", 60_000)]
        yield* set([later, soon])
        yield* start
        yield* until("it rings", () => rung.length === 1)
        const now = yield* DateTime.now
        assert.deepStrictEqual(rung, [soon])
        assert.isAtLeast(now.epochMilliseconds, soon.dueAt.epochMilliseconds)
        assert.isBelow(now.epochMilliseconds, soon.dueAt.epochMilliseconds + 250)
      })
    )

    check(
      "ring if they were due before anyone listened, the earliest first",
      Effect.gen(function*() {
        const { rung, set, start } = yield* ringing
        yield* set([yield* timer("b", -1000), yield* timer("a", -2000)])
        yield* start
        yield* until("both ring", () => rung.length === 2)
        assert.deepStrictEqual(rung.map(({ id }) => id), ["a", "b"])
      })
    )

    check(
      "ring once only",
      Effect.gen(function*() {
        const { rung, set, start } = yield* ringing
        yield* set([yield* timer("a", 0)])
        yield* start
        yield* start
        yield* until("it rings", () => rung.length === 1)
        yield* set([yield* timer("b", 600)])
        yield* until("another rings", () => rung.some(({ id }) => id === "b"))
        assert.strictEqual(rung.length, 2)
      })
    )

    check(
      "are moved when they are set again",
      Effect.gen(function*() {
        const { rung, set, start } = yield* ringing
        yield* start
        yield* set([yield* timer("a", 60_000), yield* timer("b", 10)])
        yield* until("b rings", () => rung.length === 1)
        yield* set([yield* timer("a", 0, "moved")])
        yield* until("a rings", () => rung.length === 2)
        assert.deepStrictEqual(rung.map(({ about, id }) => [id, about]), [["b", { of: "b" }], ["a", "moved"]])
      })
    )

    check(
      "take the last of two settings in one call",
      Effect.gen(function*() {
        const { rung, set, start } = yield* ringing
        yield* set([yield* timer("a", 60_000), yield* timer("a", 0, "last")])
        yield* start
        yield* until("it rings", () => rung.length === 1)
        assert.deepStrictEqual(rung.map(({ about }) => about), ["last"])
      })
    )

    check(
      "do not ring once they are canceled",
      Effect.gen(function*() {
        const { cancel, rung, set, start } = yield* ringing
        yield* set([yield* timer("a", 200), yield* timer("b", 400)])
        yield* cancel(["a", "never set"])
        yield* start
        yield* until("b rings", () => rung.length === 1)
        assert.deepStrictEqual(rung.map(({ id }) => id), ["b"])
      })
    )

    check(
      "ring again after a pause when the handler fails or breaks",
      Effect.gen(function*() {
        const { run, set } = yield* Timers
        const outcomes = [Effect.fail(away), Effect.die("broken"), Effect.succeed(null)]
        const rung: Array<number> = []
        yield* set([yield* timer("a", 0)])
        yield* run(() =>
          Effect.flatMap(
            DateTime.now,
            ({ epochMilliseconds }) => outcomes[rung.push(epochMilliseconds) - 1] ?? Effect.succeed(null)
          )
        )
        yield* until("it rings thrice", () => rung.length === 3)
        const [first = 0, second = 0] = rung
        assert.isAtLeast(second - first, 1000)
        assert.isAtMost(second - first, 5000)
      })
    )

    check(
      "are moved to the time that the handler answers with",
      Effect.gen(function*() {
        const { run, set } = yield* Timers
        const rung: Array<number> = []
        yield* set([yield* timer("a", 0)])
        yield* run(({ dueAt }) =>
          Effect.sync(() => rung.push(dueAt.epochMilliseconds) < 3 ? DateTime.add(dueAt, { milliseconds: 100 }) : null)
        )
        yield* until("it rings thrice", () => rung.length === 3)
        assert.deepStrictEqual(rung.map((due) => due - (rung[0] ?? 0)), [0, 100, 200])
      })
    )

    check(
      "stay where they were set while their handler ran",
      Effect.gen(function*() {
        const { run, set } = yield* Timers
        const rung: Array<unknown> = []
        yield* set([yield* timer("a", 0, "first")])
        yield* run(({ about }) =>
          Effect.gen(function*() {
            rung.push(about)
            if (about === "first") yield* set([yield* timer("a", 100, "second")])
            return null
          })
        )
        yield* until("it rings twice", () => rung.length === 2)
        assert.deepStrictEqual(rung, ["first", "second"])
      })
    )

    check(
      "do not wait for one whose handler takes long",
      Effect.gen(function*() {
        const { run, set } = yield* Timers
        const rung: Array<string> = []
        yield* set([yield* timer("slow", -1000), yield* timer("quick", 50)])
        yield* run(({ id }) =>
          Effect.andThen(Effect.sync(() => rung.push(id)), id === "slow" ? Effect.never : Effect.succeed(null))
        )
        yield* until("the other rings", () => rung.length === 2)
        assert.deepStrictEqual(rung, ["slow", "quick"])
      })
    )

    check(
      "stop ringing when the scope closes",
      Effect.gen(function*() {
        const { run, rung, set, start } = yield* ringing
        const scope = yield* Scope.make()
        const wrong = yield* Deferred.make<void>()
        yield* Scope.provide(run(() => Effect.as(Deferred.succeed(wrong, undefined), null)), scope)
        yield* Scope.close(scope, Exit.void)
        yield* set([yield* timer("a", 0)])
        yield* start
        yield* until("it rings elsewhere", () => rung.length === 1)
        assert.isFalse(yield* Deferred.isDone(wrong))
      })
    )
  })
}
