/** A stream as it stands at a version: the state that decisions read, and its rows in the strong read models. */
import { type DateTime, Hash, Result } from "effect"
import type { Aggregate } from "#domain/Aggregate.ts"
import type { Projection } from "#domain/Projection.ts"
import type { Recorded, Row, Snapshot } from "#ports/EventStore.ts"
import * as History from "./History.ts"

export interface Standing<State> {
  readonly version: number
  readonly state: State
  /** By the read model's name; null where there is no row. */
  readonly rows: Readonly<Record<string, unknown>>
}

/** How a stream of one kind is folded. Rows are `unknown` here: each is only ever given back to its own projection. */
export interface Fold<State, Event> {
  readonly aggregate: Aggregate<State, Event>
  readonly projections: ReadonlyArray<Projection<unknown, Event>>
}

export const begin = <State, Event>({ aggregate, projections }: Fold<State, Event>): Standing<State> => ({
  version: 0,
  state: aggregate.initial,
  rows: Object.fromEntries(projections.map(({ name }) => [name, null]))
})

export const follow = <State, Event>(
  { aggregate, projections }: Fold<State, Event>,
  { rows, state, version }: Standing<State>,
  event: Event,
  origin: { readonly stream: string; readonly recordedAt: DateTime.Utc }
): Standing<State> => {
  const at = { ...origin, version: version + 1 }
  return {
    version: at.version,
    state: aggregate.evolve(state, event),
    rows: Object.fromEntries(projections.map(({ apply, name }) => [name, apply(rows[name] ?? null, event, at)]))
  }
}

export const followRecorded = <State, Event>(
  fold: Fold<State, Event>,
  standing: Standing<State>,
  recorded: Recorded
): Standing<State> => follow(fold, standing, History.decode(fold.aggregate, recorded), recorded)

/** The rows that are not what they were. */
export const changedRows = <State, Event>(
  { projections }: Fold<State, Event>,
  stream: string,
  before: Standing<State>,
  after: Standing<State>
): ReadonlyArray<Row> =>
  projections.flatMap(({ key, name }) => {
    const [was, is] = [before.rows[name] ?? null, after.rows[name] ?? null]
    if (is === was) return []
    const data = is === null ? null : History.plain(is)
    return [{ view: name, key: key(stream, is ?? was), data }]
  })

/** What to keep of a stream that has just grown to, or past, a multiple of `every`; null in between. */
export const dueSnapshot = <State, Event>(
  fold: Fold<State, Event>,
  before: Standing<State>,
  { rows, state, version }: Standing<State>
): (() => Snapshot) | null => {
  const { snapshot } = fold.aggregate
  if (snapshot === undefined) return null
  if (Math.floor(before.version / snapshot.every) === Math.floor(version / snapshot.every)) return null
  return () => ({
    version,
    reducer: reducerOf(fold),
    state: {
      state: History.compiled(snapshot.state).encode(state),
      rows: eachRow(fold, rows, ({ encode }, row) => encode(row))
    }
  })
}

/** From the beginning if the snapshot is another fold's, or does not decode any more: the events know better. */
export const resume = <State, Event>(
  fold: Fold<State, Event>,
  { reducer, state: kept, version }: Snapshot
): Standing<State> => {
  const { snapshot } = fold.aggregate
  if (snapshot === undefined || reducer !== reducerOf(fold)) return begin(fold)
  const { rows, state } = kept as { readonly state: unknown; readonly rows: Standing<State>["rows"] }
  const resumed = Result.try(() => ({
    version,
    state: History.compiled(snapshot.state).decode(state),
    rows: eachRow(fold, rows, ({ decode }, row) => decode(row))
  }))
  return Result.getOrElse(resumed, () => begin(fold))
}

const eachRow = <State, Event>(
  { projections }: Fold<State, Event>,
  rows: Standing<State>["rows"],
  change: (codec: History.Compiled<unknown>, row: unknown) => unknown
) =>
  Object.fromEntries(
    projections.map(({ name, row }) => [name, rows[name] === null ? null : change(History.compiled(row), rows[name])])
  )

/** The fold's own text, and its revision for what the text does not show. */
const reducerOf = <State, Event>({ aggregate, projections }: Fold<State, Event>) => {
  const texts = projections.map(({ apply, name }) => `${name} ${apply}`)
  return `${aggregate.snapshot?.revision}:${Hash.string([aggregate.evolve, ...texts].join("\n"))}`
}
