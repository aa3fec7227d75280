import { memoryLedger } from "../support/ledgers.ts"
import { chainLedgerContract } from "./ChainLedger.contract.ts"

chainLedgerContract("memory", memoryLedger)
