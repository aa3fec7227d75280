/** The demo payer's wallet: the development chain's first account, which owns all test money. */
import { Effect, Schema } from "effect"
import { createWalletClient, encodeFunctionData, erc20Abi, http, publicActions } from "viem"
import { chains, type Method, tokenOf } from "#domain/Chain.ts"

export class PaymentFailed extends Schema.TaggedError<PaymentFailed>()("PaymentFailed", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export interface Payment {
  readonly rpcUrl: string
  readonly method: Method
  readonly to: string
  /** In the token's base units. */
  readonly amount: bigint
}

/** Sends it, and answers with the transaction's hash. The chain's node holds the key: it is anybody's test money. */
export const pay = Effect.fn("DemoWallet.pay")(function*({ amount, method, rpcUrl, to }: Payment) {
  const token = tokenOf(method)
  if (token === undefined || chains[method.chain].mode !== "test") {
    return yield* new PaymentFailed({ reason: `the demo wallet has no ${method.asset} on ${method.chain}` })
  }
  const client = createWalletClient({ transport: http(rpcUrl, { timeout: 10_000 }) }).extend(publicActions)
  const receiver = to as `0x${string}`
  const sent = async () => {
    const [account] = await client.getAddresses()
    if (account === undefined) throw new Error("the node has no account to pay from")
    const transaction = token.contract === null
      ? { account, to: receiver, value: amount }
      : {
        account,
        to: token.contract as `0x${string}`,
        data: encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [receiver, amount] })
      }
    // What would fail on the chain fails here, before anybody is told that it was sent.
    await client.estimateGas(transaction).catch(() => {
      throw new Error("the demo wallet does not have that much, or its node is away")
    })
    return await client.sendTransaction({ chain: null, ...transaction })
  }
  return yield* Effect.tryPromise({
    try: sent,
    catch: (error) =>
      new PaymentFailed({ reason: error instanceof Error ? error.message.split("\n")[0] ?? "" : String(error) })
  })
})
