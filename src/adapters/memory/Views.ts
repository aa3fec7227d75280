/** The strong read models in memory, as the memory's EventStore writes them. */
import { DateTime, Effect, Layer, Schema } from "effect"
import { type Query, type View, Views } from "#ports/Views.ts"
import { Memory, type StoredRow } from "./EventStore.ts"

const make = Effect.gen(function*() {
  const { rows } = yield* Memory

  return Views.of({
    get: (view, key) =>
      Effect.sync(() => {
        const row = rows.get(view.name)?.get(key)
        return row === undefined ? null : decode(view, row)
      }),
    list: (view, query) =>
      Effect.sync(() =>
        [...rows.get(view.name) ?? []]
          .filter(([key, row]) => matches(query, key, row))
          .toSorted(([a], [b]) => a < b ? 1 : -1)
          .slice(0, query.limit)
          .map(([, row]) => decode(view, row))
      )
  })
})

export const layer = Layer.effect(Views, make).pipe(Layer.provide(Memory.layer))

const decode = <Row>({ row }: View<Row>, { data }: StoredRow): Row => Schema.decodeUnknownSync(row)(data)

const matches = (
  { before, contains = {}, createdFrom, createdTo, tenant, text }: Query,
  key: string,
  { data, tenant: owner }: StoredRow
) => {
  const fields = data as Record<string, unknown>
  const createdAt = () => epoch(fields["createdAt"])
  return owner === tenant &&
    (before === undefined || key < before) &&
    (createdFrom === undefined || createdAt() >= epoch(createdFrom)) &&
    (createdTo === undefined || createdAt() < epoch(createdTo)) &&
    contained(contains, fields) &&
    (text === undefined || text.in.some((field) => includes(fields[field], text.find)))
}

const epoch = (value: unknown) => DateTime.toEpochMillis(DateTime.makeUnsafe(String(value)))

const includes = (value: unknown, find: string) =>
  typeof value === "string" && value.toLowerCase().includes(find.toLowerCase())

/** `@>` of jsonb: objects hold at least these fields, arrays at least these elements. */
const contained = (part: unknown, whole: unknown): boolean => {
  if (Array.isArray(part)) {
    return Array.isArray(whole) && part.every((each) => whole.some((element) => contained(each, element)))
  }
  if (typeof part !== "object" || part === null) return part === whole
  if (typeof whole !== "object" || whole === null || Array.isArray(whole)) return false
  const fields = whole as Record<string, unknown>
  return Object.entries(part).every(([name, value]) => name in fields && contained(value, fields[name]))
}
