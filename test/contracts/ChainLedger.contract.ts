/** What every ChainLedger owes its callers. Run it once per implementation. */
import { assert } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import { units } from "#domain/Amount.ts"
import { type Address, type ChainId, chains } from "#domain/Chain.ts"
import type { Header } from "#domain/Headers.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import type { Block, Movement } from "#ports/ChainReader.ts"
import { Probe } from "../support/ledgers.ts"

const chain: ChainId = "dev"
const depths = chains.dev.confirmations
const address = (n: number) => `0x${n.toString(16).padStart(40, "0")}` as Address
const shop = address(1)

const header = (number: number, branch = ""): Header => ({
  number,
  hash: `0x${number}${branch}`,
  parentHash: `0x${number - 1}${number - 1 > 100 ? branch : ""}`,
  time: DateTime.makeUnsafe(number * 2_000)
})
const pays = (transaction: string, to: Address, amount = 5n, position = -1): Movement => ({
  transaction,
  position,
  asset: position < 0 ? "eth" : "usdc",
  decimals: position < 0 ? 18 : 6,
  from: address(0xfee),
  to,
  amount: units(amount)
})
const block = (at: Header, ...movements: ReadonlyArray<Movement>): Block => ({ ...at, movements })

/** `check` runs a test with an empty ledger. */
export const chainLedgerContract = (
  check: <A, E>(what: string, test: Effect.Effect<A, E, ChainLedger | Probe>) => void
) => {
  const begun = Effect.gen(function*() {
    const ledger = yield* ChainLedger
    const { published, register } = yield* Probe
    yield* register(shop, "test")
    yield* ledger.begin(chain, { header: header(100), genesis: "0x0", finalized: 36 })
    const commit = (blocks: ReadonlyArray<Block>, finalized = 36, window = 10) =>
      ledger.commit(chain, blocks, { depths, finalized, window })
    /** Tags and transactions, which say what was published in which order. */
    const said = Effect.map(
      published,
      (all) =>
        all.map((one) =>
          "transferId" in one ? `${one._tag} ${one.transferId}${"level" in one ? ` ${one.level}` : ""}` : one._tag
        )
    )
    return { ...ledger, commit, said, published, register }
  })

  check(
    "knows nothing of a chain that was never begun",
    Effect.gen(function*() {
      const ledger = yield* ChainLedger
      assert.isNull(yield* ledger.cursor(chain))
      assert.isNull(yield* ledger.headerAt(chain, 100))
      assert.deepStrictEqual(yield* ledger.heights, [])
      const checked = ledger.checked(chain, "0x100", { depths, finalized: 5 })
      assert.strictEqual((yield* Effect.flip(checked))._tag, "CursorMoved")
      yield* ledger.announce(chain)
    })
  )

  check(
    "begins a chain once",
    Effect.gen(function*() {
      const { begin, cursor, headerAt } = yield* begun
      const start = { ...header(100), finalized: 36, genesis: "0x0", halted: null }
      assert.deepStrictEqual(yield* cursor(chain), start)
      assert.strictEqual((yield* headerAt(chain, 100))?.hash, "0x100")
      const again = yield* Effect.flip(begin(chain, { header: header(200), genesis: "0x1", finalized: 1 }))
      assert.strictEqual(again._tag, "CursorMoved")
      assert.deepStrictEqual(yield* cursor(chain), start)
    })
  )

  check(
    "publishes a transfer to a watched address as it stands in its block",
    Effect.gen(function*() {
      const { commit, published } = yield* begun
      const at = header(101)
      yield* commit([block(at, pays("0xa", shop, 5n), pays("0xb", address(2)), pays("0xc", shop, 7n, 3))])
      const [first, second] = yield* published
      assert.deepStrictEqual(first, {
        _tag: "TransferSeen",
        chain,
        transferId: "dev:0xa:-1",
        asset: "eth",
        decimals: 18,
        to: shop,
        from: address(0xfee),
        amount: units(5n),
        transaction: "0xa",
        block: { number: 101, hash: at.hash, time: at.time }
      })
      assert.strictEqual(second?._tag === "TransferSeen" ? second.transferId : "", "dev:0xc:3")
    })
  )

  check(
    "holds amounts that only a uint256 holds",
    Effect.gen(function*() {
      const { commit, published } = yield* begun
      const most = 2n ** 256n - 1n
      yield* commit([block(header(101), pays("0xa", shop, most))])
      const [seen] = yield* published
      assert.strictEqual(seen?._tag === "TransferSeen" ? seen.amount : 0n, most)
    })
  )

  check(
    "leaves alone an address whose invoice is of the other mode",
    Effect.gen(function*() {
      const { backfill, commit, published, register } = yield* begun
      yield* register(address(2), "live")
      yield* commit([block(header(101), pays("0xa", address(2)))])
      yield* backfill([address(2)])
      assert.deepStrictEqual(yield* published, [])
    })
  )

  check(
    "confirms each level once, as the block gets deeper, and says the surest only",
    Effect.gen(function*() {
      const { commit, said } = yield* begun
      yield* commit([block(header(101), pays("0xa", shop))])
      yield* commit([block(header(102)), block(header(103))])
      yield* commit([block(header(104))], 102)
      yield* commit([block(header(105))], 102)
      assert.deepStrictEqual(yield* said, [
        "TransferSeen dev:0xa:-1",
        "TransferConfirmed dev:0xa:-1 small",
        "TransferConfirmed dev:0xa:-1 default",
        "TransferConfirmed dev:0xa:-1 final"
      ])
    })
  )

  check(
    "confirms without a new block when the finalized height rises, which never falls",
    Effect.gen(function*() {
      const { checked, commit, cursor, said } = yield* begun
      yield* commit([block(header(101), pays("0xa", shop)), block(header(102))])
      yield* checked(chain, "0x102", { depths, finalized: 101 })
      yield* checked(chain, "0x102", { depths, finalized: 50 })
      assert.strictEqual((yield* cursor(chain))?.finalized, 101)
      assert.deepStrictEqual((yield* said).slice(1), [
        "TransferConfirmed dev:0xa:-1 default",
        "TransferConfirmed dev:0xa:-1 final"
      ])
    })
  )

  check(
    "writes nothing when the cursor is not where the caller believes it",
    Effect.gen(function*() {
      const { checked, commit, cursor, headerAt, published, rollBack } = yield* begun
      yield* commit([block(header(101))])
      const paid = block({ ...header(102), parentHash: "0xother" }, pays("0xa", shop))
      const elsewhere = checked(chain, "0xother", { depths, finalized: 101 })
      assert.strictEqual((yield* Effect.flip(elsewhere))._tag, "CursorMoved")
      assert.strictEqual((yield* cursor(chain))?.finalized, 36)
      assert.strictEqual((yield* Effect.flip(commit([paid])))._tag, "CursorMoved")
      assert.strictEqual((yield* Effect.flip(rollBack(chain, "0xother", header(100))))._tag, "CursorMoved")
      assert.strictEqual((yield* cursor(chain))?.hash, "0x101")
      assert.isNull(yield* headerAt(chain, 102))
      assert.deepStrictEqual(yield* published, [])
    })
  )

  check(
    "lets exactly one of many scanners append the next block",
    Effect.gen(function*() {
      const { commit, said } = yield* begun
      const one = (n: number) => commit([block(header(101, `.${n}`), pays("0xa", shop))])
      const outcomes = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => Effect.result(one(n)), {
        concurrency: "unbounded"
      })
      assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Success").length, 1)
      assert.deepStrictEqual((yield* said).filter((what) => what.startsWith("TransferSeen")), [
        "TransferSeen dev:0xa:-1"
      ])
    })
  )

  check(
    "takes back what stood in the blocks that a reorg removed, and says whether it was sure",
    Effect.gen(function*() {
      const { commit, cursor, headerAt, published, rollBack } = yield* begun
      yield* commit([block(header(101), pays("0xa", shop))])
      yield* commit([block(header(102), pays("0xb", shop)), block(header(103))])
      const before = (yield* published).length
      yield* rollBack(chain, "0x103", header(101))
      const [orphaned, reorged, ...more] = (yield* published).slice(before)
      assert.deepStrictEqual(orphaned && { ...orphaned, at: null }, {
        _tag: "TransferOrphaned",
        chain,
        transferId: "dev:0xb:-1",
        to: shop,
        blockHash: "0x102",
        wasConfirmed: true,
        at: null
      } as never)
      assert.deepStrictEqual(reorged && { ...reorged, at: null }, {
        _tag: "ChainReorged",
        chain,
        depth: 2,
        fromHash: "0x103",
        toHash: "0x101",
        at: null
      } as never)
      assert.deepStrictEqual(more, [])
      assert.strictEqual((yield* cursor(chain))?.hash, "0x101")
      assert.isNull(yield* headerAt(chain, 102))
    })
  )

  check(
    "shows a transfer again that stands in another block, and begins to confirm it anew",
    Effect.gen(function*() {
      const { commit, rollBack, said } = yield* begun
      yield* commit([block(header(101), pays("0xa", shop)), block(header(102))])
      yield* rollBack(chain, "0x102", header(100))
      yield* commit([block(header(101, "b")), block(header(102, "b"), pays("0xa", shop))])
      assert.deepStrictEqual(yield* said, [
        "TransferSeen dev:0xa:-1",
        "TransferConfirmed dev:0xa:-1 default",
        "TransferOrphaned dev:0xa:-1",
        "ChainReorged",
        "TransferSeen dev:0xa:-1",
        "TransferConfirmed dev:0xa:-1 small"
      ])
    })
  )

  check(
    "undoes nothing final, although the caller did not know that it is",
    Effect.gen(function*() {
      const { checked, commit, cursor, rollBack, said } = yield* begun
      yield* commit([block(header(101), pays("0xa", shop)), block(header(102))])
      yield* checked(chain, "0x102", { depths, finalized: 101 })
      const before = yield* said
      assert.strictEqual((yield* Effect.flip(rollBack(chain, "0x102", header(100))))._tag, "CursorMoved")
      assert.strictEqual((yield* cursor(chain))?.hash, "0x102")
      assert.deepStrictEqual(yield* said, before)
      yield* rollBack(chain, "0x102", header(101))
    })
  )

  check(
    "shows a transfer again when its very block comes back",
    Effect.gen(function*() {
      const { commit, headerAt, rollBack, said } = yield* begun
      const paid = block(header(101), pays("0xa", shop))
      yield* commit([paid])
      yield* rollBack(chain, "0x101", header(100))
      yield* commit([paid])
      assert.strictEqual((yield* headerAt(chain, 101))?.hash, "0x101")
      assert.deepStrictEqual((yield* said).slice(-2), [
        "TransferSeen dev:0xa:-1",
        "TransferConfirmed dev:0xa:-1 small"
      ])
    })
  )

  check(
    "begins anew at a block before the beginning",
    Effect.gen(function*() {
      const { commit, cursor, headerAt, rollBack } = yield* begun
      yield* rollBack(chain, "0x100", header(99))
      assert.strictEqual((yield* headerAt(chain, 99))?.hash, "0x99")
      yield* commit([block({ ...header(100), hash: "0x100b" })])
      assert.strictEqual((yield* cursor(chain))?.hash, "0x100b")
    })
  )

  check(
    "finds what an address received before it was given out, once",
    Effect.gen(function*() {
      const { backfill, checked, commit, register, said } = yield* begun
      const late = address(9)
      yield* commit([block(header(101), pays("0xa", late, 5n, 0), pays("0xa", late, 6n, 1)), block(header(102))])
      yield* register(late, "test")
      yield* backfill([late])
      yield* backfill([late])
      yield* checked(chain, "0x102", { depths, finalized: 36 })
      assert.deepStrictEqual(yield* said, [
        "TransferSeen dev:0xa:0",
        "TransferSeen dev:0xa:1",
        "TransferConfirmed dev:0xa:0 default",
        "TransferConfirmed dev:0xa:1 default"
      ])
    })
  )

  check(
    "does not find what stood in a block that a reorg removed",
    Effect.gen(function*() {
      const { backfill, commit, register, rollBack, said } = yield* begun
      yield* commit([block(header(101), pays("0xa", address(9)))])
      yield* rollBack(chain, "0x101", header(100))
      yield* register(address(9), "test")
      yield* backfill([address(9)])
      assert.deepStrictEqual(yield* said, ["ChainReorged"])
    })
  )

  check(
    "misses nothing of an address that is given out while its block is written",
    Effect.gen(function*() {
      const { backfill, commit, register, said } = yield* begun
      for (let n = 1; n <= 20; n++) {
        const late = address(100 + n)
        yield* Effect.all([
          commit([block(header(100 + n), pays(`0x${n}`, late))]),
          Effect.andThen(register(late, "test"), backfill([late]))
        ], { concurrency: "unbounded" })
      }
      const seen = (yield* said).filter((what) => what.startsWith("TransferSeen"))
      assert.deepStrictEqual(seen.toSorted(), seen.map((_, i) => `TransferSeen dev:0x${i + 1}:-1`).toSorted())
      assert.strictEqual(seen.length, 20)
    })
  )

  check(
    "forgets what is final and out of the window, and nothing that is not final",
    Effect.gen(function*() {
      const { backfill, commit, headerAt, register, said } = yield* begun
      const late = address(9)
      const blocks = Array.from({ length: 30 }, (_, i) => block(header(101 + i), pays(`0x${i}`, late)))
      for (const one of blocks) yield* commit([one], 36)
      assert.isNotNull(yield* headerAt(chain, 100))
      yield* commit([block(header(131))], 125)
      assert.isNull(yield* headerAt(chain, 120))
      assert.isNotNull(yield* headerAt(chain, 121))
      yield* register(late, "test")
      yield* backfill([late])
      assert.strictEqual((yield* said).length, 10)
    })
  )

  check(
    "stays halted until it is resumed, and says so once",
    Effect.gen(function*() {
      const { commit, cursor, halt, heights, resume, rollBack, said } = yield* begun
      assert.strictEqual((yield* Effect.flip(halt(chain, "0xother", "no reason")))._tag, "CursorMoved")
      yield* halt(chain, "0x100", "a reason")
      assert.strictEqual((yield* Effect.flip(halt(chain, "0x100", "another")))._tag, "CursorMoved")
      assert.strictEqual((yield* cursor(chain))?.halted, "a reason")
      assert.strictEqual((yield* heights)[0]?.halted, "a reason")
      assert.strictEqual((yield* Effect.flip(commit([block(header(101))])))._tag, "CursorMoved")
      assert.strictEqual((yield* Effect.flip(rollBack(chain, "0x100", header(99))))._tag, "CursorMoved")
      yield* resume(chain)
      assert.isNull((yield* cursor(chain))?.halted)
      yield* commit([block(header(101))])
      assert.deepStrictEqual(yield* said, ["ScannerHalted"])
    })
  )

  check(
    "tells how far each chain was read, and when its node was last heard",
    Effect.gen(function*() {
      const { announce, begin, checked, commit, heights, published } = yield* begun
      yield* begin("base", { header: header(7), genesis: "0xb", finalized: 3 })
      yield* commit([block(header(101))], 40)
      yield* TestClock.adjust("3 seconds")
      yield* checked(chain, "0x101", { depths, finalized: 41 })
      const time = header(101).time
      assert.deepStrictEqual((yield* heights).find((height) => height.chain === chain), {
        chain,
        number: 101,
        time,
        finalized: 41,
        checkedAt: yield* DateTime.now,
        halted: null
      })
      assert.strictEqual((yield* heights).length, 2)
      yield* announce(chain)
      assert.deepStrictEqual(yield* published, [
        { _tag: "HeadAdvanced", chain, number: 101, time, finalized: 41 }
      ])
    })
  )
}
