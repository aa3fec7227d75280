/** What the reader of EVM chains makes of nodes that are away, overloaded, incomplete or contradict themselves. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fc from "fast-check"
import { createServer, type ServerResponse } from "node:http"
import { WrongChain } from "#ports/ChainReader.ts"
import { bloomOf } from "#adapters/evm/Bloom.ts"
import * as EvmReader from "#adapters/evm/ChainReader.ts"

const tokenContract = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
const transferTopic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
const [hash, parentHash, one, two] = ["b", "a", "1", "2"].map((digit) => `0x${digit.repeat(64)}`) as [
  string,
  string,
  string,
  string
]
const [payer, shop] = [`0x${"Ee".repeat(20)}`, `0x${"Cc".repeat(20)}`]
const word = (value: bigint | string) => `0x${BigInt(value).toString(16).padStart(64, "0")}`

const log = (over: object = {}) => ({
  address: tokenContract,
  topics: [transferTopic, word(payer), word(shop)],
  data: word(25_000_000n),
  blockHash: hash,
  transactionHash: one,
  logIndex: "0x7",
  removed: false,
  ...over
})
type Log = ReturnType<typeof log>
const bloom = (logs: ReadonlyArray<Log>) => `0x${bloomOf(logs).toString(16)}`
const receipt = ({ logs = [log()] }: { readonly logs?: ReadonlyArray<Log> } = {}) => ({
  transactionHash: one,
  blockHash: hash,
  status: "0x1",
  logsBloom: bloom(logs),
  logs
})
const transaction = (over: object = {}) => ({ hash: one, from: payer, to: tokenContract, value: "0x0", ...over })
const block = (over: object = {}) => ({
  number: "0x10",
  hash,
  parentHash,
  timestamp: "0x65f31b00",
  transactions: [transaction()],
  ...over
})

type Answer = unknown | ((response: ServerResponse) => void)
const rpcError = (code: number) => (response: ServerResponse) => {
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code, message: "no, and here is your secret-key" } }))
}

/** A node that answers each method as it is told, and keeps what it was asked. */
const nodeThat = Effect.fnUntraced(function*(
  answers: Readonly<Record<string, Answer>>,
  timeout = Duration.seconds(10)
) {
  const asked: Array<{ readonly method: string; readonly params: ReadonlyArray<unknown> }> = []
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (part) => body += part)
    request.on("end", () => {
      const question = JSON.parse(body) as { readonly id: number; readonly method: string; readonly params: [] }
      asked.push(question)
      const answer = answers[question.method]
      if (typeof answer === "function") return answer(response)
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify({ jsonrpc: "2.0", id: question.id, result: answer }))
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const address = server.address()
  const port = typeof address === "object" ? address?.port : 0
  const url = `http://127.0.0.1:${port}/secret-key`
  return { asked, ...EvmReader.make({ chain: "dev", url, timeout, blockTimeout: timeout }) }
})

/** Reads the block from a node that holds it, save for what is overridden. */
const read = (json: unknown, receipts: Answer, more: Readonly<Record<string, Answer>> = {}) =>
  Effect.flatMap(
    nodeThat({ eth_getBlockByHash: json, eth_getBlockReceipts: receipts, ...more }),
    ({ block }) => block(hash)
  )
const movements = (json: unknown, receipts: ReadonlyArray<unknown>) =>
  Effect.map(
    read(json, receipts),
    ({ movements }) => movements.map(({ amount, asset, position }) => [asset, position, amount])
  )
const refuses = (what: string, reason: RegExp, json: unknown, receipts: Answer) =>
  it.live(what, () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(json, receipts))
      assert.strictEqual(error._tag, "ChainInconsistent")
      assert.match(error.reason, reason)
    }))

describe("a block of an EVM chain", () => {
  it.live("is read with the token's transfer, all addresses in lower case", () =>
    Effect.gen(function*() {
      const { movements, ...header } = yield* read(block(), [receipt()])
      assert.deepStrictEqual({ ...header, time: header.time.epochMilliseconds }, {
        number: 16,
        hash,
        parentHash,
        time: 0x65f31b00 * 1000
      })
      const { from, to, ...movement } = movements[0] ?? { from: "", to: "" }
      assert.deepStrictEqual([from, to], [payer.toLowerCase(), shop.toLowerCase()])
      assert.deepStrictEqual<unknown>(movement, {
        transaction: one,
        position: 0,
        asset: "usdc",
        decimals: 6,
        amount: 25_000_000n
      })
    }))

  it.live("counts a log's place in its transaction, not in the block", () =>
    Effect.gen(function*() {
      const elsewhere = log({ address: payer })
      assert.deepStrictEqual(yield* movements(block(), [receipt({ logs: [elsewhere, log(), log()] })]), [
        ["usdc", 1, 25_000_000n],
        ["usdc", 2, 25_000_000n]
      ])
    }))

  it.live("shows coins that were sent with a transaction that succeeded, and those only", () =>
    Effect.gen(function*() {
      const paid = block({ transactions: [transaction({ to: shop, value: "0xde0b6b3a7640000" })] })
      const quiet = { logs: [] }
      assert.deepStrictEqual(yield* movements(paid, [receipt(quiet)]), [["eth", -1, 10n ** 18n]])
      assert.deepStrictEqual(yield* movements(paid, [{ ...receipt(quiet), status: "0x0" }]), [])
      const made = block({ transactions: [transaction({ to: null, value: "0x1" })] })
      assert.deepStrictEqual(yield* movements(made, [receipt(quiet)]), [])
    }))

  it.live("1, 4, 11: shows no token of another contract, no NFT, no zero, and no event that only looks alike", () =>
    Effect.gen(function*() {
      const strangers = [
        log({ address: `0x${"5f".repeat(20)}` }),
        log({ topics: [transferTopic, word(payer), word(shop), word(1n)], data: "0x" }),
        log({ data: word(0n) }),
        log({ topics: [word(1n), word(payer), word(shop)] }),
        log({ data: `${word(1n)}00` })
      ]
      assert.deepStrictEqual(yield* movements(block(), [receipt({ logs: strangers })]), [])
    }))

  it.live("may be empty", () =>
    Effect.gen(function*() {
      const { asked, block: readBlock } = yield* nodeThat({ eth_getBlockByHash: block({ transactions: [] }) })
      assert.deepStrictEqual((yield* readBlock(hash)).movements, [])
      assert.strictEqual(asked.length, 1)
    }))

  it.live("is read receipt by receipt where the node cannot give all at once, and it is not asked twice", () =>
    Effect.gen(function*() {
      const { asked, block: readBlock } = yield* nodeThat({
        eth_getBlockByHash: block(),
        eth_getBlockReceipts: rpcError(-32601),
        eth_getTransactionReceipt: receipt()
      })
      assert.strictEqual((yield* readBlock(hash)).movements.length, 1)
      yield* readBlock(hash)
      assert.strictEqual(asked.filter(({ method }) => method === "eth_getBlockReceipts").length, 1)
    }))

  refuses("is refused when it is another than was asked for", /asked for block/, block({ hash: parentHash }), [
    receipt()
  ])
  refuses("is refused when a receipt is missing", /0 receipts for 1/, block(), [])
  refuses("is refused when a receipt is of another transaction", /no receipt for/, block(), [
    { ...receipt({ logs: [] }), transactionHash: two }
  ])
  refuses(
    "is refused when a transaction is in it twice",
    /the same transaction/,
    block({ transactions: [transaction(), transaction()] }),
    [receipt(), receipt()]
  )
  refuses("is refused when a receipt is of another block", /another block/, block(), [
    { ...receipt(), blockHash: parentHash }
  ])
  refuses("is refused when a log is of another block", /another block/, block(), [
    receipt({ logs: [log({ blockHash: parentHash })] })
  ])
  refuses("is refused when a log was removed", /another block/, block(), [receipt({ logs: [log({ removed: true })] })])
  const [ours, swap] = [log(), log({ address: payer, topics: [word(7n)], data: "0x" })]
  refuses("27: is refused when its logs are missing", /logs .* are missing/, block(), [
    { ...receipt(), logs: [] }
  ])
  refuses("27: is refused when one of its logs is missing, be it another's", /logs .* are missing/, block(), [
    { ...receipt({ logs: [swap, ours] }), logs: [ours] }
  ])
  refuses("27: is refused when the transfer is missing among its logs", /logs .* are missing/, block(), [
    { ...receipt({ logs: [swap, ours] }), logs: [swap] }
  ])
  refuses("is refused when a transfer was put into its logs", /not in its bloom/, block(), [
    { ...receipt({ logs: [swap] }), logs: [swap, ours] }
  ])

  it.live("may be of a chain that has no blooms, or leaves its system's logs out of them", () =>
    Effect.gen(function*() {
      for (const logsBloom of ["0x0", null, bloom([ours])]) {
        assert.strictEqual((yield* movements(block(), [{ ...receipt({ logs: [ours, swap] }), logsBloom }])).length, 1)
      }
    }))

  for (
    const [what, answer] of [
      ["is unknown", null],
      ["comes as a web page", (response: ServerResponse) => response.end("<html>secret-key</html>")],
      ["comes as a web page with an error", (response: ServerResponse) => {
        response.statusCode = 502
        response.end("<html>secret-key</html>")
      }],
      ["is refused for asking too often", (response: ServerResponse) => {
        response.statusCode = 429
        response.end(`{"error":{"code":-32005,"message":"secret-key"}}`)
      }],
      ["breaks off", (response: ServerResponse) => response.end(`{"result":{"number":`)],
      ["is of another shape", { number: 16 }],
      ["is an error", rpcError(-32000)]
    ] as ReadonlyArray<readonly [string, Answer]>
  ) {
    it.live(`cannot be read when it ${what}, and the reason holds no secret`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(read(answer, [receipt()]))
        assert.strictEqual(error._tag, "ChainUnreachable")
        assert.notInclude(error.reason, "secret-key")
      }))
  }

  it.live("cannot be read when it does not come in time", () =>
    Effect.gen(function*() {
      const silent = () => {}
      const { block: readBlock } = yield* nodeThat({ eth_getBlockByHash: silent }, Duration.millis(100))
      const error = yield* Effect.flip(readBlock(hash))
      assert.strictEqual(error._tag, "ChainUnreachable")
      assert.include(error.reason, "no answer within")
    }))

  it.live("cannot be read when the receipts are not there (yet)", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(read(block(), null)))._tag, "ChainUnreachable")
    }))

  it.live("cannot be read when it is larger than any block", () =>
    Effect.gen(function*() {
      const endless = (response: ServerResponse) => {
        const part = "x".repeat(1 << 20)
        const more = () => {
          while (!response.destroyed && response.write(part));
          if (!response.destroyed) response.once("drain", more)
        }
        more()
      }
      const { block: readBlock } = yield* nodeThat({ eth_getBlockByHash: endless })
      const error = yield* Effect.flip(readBlock(hash))
      assert.strictEqual(error._tag, "ChainUnreachable")
      assert.include(error.reason, "TooLarge")
    }))
})

describe("a node of an EVM chain", () => {
  it.live("is refused when it serves another chain", () =>
    Effect.gen(function*() {
      const { verify } = yield* nodeThat({ eth_chainId: "0x1" })
      const error = yield* Effect.flip(verify)
      assert.deepStrictEqual(error, new WrongChain({ chain: "dev", expected: 31337, actual: 1 }))
    }))

  it.live("may not answer with another height than was asked for", () =>
    Effect.gen(function*() {
      const { headerAt } = yield* nodeThat({ eth_getBlockByNumber: block() })
      assert.strictEqual((yield* headerAt(16))?.hash, hash)
      assert.strictEqual((yield* Effect.flip(headerAt(17)))._tag, "ChainInconsistent")
    }))

  it.live("may have no notion of what is final", () =>
    Effect.gen(function*() {
      for (const answer of [null, rpcError(-32602), rpcError(-39001)]) {
        const { finalized } = yield* nodeThat({ eth_getBlockByNumber: answer })
        assert.isNull(yield* finalized)
      }
      const { finalized } = yield* nodeThat({ eth_getBlockByNumber: block() })
      assert.strictEqual((yield* finalized)?.number, 16)
    }))

  it.live("must have a latest block", () =>
    Effect.gen(function*() {
      const { head } = yield* nodeThat({ eth_getBlockByNumber: null })
      assert.strictEqual((yield* Effect.flip(head))._tag, "ChainUnreachable")
    }))

  it.live("may be away", () =>
    Effect.gen(function*() {
      const { head } = EvmReader.make({ chain: "dev", url: "http://127.0.0.1:1/secret-key" })
      const error = yield* Effect.flip(head)
      assert.strictEqual(error._tag, "ChainUnreachable")
      assert.notInclude(error.reason, "secret-key")
    }))

  it.live(
    "31: may say anything at all: it is read as it stands or refused, and never breaks the reader",
    () =>
      Effect.gen(function*() {
        const said: { head: unknown; block: unknown; receipts: unknown; chain: unknown } = {
          head: null,
          block: null,
          receipts: null,
          chain: null
        }
        const say = (what: keyof typeof said) => (response: ServerResponse) => {
          response.setHeader("content-type", "application/json")
          response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result: said[what] }))
        }
        const reader = yield* nodeThat({
          eth_getBlockByNumber: say("head"),
          eth_getBlockByHash: say("block"),
          eth_getBlockReceipts: say("receipts"),
          eth_chainId: say("chain")
        })
        const run = Effect.runPromiseWith(yield* Effect.context<never>())
        const shape = { block: block({ transactions: [transaction({ value: "0x1" })] }), receipts: [receipt()] }
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(fc.nat(), strangeValue, async (at, strange) => {
              const { block, receipts } = withStrange(shape, at, strange)
              Object.assign(said, { head: block, block, receipts, chain: strange })
              await run(
                Effect.gen(function*() {
                  const read = yield* Effect.result(reader.block(hash))
                  yield* Effect.result(reader.head)
                  yield* Effect.result(reader.verify)
                  if (read._tag === "Failure") return
                  for (const { from, to, transaction, amount } of read.success.movements) {
                    assert.match(from + to, /^(0x[0-9a-f]{40}){2}$/)
                    assert.match(transaction, /^0x[0-9a-f]{64}$/)
                    assert.isTrue(amount > 0n && amount < 2n ** 256n)
                  }
                })
              )
            }),
            { numRuns: 500 }
          )
        )
      }),
    60_000
  )
})

/** Every value in the JSON in turn, leaves and branches, becomes another. */
const withStrange = <A>(shape: A, at: number, strange: unknown): A => {
  const copy = structuredClone(shape)
  const places: Array<[Record<string, unknown>, string]> = []
  const walk = (value: unknown) => {
    if (typeof value !== "object" || value === null) return
    for (const key of Object.keys(value)) {
      places.push([value as Record<string, unknown>, key])
      walk((value as Record<string, unknown>)[key])
    }
  }
  walk(copy)
  const [parent, key] = places[2 + at % (places.length - 2)] ?? [{}, ""]
  parent[key] = strange
  return copy
}
const strangeValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    "",
    "0x",
    "0x0",
    "0xg",
    "0x1",
    "latest",
    0,
    1,
    -1,
    1e300,
    true,
    [],
    {},
    "0x7fffffff",
    "0xffffffff"
  ),
  fc.nat(2_000).map((digits) => `0x${"f".repeat(digits)}`),
  fc.constantFrom(40, 64, 512).map((digits) => `0x${"f".repeat(digits)}`),
  fc.string(),
  fc.jsonValue({ maxDepth: 3 })
)
