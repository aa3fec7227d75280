/** Reminders that do not survive the process, by its own clock. */
import { Clock, Effect, FiberSet, Layer, Queue } from "effect"
import { type Timer, Timers } from "#ports/Timers.ts"

/** Rung at once. */
const sideBySide = 16
const patience = "30 seconds"
const pauseMillis = 2000

interface Entry {
  readonly timer: Timer
  ringsAt: number
}

const make = Effect.sync(() => {
  const entries = new Map<string, Entry>()
  const sleepers = new Set<Queue.Queue<void>>()

  const put = (timer: Timer) => entries.set(timer.id, { timer, ringsAt: timer.dueAt.epochMilliseconds })

  const wakeAll = () => {
    for (const sleeper of sleepers) Queue.offerUnsafe(sleeper, undefined)
  }

  const run: Timers["Service"]["run"] = Effect.fnUntraced(function*(ring) {
    const woken = yield* Queue.sliding<void>(1)
    sleepers.add(woken)
    yield* Effect.addFinalizer(() => Effect.sync(() => sleepers.delete(woken)))
    const ringing = new Set<Entry>()
    const fibers = yield* FiberSet.make()

    const ringOne = (entry: Entry) =>
      Effect.exit(Effect.timeout(ring(entry.timer), patience)).pipe(
        Effect.tap((exit) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const { timer } = entry
            // Set anew or canceled meanwhile: then it is no longer ours to finish.
            if (entries.get(timer.id) !== entry) return
            if (exit._tag === "Failure") entry.ringsAt = now + pauseMillis
            else if (exit.value === null) entries.delete(timer.id)
            else put({ ...timer, dueAt: exit.value })
          })
        ),
        Effect.ensuring(Effect.sync(() => {
          ringing.delete(entry)
          wakeAll()
        }))
      )

    const round = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const waiting = [...entries.values()]
        .filter((entry) => !ringing.has(entry))
        .toSorted((a, b) => a.ringsAt - b.ringsAt)
      const room = sideBySide - ringing.size
      const due = waiting.filter(({ ringsAt }) => ringsAt <= now).slice(0, room)
      for (const entry of due) {
        ringing.add(entry)
        yield* FiberSet.run(fibers, ringOne(entry))
      }
      const next = waiting[due.length]?.ringsAt
      const sleep = next === undefined || due.length === room ? Effect.never : Effect.sleep(next - now)
      yield* Effect.raceFirst(sleep, Queue.take(woken))
    })
    yield* Effect.forkScoped(Effect.forever(round))
  })

  return Timers.of({
    set: (timers) =>
      Effect.sync(() => {
        timers.forEach(put)
        wakeAll()
      }),
    cancel: (ids) => Effect.sync(() => ids.forEach((id) => entries.delete(id))),
    run
  })
})

export const layer = Layer.effect(Timers, make)
