/** Word that the process is about to end, for those who keep connections open: they close theirs, and nobody waits. */
import { Context, Effect, Latch, Layer } from "effect"

/** Open once the end has begun. */
export class Shutdown extends Context.Service<Shutdown, Latch.Latch>()("checkout/ports/Shutdown") {
  static readonly layer = Layer.effect(Shutdown, Latch.make(false))

  /** Opens it. Provide the server to this layer: what depends on the server ends first. */
  static readonly trigger = Layer.effectDiscard(
    Effect.flatMap(Shutdown, (latch) => Effect.addFinalizer(() => latch.open))
  )
}
