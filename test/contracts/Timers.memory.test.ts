import { assert, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryTimers from "#adapters/memory/Timers.ts"
import { Timers } from "#ports/Timers.ts"
import { timersContract } from "./Timers.contract.ts"

timersContract("memory", MemoryTimers.layer)

it.effect("the memory's timers go by the test's clock", () =>
  Effect.gen(function*() {
    const { run, set } = yield* Timers
    const rung: Array<string> = []
    yield* run(({ id }) => Effect.as(Effect.sync(() => rung.push(id)), null))
    yield* set([{ id: "a", dueAt: DateTime.makeUnsafe(3_600_000), about: null }])
    yield* TestClock.adjust("59 minutes")
    assert.deepStrictEqual(rung, [])
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(rung, ["a"])
  }).pipe(Effect.provide(MemoryTimers.layer)))
