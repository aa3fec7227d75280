/** What every Views owes its callers. Run it once per implementation. */
import { assert, layer as describeWith } from "@effect/vitest"
import { Clock, DateTime, Effect, type Layer, Schema } from "effect"
import { newId } from "#commands/NewId.ts"
import { fromUuid, uuidV7 } from "#domain/Id.ts"
import { EventStore } from "#ports/EventStore.ts"
import { type Query, type View, Views } from "#ports/Views.ts"

const Row = Schema.Struct({
  id: Schema.String,
  mode: Schema.String,
  status: Schema.String,
  orderId: Schema.NullOr(Schema.String),
  amount: Schema.BigIntFromString,
  attempts: Schema.Int,
  tags: Schema.Array(Schema.Struct({ name: Schema.String, rank: Schema.Int })),
  createdAt: Schema.DateTimeUtcFromString
})
type Row = typeof Row.Type
const view: View<Row> = { name: "invoice_details", row: Row }

const example: Row = {
  id: "",
  mode: "live",
  status: "open",
  orderId: null,
  amount: 12_345_678_901_234_567_890n,
  attempts: 1,
  tags: [],
  createdAt: DateTime.makeUnsafe("2026-03-02T10:00:00Z")
}

/** A tenant's rows, oldest first, and how to list them: by what each overrides of the example. */
const rows = Effect.fnUntraced(function*(...overrides: ReadonlyArray<Partial<Row>>) {
  const store = yield* EventStore
  const views = yield* Views
  const tenant = yield* newId({ prefix: "mer", evergreen: true })
  const now = yield* Clock.currentTimeMillis
  const written = yield* Effect.forEach(overrides, (override, i) =>
    Effect.gen(function*() {
      const id = fromUuid("inv", uuidV7(now + i, crypto.getRandomValues(new Uint8Array(16))))
      const row: Row = { ...example, ...override, id }
      yield* store.append({
        stream: id,
        category: "invoice",
        tenant,
        expected: 0,
        events: [{ type: "Written", schemaVersion: 1, data: {} }],
        at: row.createdAt,
        meta: { command: "Test", actor: "test" },
        rows: [{ view: view.name, key: id, data: Schema.encodeSync(Row)(row) }]
      })
      return row
    }))
  const list = (query: Partial<Query>) =>
    Effect.map(
      views.list(view, { tenant, limit: 100, ...query }),
      (found) => found.map(({ id }) => written.findIndex((row) => row.id === id))
    )
  return { list, tenant, views, written }
})

export const viewsContract = <E>(name: string, layer: Layer.Layer<EventStore | Views, E>) =>
  describeWith(layer, { excludeTestServices: true })(`Views: ${name}`, (it) => {
    it.effect("gets a row by its key, as it was", () =>
      Effect.gen(function*() {
        const { views, written } = yield* rows({ orderId: "A-1", tags: [{ name: "a", rank: 1 }] })
        assert.deepStrictEqual(yield* views.get(view, written[0]!.id), written[0]!)
        assert.isNull(yield* views.get(view, "inv_00000000000000000000000000"))
      }))

    it.effect("lists a tenant's rows from the newest down, and nobody else's", () =>
      Effect.gen(function*() {
        const { list } = yield* rows({}, {}, {})
        const others = yield* rows({})
        assert.deepStrictEqual(yield* list({}), [2, 1, 0])
        assert.deepStrictEqual(yield* list({ tenant: others.tenant }), [-1])
      }))

    it.effect("pages by key", () =>
      Effect.gen(function*() {
        const { list, written } = yield* rows({}, {}, {}, {}, {})
        assert.deepStrictEqual(yield* list({ limit: 2 }), [4, 3])
        assert.deepStrictEqual(yield* list({ limit: 2, before: written[3]!.id }), [2, 1])
        assert.deepStrictEqual(yield* list({ limit: 2, before: written[1]!.id }), [0])
      }))

    it.effect("finds rows by what they contain", () =>
      Effect.gen(function*() {
        const { list } = yield* rows(
          { status: "open", mode: "live", orderId: "A-1" },
          { status: "settled", mode: "live", attempts: 2 },
          { status: "settled", mode: "test", tags: [{ name: "a", rank: 1 }, { name: "b", rank: 2 }] },
          { status: "it's", orderId: "A-1" }
        )
        assert.deepStrictEqual(yield* list({ contains: { status: "settled" } }), [2, 1])
        assert.deepStrictEqual(yield* list({ contains: { status: "settled", mode: "live" } }), [1])
        assert.deepStrictEqual(yield* list({ contains: { orderId: "A-1" } }), [3, 0])
        assert.deepStrictEqual(yield* list({ contains: { orderId: null } }), [2, 1])
        assert.deepStrictEqual(yield* list({ contains: { attempts: 2 } }), [1])
        assert.deepStrictEqual(yield* list({ contains: { status: "it's" } }), [3])
        assert.deepStrictEqual(yield* list({ contains: { tags: [{ name: "b" }] } }), [2])
        assert.deepStrictEqual(yield* list({ contains: { tags: [{ name: "b", rank: 1 }] } }), [])
        assert.deepStrictEqual(yield* list({ contains: { nothing: "x" } }), [])
      }))

    it.effect("finds rows by when they were created: from inclusive, to exclusive", () =>
      Effect.gen(function*() {
        const on = (day: number) => ({ createdAt: DateTime.makeUnsafe(`2026-03-0${day}T00:00:00Z`) })
        const { list } = yield* rows(on(1), on(2), on(3))
        assert.deepStrictEqual(yield* list({ createdFrom: "2026-03-02T00:00:00Z" }), [2, 1])
        assert.deepStrictEqual(yield* list({ createdTo: "2026-03-02T00:00:00Z" }), [0])
        assert.deepStrictEqual(
          yield* list({ createdFrom: "2026-03-02T01:00:00+01:00", createdTo: "2026-03-03T00:00:00Z" }),
          [1]
        )
      }))

    it.effect("finds literal text in some of the fields, whatever its case", () =>
      Effect.gen(function*() {
        const { list } = yield* rows(
          { orderId: "100% cotton" },
          { orderId: "1000 cotton" },
          { orderId: "under_score" },
          { orderId: "underXscore" },
          { orderId: String.raw`back\slash`, status: "COTTON" }
        )
        const find = (text: string, ...fields: ReadonlyArray<string>) => list({ text: { in: fields, find: text } })
        assert.deepStrictEqual(yield* find("100%", "orderId"), [0])
        assert.deepStrictEqual(yield* find("r_s", "orderId"), [2])
        assert.deepStrictEqual(yield* find(String.raw`k\s`, "orderId"), [4])
        assert.deepStrictEqual(yield* find("cotton", "orderId", "status"), [4, 1, 0])
        assert.deepStrictEqual(yield* find("'; drop table read.invoice_details; --", "orderId"), [])
      }))
  })
