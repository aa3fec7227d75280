import * as MemoryDeliveries from "#adapters/memory/Deliveries.ts"
import { deliveriesContract } from "./Deliveries.contract.ts"

deliveriesContract("memory", MemoryDeliveries.layer)
