/** Waits for what another fiber or process brings about. */
import { Effect } from "effect"

/** Looks every 10 ms, for ten seconds of real time. */
export const until = <E = never, R = never>(what: string, condition: () => boolean | Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    while (true) {
      const met = condition()
      if (typeof met === "boolean" ? met : yield* met) return
      yield* Effect.sleep("10 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.die(new Error(`never: ${what}`)) }))
