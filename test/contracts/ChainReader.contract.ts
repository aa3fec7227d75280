/** What every ChainReader owes the scanner. Run it once per implementation. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, type Layer } from "effect"
import type { Address } from "#domain/Chain.ts"
import type { ChainReaderShape } from "#ports/ChainReader.ts"

/** A chain that does as it is told, with its reader. */
export class Told extends Context.Service<Told, {
  readonly reader: ChainReaderShape
  /** Sends the coin or the token to each in one transaction, which goes into the next block. */
  readonly pay: (what: "coin" | "token", to: ReadonlyArray<Address>, succeeds?: boolean) => Effect.Effect<void>
  readonly mine: Effect.Effect<void>
  /** The last block is replaced by two others, without its transactions. */
  readonly reorg: Effect.Effect<void>
}>()("checkout/test/Told") {}

const address = (n: number) => `0x${(0xabc0 + n).toString(16).padStart(40, "0")}` as Address

export const chainReaderContract = <E>(name: string, fresh: Layer.Layer<Told, E>) => {
  const check = <A, F>(what: string, test: Effect.Effect<A, F, Told>) =>
    it.live(what, () => test.pipe(Effect.provide(fresh)))

  describe(`ChainReader: ${name}`, () => {
    check(
      "finds itself on the right chain",
      Effect.flatMap(Told, ({ reader }) => reader.verify)
    )

    check(
      "has headers that follow each other, from block 0 up to the head",
      Effect.gen(function*() {
        const { mine, reader } = yield* Told
        yield* mine
        yield* mine
        const head = yield* reader.head
        assert.deepStrictEqual(yield* reader.headerAt(head.number), head)
        const before = yield* reader.headerAt(head.number - 1)
        assert.strictEqual(head.parentHash, before?.hash)
        assert.isAtLeast(head.time.epochMilliseconds, before?.time.epochMilliseconds ?? Infinity)
        assert.strictEqual((yield* reader.headerAt(0))?.number, 0)
      })
    )

    check(
      "has no header above the head",
      Effect.gen(function*() {
        const { reader } = yield* Told
        const head = yield* reader.head
        assert.isNull(yield* reader.headerAt(head.number + 1))
      })
    )

    check(
      "shows what moved in a block, each log by its place in its transaction",
      Effect.gen(function*() {
        const { mine, pay, reader } = yield* Told
        yield* pay("coin", [address(1)])
        yield* pay("token", [address(2), address(3)])
        yield* mine
        const head = yield* reader.head
        const { movements, ...header } = yield* reader.block(head.hash)
        assert.deepStrictEqual(header, head)
        assert.deepStrictEqual(
          movements.map(({ asset, decimals, position, to }) => ({ asset, decimals, position, to })).toSorted((a, b) =>
            a.position - b.position
          ),
          [
            { asset: "eth", decimals: 18, position: -1, to: address(1) },
            { asset: "usdc", decimals: 6, position: 0, to: address(2) },
            { asset: "usdc", decimals: 6, position: 1, to: address(3) }
          ]
        )
        assert.strictEqual(new Set(movements.map(({ transaction }) => transaction)).size, 2)
        assert.isTrue(movements.every(({ amount, from }) => amount > 0n && /^0x[0-9a-f]{40}$/.test(from)))
      })
    )

    check(
      "shows nothing of a transaction that failed",
      Effect.gen(function*() {
        const { mine, pay, reader } = yield* Told
        yield* pay("coin", [address(1)], false)
        yield* pay("token", [address(1)], false)
        yield* mine
        const { movements } = yield* reader.block((yield* reader.head).hash)
        assert.deepStrictEqual(movements, [])
      })
    )

    check(
      "does not know a block that never was",
      Effect.gen(function*() {
        const { reader } = yield* Told
        const error = yield* Effect.flip(reader.block(`0x${"1".repeat(64)}`))
        assert.strictEqual(error._tag, "ChainUnreachable")
      })
    )

    check(
      "shows the branch on which the node stands now",
      Effect.gen(function*() {
        const { mine, pay, reader, reorg } = yield* Told
        yield* mine
        const shared = yield* reader.head
        yield* pay("coin", [address(1)])
        yield* mine
        const left = yield* reader.head
        yield* reorg
        const head = yield* reader.head
        assert.strictEqual(head.number, left.number + 1)
        const now = yield* reader.headerAt(left.number)
        assert.notStrictEqual(now?.hash, left.hash)
        assert.strictEqual(now?.parentHash, shared.hash)
        assert.deepStrictEqual((yield* reader.block(now?.hash ?? "")).movements, [])
      })
    )

    check(
      "calls nothing final that is above its head",
      Effect.gen(function*() {
        const { reader } = yield* Told
        const final = yield* reader.finalized
        if (final === null) return
        assert.isAtMost(final.number, (yield* reader.head).number)
        assert.deepStrictEqual(yield* reader.headerAt(final.number), final)
      })
    )
  })
}
