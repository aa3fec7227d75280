/** On a real node and a real database: after random payments, reorgs and roll-backs, what was published is what stands. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { erc20Abi, type Hex, parseEventLogs } from "viem"
import { privateKeyToAccount } from "viem/accounts"
import { type Address, chains } from "#domain/Chain.ts"
import { transferIdOf } from "#domain/Observation.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import * as EvmReader from "#adapters/evm/ChainReader.ts"
import * as Scanner from "#processes/Scanner.ts"
import { type Client, failingContract, furnished, payment } from "../support/anvil.ts"
import { clearPostgres, postgresLedger, Probe } from "../support/ledgers.ts"

const chain = "dev"
const seeds = Number(process.env["SCANNER_SEEDS"] ?? 4)
const steps = 60
const address = (n: number) => `0x${(0xabc0 + n).toString(16).padStart(40, "0")}` as Address & Hex
const early = [1, 2, 3]
const late = [4, 5]
const nobody = 6
/** Each pays once, so that no payment has to wait for another. */
const payers = Array.from(
  { length: steps },
  (_, n) => privateKeyToAccount(`0x${(4096 + n).toString(16).padStart(64, "0")}`)
)

/** mulberry32: the same numbers for the same seed. */
const randomOf = (seed: number) => (below: number) => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}

/** What moved to these addresses above a height, by one plain pass with the library's own decoding. */
const truthAbove = async (client: Client, base: bigint, to: ReadonlySet<string>) => {
  const found: Array<string> = []
  const listed = new Set(chains.dev.tokens.map(({ contract }) => contract as string | null))
  for (let number = base + 1n; number <= await client.getBlockNumber({ cacheTime: 0 }); number++) {
    const block = await client.getBlock({ blockNumber: number, includeTransactions: true })
    for (const transaction of block.transactions) {
      const receipt = await client.getTransactionReceipt({ hash: transaction.hash })
      const standing = (position: number) =>
        found.push(`${transferIdOf(chain, transaction.hash, position)} in ${block.hash}`)
      if (receipt.status === "success" && transaction.value > 0n && to.has(transaction.to ?? "")) standing(-1)
      for (
        const { address, args, logIndex } of parseEventLogs({
          abi: erc20Abi,
          eventName: "Transfer",
          logs: receipt.logs
        })
      ) {
        const ours = listed.has(address.toLowerCase()) && args.value > 0n && to.has(args.to.toLowerCase())
        if (ours) standing(logIndex - (receipt.logs[0]?.logIndex ?? 0))
      }
    }
  }
  return found.toSorted()
}

const play = Effect.fnUntraced(function*(seed: number) {
  const random = randomOf(seed)
  const { backfill, cursor } = yield* ChainLedger
  const { published, register } = yield* Probe
  const { client, contracts, url } = yield* furnished
  const usdc = contracts.usdc as Hex
  const node = (method: string, ...params: ReadonlyArray<unknown>): Effect.Effect<unknown> =>
    Effect.promise(() => client.request({ method: method as never, params: params as never }))

  const [owner] = yield* Effect.promise(() => client.getAddresses())
  if (owner === undefined) return yield* Effect.die("the node has no account")
  yield* Effect.promise(() => client.setCode(failingContract))
  for (const payer of payers) yield* node("anvil_setBalance", payer.address, "0xde0b6b3a7640000")
  const funds = payment(usdc, payers.map((payer) => payer.address))
  yield* Effect.promise(() => client.sendTransaction({ account: owner, gas: 10_000_000n, ...funds }))
  yield* Effect.promise(() => client.setAutomine(false))
  const mine = (blocks: number) => Effect.promise(() => client.mine({ blocks }))
  yield* mine(1)

  const watched = new Set<string>()
  const enter = (n: number) =>
    Effect.gen(function*() {
      watched.add(address(n))
      yield* register(address(n), "test")
      yield* backfill([address(n)])
    })
  const { tick } = yield* Scanner.make(EvmReader.make({ chain, url }))
  for (const n of early) yield* enter(n)
  yield* tick
  const base = yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 }))

  const written = new Map<string, Hex>()
  const pay = (n: number) =>
    Effect.promise(async () => {
      const to = [1, 2, 3, 4, 5, nobody].map(address).filter(() => random(2) === 0).slice(0, random(3) === 0 ? 3 : 1)
      const what = payment(random(2) === 0 ? usdc : null, to, random(6) > 0)
      const payer = payers[n]
      const fees = { maxFeePerGas: 20_000_000_000n, maxPriorityFeePerGas: 1n, gas: 500_000n }
      const raw = await payer?.signTransaction({
        chainId: chains.dev.chainId,
        type: "eip1559",
        nonce: 0,
        ...fees,
        ...what
      })
      if (raw !== undefined) written.set(await client.sendRawTransaction({ serializedTransaction: raw }), raw)
    })
  /** Depths that leave the blocks alone from before the scanner began. */
  const depthUpTo = (most: number) =>
    Effect.promise(async () => Math.min(1 + random(most), Number(await client.getBlockNumber({ cacheTime: 0 }) - base)))
  const reorg = Effect.gen(function*() {
    const depth = yield* depthUpTo(4)
    if (depth === 0) return
    const removed = yield* Effect.promise(async () => {
      const head = await client.getBlockNumber({ cacheTime: 0 })
      const blocks = await Promise.all(
        Array.from({ length: depth }, (_, i) => client.getBlock({ blockNumber: head - BigInt(i) }))
      )
      return blocks.flatMap(({ transactions }) => transactions)
    })
    const again = removed.filter(() => random(4) > 0).flatMap((hash) => {
      const raw = written.get(hash)
      return raw === undefined ? [] : [[raw, random(depth)]]
    })
    yield* node("anvil_reorg", depth, again)
  })
  const rollBack = Effect.flatMap(depthUpTo(3), (depth) => depth === 0 ? Effect.void : node("anvil_rollback", depth))

  for (let step = 0; step < steps; step++) {
    const [much, some, little] = [random(10), random(4), random(3)]
    yield* pay(step)
    if (much < 5) yield* mine(1 + little)
    if (much === 5 || much === 6) yield* reorg
    if (much === 7) yield* rollBack
    if (some < 2) yield* tick
    if (step === 20 || step === 40) yield* enter(late[step / 20 - 1] ?? nobody)
  }

  const head = Effect.promise(() => client.getBlock())
  const tip = (yield* cursor(chain))?.number ?? 0
  yield* mine(Math.max(1, tip - Number((yield* head).number) + 1))
  for (let i = 0; i < 10; i++) yield* tick
  assert.strictEqual((yield* cursor(chain))?.hash, (yield* head).hash)

  const observations = yield* published
  const live = new Map<string, string>()
  for (const one of observations) {
    if (one._tag === "TransferSeen") live.set(one.transferId, one.block.hash)
    if (one._tag === "TransferOrphaned") live.delete(one.transferId)
  }
  const standing = [...live].map(([transferId, hash]) => `${transferId} in ${hash}`).toSorted()
  assert.deepStrictEqual(standing, yield* Effect.promise(() => truthAbove(client, base, watched)))
  assert.isAbove(standing.length, 0)
  assert.include(observations.map(({ _tag }) => _tag), "TransferOrphaned")
})

layer(postgresLedger, { excludeTestServices: true })("a scanner on a real node and a real database", (it) => {
  for (let seed = 1; seed <= seeds; seed++) {
    it.effect(
      `publishes exactly what stands after random reorgs (seed ${seed})`,
      () => Effect.andThen(clearPostgres, Effect.scoped(play(seed))),
      60_000
    )
  }
})
