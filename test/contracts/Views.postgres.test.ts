import { Layer } from "effect"
import * as PostgresEventStore from "#adapters/postgres/EventStore.ts"
import * as PostgresViews from "#adapters/postgres/Views.ts"
import { databaseLayer } from "../support/database.ts"
import { viewsContract } from "./Views.contract.ts"

viewsContract(
  "postgres",
  Layer.merge(PostgresEventStore.layer, PostgresViews.layer).pipe(Layer.provide(databaseLayer()))
)
