import { Layer } from "effect"
import * as PostgresDeliveries from "#adapters/postgres/Deliveries.ts"
import { databaseLayer } from "../support/database.ts"
import { deliveriesContract } from "./Deliveries.contract.ts"

deliveriesContract("postgres", PostgresDeliveries.layer.pipe(Layer.provide(databaseLayer())))
