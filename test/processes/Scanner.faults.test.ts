/** A real node whose answers are spoilt on the way: nothing wrong is ever believed, and all is found once it ends. */
import { assert, layer } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import type { ServerResponse } from "node:http"
import { type Hex, numberToHex } from "viem"
import type { Address } from "#domain/Chain.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import * as Anvil from "#adapters/embedded/Anvil.ts"
import * as EvmReader from "#adapters/evm/ChainReader.ts"
import * as Scanner from "#processes/Scanner.ts"
import { clientOf, furnished, payment, temporaryFolder } from "../support/anvil.ts"
import { type Fault, faultProxy, say } from "../support/faultProxy.ts"
import { memoryLedger, Probe } from "../support/ledgers.ts"

const chain = "dev"
const shop = `0x${"c0ffee".padStart(40, "0")}` as Address & Hex
const other = `0x${"dec0de".padStart(40, "0")}` as Address & Hex
const timeout = Duration.millis(500)

class Node extends Context.Service<Node, Effect.Success<typeof node>>()("checkout/test/Node") {}
const node = Effect.gen(function*() {
  const { client, contracts, url } = yield* furnished
  const [account] = yield* Effect.promise(() => client.getAddresses())
  if (account === undefined) return yield* Effect.die("the node has no account")
  yield* Effect.promise(() => client.setAutomine(false))
  const proxy = yield* faultProxy(url)
  const send = (token: Hex | null, to: ReadonlyArray<Hex>) =>
    Effect.promise(() => client.sendTransaction({ account, gas: 500_000n, ...payment(token, to) }))
  const mine = (blocks = 1) => Effect.promise(() => client.mine({ blocks }))
  return {
    ...proxy,
    client,
    mine,
    /** Two payments to the shop, in a block of their own: a coin, and a token together with somebody else's. */
    pay: Effect.gen(function*() {
      const coin = yield* send(null, [shop])
      const token = yield* send(contracts.usdc as Hex, [other, shop])
      yield* mine()
      return [`dev:${coin}:-1`, `dev:${token}:1`].toSorted()
    }),
    call: (method: string, ...params: ReadonlyArray<unknown>): Promise<unknown> =>
      client.request({ method: method as never, params: params as never })
  }
})

/** A scanner that has begun at the node's head, and watches the shop. */
const begun = Effect.gen(function*() {
  const { client, spoil, url } = yield* Node
  spoil(null)
  const ledger = yield* ChainLedger
  const { published, register } = yield* Probe
  yield* register(shop, "test")
  const launch = Scanner.make(EvmReader.make({ chain, url, timeout, blockTimeout: timeout }))
  const { tick } = yield* launch
  yield* tick
  const standing = Effect.map(published, (all) => {
    const live = new Set<string>()
    for (const one of all) {
      if (one._tag === "TransferSeen") live.add(one.transferId)
      if (one._tag === "TransferOrphaned") live.delete(one.transferId)
    }
    return [...live].toSorted()
  })
  const atHead = Effect.gen(function*() {
    const head = yield* Effect.promise(() => client.getBlock())
    return (yield* ledger.cursor(chain))?.hash === head.hash
  })
  /** As `run` does, but at once. */
  const converge = Effect.gen(function*() {
    for (let looks = 0; !(yield* atHead); looks++) {
      assert.isBelow(looks, 10, "it does not converge")
      yield* Effect.result(tick)
    }
  })
  return { ...ledger, tick, launch, published, standing, converge }
})

const only = (method: string, fault: Fault): Fault => async (response, question, node) =>
  question.method === method ? fault(response, question, node) : say(response, question, await node())
/** Another answer in place of the node's. */
const changed = <A>(method: string, how: (answer: A) => unknown): Fault =>
  only(method, async (response, question, node) => say(response, question, how(await node() as A)))
const text = (body: string, status = 200, headers: Record<string, string> = {}): Fault => (response) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(body)
}

interface Receipt {
  readonly blockHash: string
  readonly logs: ReadonlyArray<{ readonly topics: ReadonlyArray<string> }>
}
const receipts = (how: (receipts: ReadonlyArray<Receipt>) => unknown) => changed("eth_getBlockReceipts", how)
/** One byte each 50 ms, for ever. */
const dripping = (response: ServerResponse) => {
  response.writeHead(200, { "content-type": "application/json" })
  const drops = setInterval(() => response.write(" "), 50)
  response.once("close", () => clearInterval(drops))
}
/** The first key of an object again, behind the others, where a parser finds it last. */
const twice = (key: string, value: unknown): Fault => async (response, { id }, node) => {
  const result = JSON.stringify(await node()).replace(/\}$/, `,${JSON.stringify(key)}:${JSON.stringify(value)}}`)
  response.end(`{"jsonrpc":"2.0","id":${id},"result":${result}}`)
}
const zeroes = `0x${"0".repeat(64)}`

const harmful: ReadonlyArray<readonly [title: string, expected: string, fault: Fault]> = [
  ["26: whose receipts are an empty list", "ChainInconsistent", receipts(() => [])],
  ["26: that has no receipts yet", "ChainUnreachable", receipts(() => null)],
  ["26: that does not know its own block", "ChainUnreachable", changed("eth_getBlockByHash", () => null)],
  ["26: that knows a head and nothing below", "ChainUnreachable", changed("eth_getBlockByNumber", () => null)],
  ["27: that leaves out a receipt", "ChainInconsistent", receipts((all) => all.slice(0, -1))],
  [
    "27: that leaves out all logs",
    "ChainInconsistent",
    receipts((all) => all.map((receipt) => ({ ...receipt, logs: [] })))
  ],
  [
    "27: that leaves out the last log of each receipt",
    "ChainInconsistent",
    receipts((all) => all.map((receipt) => ({ ...receipt, logs: receipt.logs.slice(0, -1) })))
  ],
  [
    "27: that adds a log, to the shop",
    "ChainInconsistent",
    receipts((all) =>
      all.map((receipt) => {
        const [first] = receipt.logs
        if (first === undefined) return receipt
        const [topic, from] = first.topics
        return { ...receipt, logs: [...receipt.logs, { ...first, topics: [topic, from, `0x${"7".repeat(64)}`] }] }
      })
    )
  ],
  [
    "27: that sends the receipts of another block",
    "ChainInconsistent",
    receipts((all) => all.map((receipt) => ({ ...receipt, blockHash: zeroes })))
  ],
  ["30: of another chain", "WrongChain", changed("eth_chainId", () => "0x1")],
  ["31: that asks for patience", "ChainUnreachable", text("{}", 429, { "retry-after": "1" })],
  [
    "31: that asks for patience in JSON",
    "ChainUnreachable",
    text(`{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}`, 429, { "retry-after": "1" })
  ],
  ["31: that sends a web page", "ChainUnreachable", text("<html>Welcome</html>", 200, { "content-type": "text/html" })],
  ["31: behind a gateway that is down", "ChainUnreachable", text("<html>502</html>", 502)],
  ["31: that sends half an answer", "ChainUnreachable", text(`{"jsonrpc":"2.0","id":1,"result":{"numb`)],
  ["31: that sends nothing", "ChainUnreachable", text("")],
  ["31: that sends a list", "ChainUnreachable", text("[]")],
  [
    "31: that answers and refuses at once",
    "ChainUnreachable",
    text(`{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1e300,"message":"both"}}`)
  ],
  ["31: with a hash said twice", "ChainInconsistent", only("eth_getBlockByHash", twice("hash", zeroes))],
  ["31: with a parent said twice", "ChainInconsistent", only("eth_getBlockByHash", twice("parentHash", zeroes))],
  [
    "31: with a number as a number",
    "ChainUnreachable",
    changed<object>("eth_getBlockByHash", (block) => ({ ...block, number: 7 }))
  ],
  [
    "31: with a height no chain has",
    "ChainUnreachable",
    changed<object>("eth_getBlockByNumber", (block) => ({ ...block, number: "0xffffffffff" }))
  ],
  ["31: whose answer never ends", "ChainUnreachable", only("eth_getBlockByHash", dripping)],
  ["31: that never answers", "ChainUnreachable", only("eth_getBlockReceipts", () => {})],
  ["31: that breaks the connection", "ChainUnreachable", (response) => response.destroy()],
  [
    "31: that breaks the connection in the middle",
    "ChainUnreachable",
    only("eth_getBlockByHash", async (response, _, node) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100000" })
      response.write(JSON.stringify(await node()).slice(0, 100), () => response.destroy())
    })
  ]
]

const harmless: ReadonlyArray<readonly [title: string, fault: Fault]> = [
  [
    "31: with fields nobody knows",
    async (response, question, node) => {
      const answer = await node()
      const plain = typeof answer === "object" && answer !== null && !Array.isArray(answer)
      say(response, question, plain ? { ...answer, surprise: { deep: [null, 1e308] } } : answer)
    }
  ],
  [
    "31: whose answers are 10 MiB long",
    async (response, { id }, node) => {
      const answer = JSON.stringify(await node())
      response.end(`{"jsonrpc":"2.0","id":${id},${" ".repeat(10 << 20)}"result":${answer}}`)
    }
  ],
  [
    "31: that cannot give all receipts of a block at once",
    only("eth_getBlockReceipts", text(`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}`))
  ],
  [
    "25: that knows nothing of finality",
    async (response, question, node) =>
      question.params[0] === "finalized"
        ? text(`{"jsonrpc":"2.0","id":1,"error":{"code":-39001,"message":"no"}}`)(response, question, node)
        : say(response, question, await node())
  ]
]

layer(Layer.effect(Node, node), { excludeTestServices: true, timeout: "60 seconds" })("a scanner on a node", (it) => {
  const check = <A, E>(title: string, test: Effect.Effect<A, E, Node | ChainLedger | Probe>) =>
    it.effect(title, () => test.pipe(Effect.provide(memoryLedger, { local: true })), 30_000)

  for (const [title, expected, fault] of harmful) {
    check(
      `${title}, fails as ${expected}, goes nowhere, and finds all once that ends`,
      Effect.gen(function*() {
        const { converge, cursor, published, standing, tick } = yield* begun
        const { pay, spoil } = yield* Node
        // The chain is asked for again after a failure only; the first comes from outside.
        if (expected === "WrongChain") {
          spoil((response) => response.destroy())
          yield* Effect.flip(tick)
        }
        const paid = yield* pay
        const [before, said] = [yield* cursor(chain), (yield* published).length]
        spoil(fault)
        for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(tick))._tag, expected)
        assert.deepStrictEqual(yield* cursor(chain), before)
        assert.strictEqual((yield* published).length, said)
        spoil(null)
        yield* converge
        assert.deepStrictEqual(yield* standing, paid)
      })
    )
  }

  for (const [title, fault] of harmless) {
    check(
      `${title}, is read all the same`,
      Effect.gen(function*() {
        const { converge, standing } = yield* begun
        const { pay, spoil } = yield* Node
        spoil(fault)
        const paid = yield* pay
        yield* converge
        assert.deepStrictEqual(yield* standing, paid)
      })
    )
  }

  check(
    "30: of another chain, does not even begin",
    Effect.gen(function*() {
      const { spoil, url } = yield* Node
      const { cursor } = yield* ChainLedger
      spoil(changed("eth_chainId", () => "0x1"))
      const { tick } = yield* Scanner.make(EvmReader.make({ chain, url, timeout }))
      assert.strictEqual((yield* Effect.flip(tick))._tag, "WrongChain")
      assert.isNull(yield* cursor(chain))
    })
  )

  check(
    "26, 32: whose heads come out of order, twice, and with gaps, reads each block once and in order",
    Effect.gen(function*() {
      const { converge, cursor, published, standing, tick } = yield* begun
      const { call, mine, pay, spoil } = yield* Node
      const start = (yield* cursor(chain))?.number ?? 0
      const paid = yield* pay
      yield* mine(6)
      let back = 0
      spoil(async (response, question, node) => {
        const latest = question.method === "eth_getBlockByNumber" && question.params[0] === "latest"
        if (!latest) return say(response, question, await node())
        say(response, question, await call("eth_getBlockByNumber", numberToHex(start + 7 - back), false))
      })
      const seen: Array<number> = []
      for (back of [5, 6, 5, 2, 4, 2, 0, 7]) {
        yield* tick
        seen.push(((yield* cursor(chain))?.number ?? 0) - start)
      }
      assert.deepStrictEqual(seen, [2, 2, 2, 5, 5, 5, 7, 7])
      spoil(null)
      yield* converge
      assert.deepStrictEqual(yield* standing, paid)
      assert.notInclude((yield* published).map(({ _tag }) => _tag), "ChainReorged")
    })
  )

  check(
    "23: that has another branch when we come back, takes back what was there before it reads on",
    Effect.gen(function*() {
      const { converge, launch, published } = yield* begun
      const { call, mine, pay } = yield* Node
      const paid = yield* pay
      yield* converge
      const before = (yield* published).length
      yield* Effect.promise(() => call("anvil_reorg", 1, []))
      yield* mine()
      const again = yield* pay
      const { tick } = yield* launch
      yield* tick
      yield* tick
      const said = (yield* published).slice(before).flatMap((one) =>
        one._tag === "TransferSeen" || one._tag === "TransferOrphaned" ? [`${one._tag} ${one.transferId}`] : []
      )
      assert.deepStrictEqual(said.slice(0, 2).toSorted(), paid.map((id) => `TransferOrphaned ${id}`))
      assert.deepStrictEqual(said.slice(2).toSorted(), again.map((id) => `TransferSeen ${id}`))
    })
  )

  check(
    "23: that changes branches while a block is read, is read as it is in the end",
    Effect.gen(function*() {
      const { converge, standing, tick } = yield* begun
      const { call, client, pay, spoil } = yield* Node
      yield* pay
      let reorgs = 0
      spoil(async (response, question, node) => {
        if (question.method === "eth_getBlockReceipts" && reorgs++ === 0) {
          await call("anvil_reorg", 1, [])
          await client.mine({ blocks: 1 })
        }
        say(response, question, await node())
      })
      yield* Effect.result(tick)
      assert.strictEqual(reorgs, 1)
      spoil(null)
      yield* converge
      assert.deepStrictEqual(yield* standing, [])
    })
  )

  check(
    "22: whose reorg goes below what was final, halts and says so, until an operator has the right node back",
    Effect.scoped(Effect.gen(function*() {
      const { converge, cursor, heights, published, resume, standing, tick } = yield* begun
      const { client, mine, pay, spoil } = yield* Node
      const paid = yield* pay
      const strayed = yield* Anvil.start({ folder: yield* temporaryFolder })
      const stray = clientOf(strayed.url)
      yield* Effect.promise(async () => stray.loadState({ state: await client.dumpState() }))
      const goAstray = (blocks: number) => Effect.promise(() => stray.mine({ blocks, interval: 2 }))
      yield* mine(80)
      yield* converge
      const before = yield* cursor(chain)
      assert.isAbove(before?.finalized ?? 0, (before?.number ?? 0) - 80)

      spoil(async (response, { method, params, ...question }) =>
        say(response, { method, params, ...question }, await stray.request({ method, params } as never))
      )
      // As long as ours, it may be a node that was left behind; longer than ours, it is the chain.
      yield* goAstray(80)
      assert.strictEqual((yield* Effect.flip(tick))._tag, "ChainUnreachable")
      assert.isNull((yield* cursor(chain))?.halted)
      yield* goAstray(1)
      assert.strictEqual(yield* tick, "halted")
      assert.strictEqual(yield* tick, "halted")
      assert.match((yield* heights)[0]?.halted ?? "", /another chain below \d+, which was final/)
      assert.strictEqual((yield* published).filter(({ _tag }) => _tag === "ScannerHalted").length, 1)
      assert.strictEqual((yield* cursor(chain))?.hash, before?.hash)
      assert.deepStrictEqual(yield* standing, paid)

      spoil(null)
      const late = yield* pay
      assert.strictEqual(yield* tick, "halted")
      yield* resume(chain)
      yield* converge
      assert.isNull((yield* heights)[0]?.halted)
      assert.deepStrictEqual(yield* standing, [...paid, ...late].toSorted())
    }))
  )
})
