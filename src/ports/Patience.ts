/** What a bus does when a handler fails: try again, one by one, and then go on without. The same on every adapter. */
import { Cause, Data, Duration, Effect, References, Schedule, Tracer } from "effect"
import { type Group, HandlerFailed, type Message } from "./Bus.ts"
import { StoreUnavailable } from "./EventStore.ts"

/** The handler said no to these messages, or broke on them. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly messages: ReadonlyArray<Message>
  readonly reason: string
  readonly retry: boolean
}> {}

export type Handle = (messages: ReadonlyArray<Message>) => Effect.Effect<void, Refused | StoreUnavailable>

/** One partition of a group, as its adapter knows it. */
export interface Partition {
  /**
   * Hands the next messages, at most `limit`, to the handler and moves the checkpoint behind them: both or neither.
   * Answers how many there were; 0 also when the partition is no longer ours.
   */
  readonly turn: (limit: number, handle: Handle) => Effect.Effect<number, Refused | StoreUnavailable>
  /** Puts the next message aside, and moves the checkpoint behind it. */
  readonly park: (message: Message, reason: string, attempts: number) => Effect.Effect<void, StoreUnavailable>
}

/** Works a partition off until nothing is left. Waiting for one message holds up its partition, never another. */
export const workOff = (group: Group, handle: Handle, { park, turn }: Partition) =>
  Effect.gen(function*() {
    let singly = 0
    let attempts = 0
    let outages = 0
    while (true) {
      const limit = singly > 0 ? 1 : group.batch
      const outcome = yield* Effect.result(turn(limit, handle))
      if (outcome._tag === "Success") {
        const count = outcome.success
        singly = Math.max(0, singly - count)
        attempts = outages = 0
        if (count < limit) return
        continue
      }
      const { failure } = outcome
      if (failure._tag === "StoreUnavailable") {
        yield* Effect.sleep(pause(++outages))
        continue
      }
      const [first, ...more] = failure.messages
      if (first === undefined || more.length > 0) {
        singly = failure.messages.length
        continue
      }
      attempts++
      if (failure.retry && attempts < group.tries) {
        yield* Effect.sleep(pause(attempts))
        continue
      }
      const { reason } = failure
      const about = { group: group.name, message: first.id, type: first.type, attempts, reason }
      yield* Effect.logError("a message is given up").pipe(Effect.annotateLogs(about))
      yield* Effect.retry(park(first, reason, attempts), Schedule.spaced("1 second"))
      singly = Math.max(0, singly - 1)
      attempts = 0
    }
  })

/** The handler as a partition sees it: in its own span, and with every failure in one of two words. */
export const careful = (
  group: Group,
  handle: (messages: ReadonlyArray<Message>) => Effect.Effect<void, HandlerFailed | StoreUnavailable>
): Effect.Effect<Handle> =>
  Effect.map(References.TracerEnabled, (traced) => (messages) =>
    Effect.suspend(() => handle(messages)).pipe(
      Effect.withSpan(`${group.name}.handle`, spanOf(messages)),
      // The polling around it is not traced.
      Effect.withTracerEnabled(traced),
      Effect.catchCause((cause) => Effect.failCause(refusal(messages, cause)))
    ))

const refusal = (
  messages: ReadonlyArray<Message>,
  cause: Cause.Cause<HandlerFailed | StoreUnavailable>
): Cause.Cause<Refused | StoreUnavailable> => {
  if (Cause.hasInterrupts(cause)) return cause as Cause.Cause<never>
  const error = Cause.squash(cause)
  if (error instanceof StoreUnavailable) return Cause.fail(error)
  const retry = !(error instanceof HandlerFailed) || error.retry
  return Cause.fail(new Refused({ messages, retry, reason: reasonOf(error).slice(0, 500) }))
}

const reasonOf = (error: unknown) => {
  if (error instanceof HandlerFailed) return error.reason
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/** A single message goes on in the trace that wrote it; a batch links to all of theirs. */
const spanOf = (messages: ReadonlyArray<Message>) => {
  const written = messages.flatMap(({ headers: { traceparent = "" } }) => {
    const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent) ?? []
    if (traceId === undefined || spanId === undefined) return []
    return [Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags ?? "", 16) & 1) === 1 })]
  })
  const [parent] = messages.length === 1 ? written : []
  const attributes = { "messaging.batch.message_count": messages.length }
  const kind: Tracer.SpanKind = "consumer"
  if (parent !== undefined) return { kind, attributes, parent }
  return { kind, attributes, root: true, links: written.map((span) => ({ span, attributes: {} })) }
}

/** 50 ms, doubling up to 5 s. */
const pause = (time: number) => Duration.millis(Math.min(50 * 2 ** (time - 1), 5000))
