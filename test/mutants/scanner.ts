/**
 * What the scanner and its ledger decide, each decision spoilt once. The random histories have to notice every one of
 * them; the ledger's contract, where it takes two scanners and an unlikely moment.
 */

export interface Mutant {
  /** The decision that is missing or wrong. */
  readonly name: string
  /** Texts that occur once in a file of `src`, and what they become. */
  readonly edits: ReadonlyArray<{ readonly file: string; readonly text: string; readonly becomes: string }>
  /** Which ledger they are played on. */
  readonly ledger: "memory" | "postgres"
  readonly scanners?: number
  readonly noticedBy?: "contract"
}

const edit = (file: string, text: string, becomes: string) => ({ file, text, becomes })
const scanner = "processes/Scanner.ts"
const headers = "domain/Headers.ts"
const blockJson = "adapters/evm/BlockJson.ts"
const inMemory = "adapters/memory/ChainLedger.ts"
const inPostgres = "adapters/postgres/ChainLedger.ts"

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "no parent check",
    ledger: "memory",
    edits: [edit(headers, "blocks.findIndex((block, i) => block.parentHash !== (blocks[i - 1] ?? tip).hash)", "-1")]
  },
  {
    name: "logs of the same height from another node",
    ledger: "memory",
    edits: [edit(blockJson, "strangerIn(receipt, header.hash) ?? ", "")]
  },
  {
    name: "no completeness check: receipts",
    ledger: "memory",
    edits: [
      edit(blockJson, "if (receipts.length !== block.transactions.length) {", "if (false) {"),
      edit(
        blockJson,
        "if (receipt === undefined) return Result.fail(`no receipt for ${transaction}`)",
        "if (receipt === undefined) continue"
      )
    ]
  },
  {
    name: "no completeness check: logs",
    ledger: "memory",
    edits: [edit(blockJson, " ?? bloomFault(receipt, contracts)", "")]
  },
  {
    name: "native coin without the transaction's status",
    ledger: "memory",
    edits: [edit(blockJson, ` && receipt.status === "0x1"`, "")]
  },
  {
    name: "same or lower head ignored",
    ledger: "memory",
    edits: [edit(headers, `return ours === null || ours.hash === head.hash ? "behind" : "fork"`, `return "same"`)]
  },
  {
    name: "a node that fell behind never believed",
    ledger: "memory",
    edits: [edit(scanner, "if (now - behind.since < Math.max(2 * blockTime, leastPatience)) return", "return")]
  },
  {
    name: "walk back only from our own tip",
    ledger: "memory",
    edits: [edit(scanner, "Math.min(head.number, cursor.number)", "cursor.number")]
  },
  {
    name: "walk back without asking who the node is",
    ledger: "memory",
    edits: [edit(scanner, `if (yield* isStranger(cursor)) return "halted"\n    for`, "for")]
  },
  {
    name: "a node left behind halts the chain",
    ledger: "memory",
    scanners: 2,
    edits: [edit(scanner, "if (head.number <= cursor.number) {", "if (false) {")]
  },
  {
    name: "block 0 not compared",
    ledger: "memory",
    edits: [edit(scanner, "if (hash === cursor.genesis) return false", "return false")]
  },
  {
    name: "window not checked at start",
    ledger: "memory",
    edits: [
      edit(
        scanner,
        "const cursor: Cursor = (yield* ledger.cursor(chain)) ?? (yield* begin)",
        `const stored: Cursor = (yield* ledger.cursor(chain)) ?? (yield* begin)
    const cursor: Cursor = trusted ? stored : { ...stored, ...(yield* reader.headerAt(stored.number)) }`
      ),
      edit(inMemory, "ledger.cursor.hash !== hash || ", "")
    ]
  },
  {
    name: "the node's word for what is final taken for any branch",
    ledger: "memory",
    edits: [edit(scanner, "word !== null && ours?.hash === word.hash ? word.number : null", "word?.number ?? null")]
  },
  {
    name: "finality falls",
    ledger: "memory",
    edits: [
      edit(headers, "Math.max(known, tag ?? 0, head - finalDepth)", "Math.max(tag ?? 0, head - finalDepth)"),
      edit(inMemory, "Math.max(finalized, ledger.cursor.finalized)", "finalized")
    ]
  },
  {
    name: "confirmed one block too early",
    ledger: "memory",
    edits: [edit(headers, "tip - usual + 1", "tip - usual + 2")]
  },
  {
    name: "no back-fill",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "where m.recipient = any(${[...addresses]}::text[])",
        "where false and m.recipient = any(${[...addresses]}::text[])"
      )
    ]
  },
  {
    name: "back-fill from blocks that were removed",
    ledger: "postgres",
    edits: [edit(inPostgres, "b.hash = m.block_hash and not b.orphaned", "b.hash = m.block_hash")]
  },
  {
    name: "one transfer for each transaction and block",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "select here.chain, here.transaction,",
        "select distinct on (here.transaction, here.block_hash) here.chain, here.transaction,"
      )
    ]
  },
  {
    name: "cursor before data",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "transaction(commit(chain, blocks, rules))",
        "commit(chain, blocks, rules).pipe(Effect.provideService(PgClient.PgClient, sql), unavailable)"
      )
    ]
  },
  {
    name: "a transfer of a block that returns with the same hash is known already",
    ledger: "postgres",
    edits: [edit(inPostgres, "where known.orphaned or known.block_hash", "where known.block_hash")]
  },
  {
    name: "a block that returns with the same hash stays removed",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "on conflict (chain, hash) do update set orphaned = false",
        "on conflict (chain, hash) do nothing"
      )
    ]
  },
  {
    name: "the window is shorter than what is not final",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "least(finalized, number - ${window}::int) as floor",
        "least(number, ${window}::int + number) as floor"
      )
    ]
  },
  {
    name: "a commit goes by the chain and not by the hash",
    ledger: "postgres",
    scanners: 2,
    edits: [
      edit(
        inPostgres,
        "and hash = ${first.parentHash} and halted",
        "and ${first.parentHash}::text is not null and halted"
      )
    ]
  },
  {
    name: "a roll-back goes by the chain and not by the hash",
    ledger: "postgres",
    scanners: 2,
    edits: [edit(inPostgres, "and hash = ${from} and finalized", "and ${from}::text is not null and finalized")]
  },
  {
    name: "a check goes by the chain and not by the hash",
    noticedBy: "contract",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "and hash = ${at} and halted is null\n          returning *",
        "and ${at}::text is not null and halted is null\n          returning *"
      )
    ]
  },
  {
    name: "a halt goes by the chain and not by the hash",
    noticedBy: "contract",
    ledger: "postgres",
    edits: [
      edit(
        inPostgres,
        "and hash = ${at} and halted is null\n          returning chain",
        "and ${at}::text is not null and halted is null\n          returning chain"
      )
    ]
  },
  {
    name: "a roll-back below what became final meanwhile",
    noticedBy: "contract",
    ledger: "postgres",
    edits: [edit(inPostgres, "and finalized <= ${to.number} ", "")]
  }
]
