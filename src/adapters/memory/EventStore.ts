/** Streams, receipts and rows in memory. It passes the same contracts as the one in Postgres, so tests may believe it. */
import { Context, Effect, Layer } from "effect"
import { fromUuid } from "#domain/Id.ts"
import {
  AlreadyReceived,
  type Append,
  EventStore,
  NotUnique,
  type Recorded,
  type Snapshot,
  type Stored,
  StreamMoved
} from "#ports/EventStore.ts"

export interface StoredRow {
  readonly tenant: string
  readonly stream: string
  readonly data: unknown
}

/** What the memory adapters share: layers built together see one memory. */
export class Memory extends Context.Service<Memory>()("checkout/adapters/memory/Memory", {
  make: Effect.sync(() => ({
    streams: new Map<
      string,
      { readonly tenant: string; readonly category: string; readonly events: Array<Recorded> }
    >(),
    receipts: new Map<string, Stored>(),
    rows: new Map<string, Map<string, StoredRow>>(),
    snapshots: new Map<string, Snapshot>(),
    /** Every event in the order in which it was written. */
    log: [] as Array<Recorded>
  }))
}) {
  static readonly layer = Layer.effect(this, this.make)
}

/** What a row must not share with another row of its view, besides the key. */
const alsoUnique: Readonly<Record<string, (data: never) => string>> = {
  address_book: ({ index, wallet }: { readonly wallet: string; readonly index: number }) => `${wallet}/${index}`
}

const make = Effect.gen(function*() {
  const { log, receipts, rows, snapshots, streams } = yield* Memory

  const receiptKey = (tenant: string, key: string) => `${tenant} ${key}`
  const tableOf = (view: string) => {
    const table = rows.get(view) ?? new Map<string, StoredRow>()
    rows.set(view, table)
    return table
  }
  const streamOf = (stream: string, tenant: string) => {
    const known = streams.get(stream)
    return known?.tenant === tenant ? known : undefined
  }

  const clash = ({ rows, stream }: Append) => {
    for (const { data, key, view } of rows) {
      if (data === null) continue
      const owner = tableOf(view).get(key)
      if (owner !== undefined && owner.stream !== stream) return `${view}_pkey`
      const other = alsoUnique[view]
      if (other === undefined) continue
      for (const [known, row] of tableOf(view)) {
        if (known !== key && row.data !== null && other(row.data as never) === other(data as never)) {
          return `${view}_deposit`
        }
      }
    }
    return null
  }

  const append = (append: Append) =>
    Effect.suspend((): Effect.Effect<number, StreamMoved | AlreadyReceived | NotUnique> => {
      const { at, category, events, expected, meta, receipt, stream, tenant } = append
      if (receipt !== undefined && receipts.has(receiptKey(tenant, receipt.key))) {
        return Effect.fail(new AlreadyReceived({ key: receipt.key }))
      }
      const known = streams.get(stream)
      const fits = known === undefined
        ? expected === 0
        : known.tenant === tenant && known.category === category && known.events.length === expected
      if (!fits) return Effect.fail(new StreamMoved({ stream }))
      const constraint = clash(append)
      if (constraint !== null) return Effect.fail(new NotUnique({ constraint }))

      const version = expected + events.length
      const recorded = events.map((event, i): Recorded => ({
        ...(structuredClone(event)),
        eventId: fromUuid("evt", crypto.randomUUID()),
        stream,
        category,
        tenant,
        version: expected + i + 1,
        recordedAt: at,
        meta
      }))
      if (known !== undefined) known.events.push(...recorded)
      else if (recorded.length > 0) streams.set(stream, { tenant, category, events: recorded })
      log.push(...recorded)
      if (receipt !== undefined) {
        receipts.set(receiptKey(tenant, receipt.key), { hash: receipt.hash, stream, version })
      }
      for (const { data, key, view } of append.rows) {
        const table = tableOf(view)
        if (data !== null) table.set(key, { tenant, stream, data: structuredClone(data) })
        else if (table.get(key)?.stream === stream) table.delete(key)
      }
      return Effect.succeed(version)
    })

  return EventStore.of({
    append,
    read: (stream, tenant, after = 0) => Effect.sync(() => streamOf(stream, tenant)?.events.slice(after) ?? []),
    receipt: (tenant, key) => Effect.sync(() => receipts.get(receiptKey(tenant, key)) ?? null),
    snapshot: (stream, tenant) =>
      Effect.sync(() => streamOf(stream, tenant) === undefined ? null : snapshots.get(stream) ?? null),
    keepSnapshot: (stream, snapshot) =>
      Effect.sync(() => {
        const known = snapshots.get(stream)
        const outdated = known === undefined || known.version < snapshot.version || known.reducer !== snapshot.reducer
        if (outdated) snapshots.set(stream, structuredClone(snapshot))
      })
  })
})

export const layer = Layer.effect(EventStore, make).pipe(Layer.provide(Memory.layer))
