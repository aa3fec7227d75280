import * as MemoryAddressPool from "#adapters/memory/AddressPool.ts"
import { addressPoolContract } from "./AddressPool.contract.ts"

addressPoolContract("memory", MemoryAddressPool.layer)
