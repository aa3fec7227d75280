/** An EVM chain through a node's JSON-RPC. viem carries the requests; what comes back is decoded and checked here. */
import { Duration, Effect, Layer, Result, Schema } from "effect"
import { http } from "viem"
import { type ChainId, chains } from "#domain/Chain.ts"
import {
  ChainInconsistent,
  ChainReaders,
  type ChainReaderShape,
  ChainUnreachable,
  WrongChain
} from "#ports/ChainReader.ts"
import { BlockJson, HeaderJson, headerOf, Quantity, readable, ReceiptJson } from "./BlockJson.ts"

export interface Options {
  readonly chain: ChainId
  /** The node's; it may hold a key, so no error repeats it. */
  readonly url: string
  /** For what is small, and asked for at every look. Four seconds. */
  readonly timeout?: Duration.Duration
  /** For a block or its receipts. 20 seconds. */
  readonly blockTimeout?: Duration.Duration
}

/** A full block of the busiest chains, or its receipts, is a tenth of this. */
const largestBody = 64 * 1024 * 1024
/** Requests for single receipts at the same time, where a node cannot answer for a whole block. */
const sideBySide = 16

export const layer = (nodes: Iterable<readonly [ChainId, string]>) =>
  Layer.sync(ChainReaders, () => new Map([...nodes].map(([chain, url]) => [chain, make({ chain, url })])))

export const make = ({
  blockTimeout = Duration.seconds(20),
  chain,
  timeout = Duration.seconds(4),
  url
}: Options): ChainReaderShape => {
  const transport = http(url, { retryCount: 0, timeout: 0, maxResponseBodySize: largestBody })({ retryCount: 0 })
  let receiptsByBlock = true

  const unreachable = (reason: string) => new ChainUnreachable({ chain, reason })
  const inconsistent = (reason: string) => new ChainInconsistent({ chain, reason })

  /** One request. `Refused` is the node's own word that it will not; anything else went wrong on the way. */
  const ask = <A>(
    codec: Schema.Decoder<A>,
    method: string,
    params: ReadonlyArray<unknown>,
    patience = timeout
  ): Effect.Effect<A, ChainUnreachable | Refused> =>
    Effect.tryPromise({
      try: (signal) => transport.request({ method, params }, { signal }) as Promise<unknown>,
      catch: (error) => {
        const { code, reason } = failureOf(error)
        return code === null ? unreachable(`${method}: ${reason}`) : new Refused({ method, code })
      }
    }).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(unreachable(`${method}: no answer within ${Duration.format(patience)}`))
      }),
      Effect.flatMap((answer) =>
        Effect.mapError(
          Schema.decodeUnknownEffect(codec)(answer),
          () => unreachable(`${method}: ${answer === null ? "null" : "an answer of another shape"}`)
        )
      )
    )

  const refusal = <A>(effect: Effect.Effect<A, ChainUnreachable | Refused>) =>
    Effect.catchTag(effect, "Refused", ({ code, method }) => Effect.fail(unreachable(`${method}: error ${code}`)))

  const byNumber = (block: string) =>
    Effect.map(
      ask(Schema.NullOr(HeaderJson), "eth_getBlockByNumber", [block, false]),
      (header) => header === null ? null : headerOf(header)
    )

  const receipts = ({ hash, transactions }: BlockJson) => {
    if (transactions.length === 0) return Effect.succeed([])
    const together = ask(Schema.Array(ReceiptJson), "eth_getBlockReceipts", [hash], blockTimeout)
    const singly = Effect.forEach(
      transactions,
      (transaction) => ask(ReceiptJson, "eth_getTransactionReceipt", [transaction.hash]),
      { concurrency: sideBySide }
    )
    if (!receiptsByBlock) return singly
    return Effect.catchTag(together, "Refused", (refused) => {
      if (!unsupported.has(refused.code)) return Effect.fail(refused)
      receiptsByBlock = false
      return singly
    })
  }

  return {
    chain,
    verify: Effect.gen(function*() {
      const { chainId: expected } = chains[chain]
      const actual = Number(yield* ask(Quantity, "eth_chainId", []))
      if (actual !== expected) return yield* new WrongChain({ chain, expected, actual })
    }).pipe(Effect.catchTag("Refused", ({ code }) => Effect.fail(unreachable(`eth_chainId: error ${code}`)))),
    head: Effect.filterOrFail(
      refusal(byNumber("latest")),
      (header) => header !== null,
      () => unreachable("no latest block")
    ),
    headerAt: (number) =>
      Effect.filterOrFail(
        refusal(byNumber(`0x${number.toString(16)}`)),
        (header) => header === null || header.number === number,
        () => inconsistent(`asked for block ${number}, got another`)
      ),
    block: Effect.fnUntraced(function*(hash) {
      const json = yield* refusal(ask(Schema.NullOr(BlockJson), "eth_getBlockByHash", [hash, true], blockTimeout))
      if (json === null) return yield* unreachable(`it does not know block ${hash}`)
      if (json.hash.toLowerCase() !== hash) return yield* inconsistent(`asked for block ${hash}, got ${json.hash}`)
      const block = readable(chains[chain], json, yield* refusal(receipts(json)))
      return Result.isSuccess(block) ? block.success : yield* inconsistent(`block ${hash}: ${block.failure}`)
    }),
    finalized: Effect.catchTag(byNumber("finalized"), "Refused", () => Effect.succeed(null))
  }
}

/** The node answered, and the answer is a JSON-RPC error. */
class Refused extends Schema.TaggedError<Refused>()("Refused", { method: Schema.String, code: Schema.Int }) {}

/** Method not found, not supported, or not with such parameters. */
const unsupported: ReadonlySet<number> = new Set([-32601, -32004, -32602])

/** What went wrong, without the URL and the body that viem puts into its messages. */
const failureOf = (error: unknown): { readonly code: number | null; readonly reason: string } => {
  let code: number | null = null
  let status = ""
  let name = "unknown"
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    name = cause.name
    if ("status" in cause && typeof cause.status === "number") status = ` ${cause.status}`
    if ("code" in cause && Number.isSafeInteger(cause.code)) code = cause.code as number
  }
  // A code of −1 is viem's own: it found none.
  return { code: code === -1 || status === " 429" ? null : code, reason: `${name}${status}` }
}
