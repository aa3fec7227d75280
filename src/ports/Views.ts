/** The strong read models: rows that are written together with the events they show. */
import { Context, type Effect } from "effect"
import type { Projection } from "#domain/Projection.ts"
import type { StoreUnavailable } from "./EventStore.ts"

/** Any projection's reading half. */
export type View<Row> = Pick<Projection<Row, never>, "name" | "row">

export interface Query {
  readonly tenant: string
  /** Fields of the row's JSON that must equal these; nested and array values mean «contains» (`@>` of jsonb). */
  readonly contains?: Record<string, unknown>
  /** RFC 3339; on the row's `createdAt`, from inclusive, to exclusive. */
  readonly createdFrom?: string
  readonly createdTo?: string
  /** Literal text to be found in one of these fields; no character has a special meaning. */
  readonly text?: { readonly in: ReadonlyArray<string>; readonly find: string }
  /** Only rows with a key below this one: the list runs from the newest down. */
  readonly before?: string
  readonly limit: number
}

/** What every implementation owes is in `test/contracts/Views.contract.ts`. */
export class Views extends Context.Service<Views, {
  readonly get: <Row>(view: View<Row>, key: string) => Effect.Effect<Row | null, StoreUnavailable>
  /** Newest first. A row another tenant owns is never in it. */
  readonly list: <Row>(view: View<Row>, query: Query) => Effect.Effect<ReadonlyArray<Row>, StoreUnavailable>
}>()("checkout/ports/Views") {}
