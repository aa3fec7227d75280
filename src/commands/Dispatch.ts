/** The one way to change anything: load, decide, append. */
import { Context, DateTime, Effect, Layer, Queue, Result, Schema } from "effect"
import type { Aggregate } from "#domain/Aggregate.ts"
import type { Projection } from "#domain/Projection.ts"
import { EventStore, type Meta, type NotUnique, type Receipt, type StoreUnavailable } from "#ports/EventStore.ts"
import type { Command } from "./Command.ts"
import * as History from "./History.ts"
import * as Standing from "./Standing.ts"

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
  readonly row: <Row, Event>(projection: Projection<Row, Event>) => Row | null
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
    const strong = yield* StrongProjections

    // Nobody waits for a snapshot, and one that is lost is only missed. A fiber of its own keeps them, so that no
    // caller's transaction is used after its end.
    const snapshots = yield* Queue.dropping<Effect.Effect<void, StoreUnavailable>>(64)
    yield* Queue.take(snapshots).pipe(
      Effect.flatten,
      Effect.catchCause((cause) => Effect.logWarning("a snapshot was not kept", cause)),
      Effect.forever,
      Effect.forkScoped
    )

    const foldOf = <State, Event>(aggregate: Aggregate<State, Event>): Standing.Fold<State, Event> => ({
      aggregate,
      projections: strong.filter((projection) => projection.aggregate.category === aggregate.category)
    })

    /** The stream as it stands now, or as it stood at a version. */
    const load = Effect.fnUntraced(function*<State, Event>(
      fold: Standing.Fold<State, Event>,
      stream: string,
      tenant: string,
      until = Infinity
    ) {
      const kept = fold.aggregate.snapshot === undefined ? null : yield* store.snapshot(stream, tenant)
      const base = kept === null || kept.version > until ? Standing.begin(fold) : Standing.resume(fold, kept)
      const tail = yield* store.read(stream, tenant, base.version)
      return tail
        .filter(({ version }) => version <= until)
        .reduce((standing, recorded) => Standing.followRecorded(fold, standing, recorded), base)
    })

    /** What the receipt's command was answered when it was carried out; null if it never was. */
    const replay = Effect.fnUntraced(function*<State, Event>(
      fold: Standing.Fold<State, Event>,
      { hash, key }: Receipt,
      tenant: string
    ) {
      const stored = yield* store.receipt(tenant, key)
      if (stored === null) return null
      if (stored.hash !== hash) return yield* new ReceiptMismatch()
      return outcomeOf(stored.stream, yield* load(fold, stored.stream, tenant, stored.version), true)
    })

    const attempts = Effect.fnUntraced(function*<
      Fields extends Schema.Struct.Fields,
      State,
      Event extends { readonly _tag: string },
      Refusal
    >(
      command: Command<Fields, State, Event, Refusal>,
      id: string,
      asked: Schema.Struct<Fields>["Type"],
      behalf: Behalf
    ) {
      const { aggregate, decide } = command
      const { actor, ifVersion, receipt, tenant } = behalf
      const fold = foldOf(aggregate)

      for (let round = 0;; round++) {
        // What begins under a fresh id has nothing to load, and is rarely asked twice: so the first try looks at nothing.
        const blind = command.opens && round === 0
        const before = blind || receipt === undefined ? null : yield* replay(fold, receipt, tenant)
        if (before !== null) return before

        const standing = blind ? Standing.begin(fold) : yield* load(fold, id, tenant)
        const { version } = standing
        if (ifVersion !== undefined && ifVersion !== version) return yield* new VersionConflict({ version })

        const now = yield* DateTime.now
        const decision = decide(asked, { now, actor })(standing.state)
        // Refused now, but perhaps it was granted before: the next round looks.
        if (Result.isFailure(decision) && blind && receipt !== undefined) continue
        const events = yield* Effect.fromResult(decision)
        const nothingToKeep = events.length === 0 && (receipt === undefined || version === 0)
        if (nothingToKeep) return outcomeOf(id, standing, false)

        const origin = { stream: id, recordedAt: now }
        const after = events.reduce((so, event) => Standing.follow(fold, so, event, origin), standing)
        const written = yield* store.append({
          stream: id,
          category: aggregate.category,
          tenant,
          expected: version,
          events: events.map((event) => History.encode(aggregate, event)),
          at: now,
          meta: metaOf(command.tag, behalf),
          ...(receipt !== undefined && { receipt }),
          rows: Standing.changedRows(fold, id, standing, after)
        }).pipe(
          Effect.as(true),
          // Both are answered by looking again: at the stream that moved, or at what the receipt stands for.
          Effect.catchTag(["StreamMoved", "AlreadyReceived"], () => Effect.succeed(false))
        )
        if (written) {
          const snapshot = Standing.dueSnapshot(fold, standing, after)
          if (snapshot !== null) Queue.offerUnsafe(snapshots, Effect.suspend(() => store.keepSnapshot(id, snapshot())))
          return outcomeOf(id, after, false)
        }
        if (round === rounds) return yield* new VersionConflict({ version })
      }
    })

    /** Answers with what follows, or with the command's own refusals. */
    const dispatch = <Fields extends Schema.Struct.Fields, State, Event extends { readonly _tag: string }, Refusal>(
      command: Command<Fields, State, Event, Refusal>,
      id: string,
      asked: Schema.Struct<Fields>["Type"],
      behalf: Behalf
    ): Effect.Effect<Outcome<State>, Refusal | DispatchError> =>
      attempts(command, id, asked, behalf).pipe(
        Effect.withSpan(command.tag, { attributes: { id, actor: behalf.actor } }, { captureStackTrace: false })
      )

    /** What this very request was answered before, for a caller who could not ask again what it then fetched. */
    const answered = <Fields extends Schema.Struct.Fields, State, Event extends { readonly _tag: string }, Refusal>(
      { aggregate }: Command<Fields, State, Event, Refusal>,
      { receipt, tenant }: Behalf
    ) => receipt === undefined ? Effect.succeed(null) : replay(foldOf(aggregate), receipt, tenant)

    return { dispatch, answered }
  })
}) {
  static readonly layer = Layer.effect(this, this.make)
}

const outcomeOf = <State>(
  id: string,
  { rows, state, version }: Standing.Standing<State>,
  replayed: boolean
): Outcome<State> => ({
  id,
  state,
  version,
  replayed,
  row: <Row, Event>({ name }: Projection<Row, Event>) => {
    if (!(name in rows)) throw new Error(`${name} is no strong read model of this stream`)
    return rows[name] as Row | null
  }
})

const metaOf = (command: string, { actor, cause, requestId, traceparent }: Behalf): Meta => ({
  command,
  actor,
  ...(cause !== undefined && { cause }),
  ...(requestId !== undefined && { requestId }),
  ...(traceparent !== undefined && { traceparent })
})
