import { postgresLedger } from "../support/ledgers.ts"
import { chainLedgerContract } from "./ChainLedger.contract.ts"

chainLedgerContract("postgres", postgresLedger)
