/** The one way to change anything: load, decide, append. */
import { Context, DateTime, Effect, Layer, Schema } from "effect"
import type { Projection } from "#domain/Projection.ts"
import {
  AlreadyReceived,
  EventStore,
  type Meta,
  type NotUnique,
  type Receipt,
  type Recorded,
  type Row,
  StoreUnavailable,
  StreamMoved
} from "#ports/EventStore.ts"
import type { Command } from "./Command.ts"
import * as History from "./History.ts"

/** The read models that must never lag behind the events: `main/Live.ts` lists them. */
export class StrongProjections extends Context.Service<
  StrongProjections,
  // oxlint-disable-next-line typescript/no-explicit-any -- a list of different rows has no one type
  ReadonlyArray<Projection<any, any>>
>()("checkout/commands/StrongProjections") {}

/** On whose behalf something is asked, and how to know that it was asked before. */
export interface Behalf {
  /** The merchant's id. */
  readonly tenant: string
  readonly actor: string
  readonly receipt?: Receipt
  /** The message or request that led to this. */
  readonly cause?: string
  readonly requestId?: string
  readonly traceparent?: string
  /** Only if the stream is at this version: the caller's `If-Match`. */
  readonly ifVersion?: number
}

export interface Outcome<State> {
  readonly id: string
  readonly state: State
  readonly version: number
  /** The answer to an earlier asking, given again. */
  readonly replayed: boolean
  /** The stream's row in a strong read model, as of `version`. */
  readonly row: <Row>(projection: Projection<Row, never>) => Row | null
}

/** The same receipt came with another question. */
export class ReceiptMismatch extends Schema.TaggedError<ReceiptMismatch>()("ReceiptMismatch", {}) {}

/** The stream is not at the version the caller knew, or would not stand still for as long as we tried. */
export class VersionConflict
  extends Schema.TaggedError<VersionConflict>()("VersionConflict", { version: Schema.Int })
{}

export type DispatchError = ReceiptMismatch | VersionConflict | NotUnique | StoreUnavailable

/** Times a decision is made again because the stream moved meanwhile, before the caller is told. */
const rounds = 3

/**
 * Loads a stream, decides, and appends events, strong read models and receipt in one statement. If the stream moved
 * meanwhile, it loads and decides again: a decision is pure, so making it twice is harmless.
 */
export class Dispatch extends Context.Service<Dispatch>()("checkout/commands/Dispatch", {
  make: Effect.gen(function*() {
    const store = yield* EventStore
    const projections = yield* StrongProjections

    /** Answers with what follows, or with the command's own refusals. */
    const dispatch = <Fields extends Schema.Struct.Fields, State, Event extends { readonly _tag: string }, Refusal>(
      command: Command<Fields, State, Event, Refusal>,
      id: string,
      asked: Schema.Struct<Fields>["Type"],
      behalf: Behalf
    ): Effect.Effect<Outcome<State>, Refusal | DispatchError> => {
      const { aggregate, decide, tag } = command
      const { actor, ifVersion, receipt, tenant } = behalf

      const replay = Effect.fnUntraced(function*({ hash, key }: Receipt) {
        const stored = yield* store.receipt(tenant, key)
        if (stored === null) return null
        if (stored.hash !== hash) return yield* new ReceiptMismatch()
        const history = yield* store.read(stored.stream, tenant)
        return outcome(stored.stream, history.slice(0, stored.version), true)
      })

      const outcome = (stream: string, history: ReadonlyArray<Recorded>, replayed: boolean): Outcome<State> => {
        const past = history.map((recorded) => History.decode(aggregate, recorded))
        return {
          id: stream,
          state: past.reduce(aggregate.evolve, aggregate.initial),
          version: history.length,
          replayed,
          row: (projection) => fold(projection, history, past, stream)
        }
      }

      const attempt = (
        round: number
      ): Effect.Effect<Outcome<State>, Refusal | DispatchError | StreamMoved | AlreadyReceived> =>
        Effect.gen(function*() {
          const fresh = command.opens && round === 0
          if (receipt !== undefined && !fresh) {
            const before = yield* replay(receipt)
            if (before !== null) return before
          }
          const history = fresh ? [] : yield* store.read(id, tenant)
          const version = history.length
          if (ifVersion !== undefined && ifVersion !== version) return yield* new VersionConflict({ version })
          const past = history.map((recorded) => History.decode(aggregate, recorded))
          const state = past.reduce(aggregate.evolve, aggregate.initial)

          const now = yield* DateTime.now
          const events = yield* Effect.fromResult(decide(asked, { now, actor })(state))
          if (events.length === 0 && (receipt === undefined || version === 0)) return outcome(id, history, false)

          const meta: Meta = {
            command: tag,
            actor,
            ...(behalf.cause !== undefined && { cause: behalf.cause }),
            ...(behalf.requestId !== undefined && { requestId: behalf.requestId }),
            ...(behalf.traceparent !== undefined && { traceparent: behalf.traceparent })
          }
          const origin = (i: number) => ({ stream: id, version: version + i + 1, recordedAt: now })
          const rowOf = <R>(projection: Projection<R, Event>): R | null =>
            events.reduce<R | null>(
              (row, event, i) => projection.apply(row, event, origin(i)),
              fold(projection as unknown as Projection<R, never>, history, past, id)
            )
          const strong = projections.filter((projection) => projection.aggregate.category === aggregate.category)
          const rows = strong.flatMap((projection): ReadonlyArray<Row> => {
            const row = rowOf(projection)
            if (row === null) return []
            return [{ view: projection.name, key: projection.key(id, row), data: encodeRow(projection, row) }]
          })
          const after = yield* store.append({
            stream: id,
            category: aggregate.category,
            tenant,
            expected: version,
            events: events.map((event) => History.encode(aggregate, event)),
            at: now,
            meta,
            ...(receipt !== undefined && { receipt }),
            rows: events.length === 0 ? [] : rows
          })
          return {
            id,
            state: events.reduce(aggregate.evolve, state),
            version: after,
            replayed: false,
            row: (projection) => rowOf(projection as never)
          }
        })

      const answer = (round: number): Effect.Effect<Outcome<State>, Refusal | DispatchError> =>
        attempt(round).pipe(
          Effect.catchIf(streamMoved, () =>
            round < rounds ? answer(round + 1) : Effect.fail(new VersionConflict({ version: 0 }))),
          Effect.catchIf(alreadyReceived, () =>
            receipt === undefined ?
              Effect.die("a receipt nobody gave") :
              Effect.flatMap(replay(receipt), (before) =>
                before === null ? answer(round + 1) : Effect.succeed(before)))
        ) as Effect.Effect<Outcome<State>, Refusal | DispatchError>

      return answer(0).pipe(Effect.withSpan(tag, { attributes: { id, actor } }))
    }

    return { dispatch }
  })
}) {
  static readonly layer = Layer.effect(this, this.make)
}

const streamMoved = (error: unknown): error is StreamMoved => error instanceof StreamMoved
const alreadyReceived = (error: unknown): error is AlreadyReceived => error instanceof AlreadyReceived

const fold = <R>(
  projection: Projection<R, never>,
  history: ReadonlyArray<Recorded>,
  past: ReadonlyArray<unknown>,
  stream: string
): R | null =>
  history.reduce<R | null>(
    (row, { recordedAt, version }, i) => projection.apply(row, past[i] as never, { stream, version, recordedAt }),
    null
  )

const rowCodecs = new WeakMap<object, (row: unknown) => unknown>()
const encodeRow = <R>({ row: codec }: Pick<Projection<R, never>, "row">, row: R): unknown => {
  const encode = rowCodecs.get(codec) ?? (Schema.encodeUnknownSync(codec) as (row: unknown) => unknown)
  rowCodecs.set(codec, encode)
  return encode(row)
}
