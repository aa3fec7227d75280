/** `npm run pay -- <invoice>`: pays an invoice of the running demo, exactly, in part or too much. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Result, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import * as fs from "node:fs"
import * as path from "node:path"
import { format, parse } from "#domain/Amount.ts"
import { tokenOf } from "#domain/Chain.ts"
import { CheckoutSnapshot } from "#projections/CheckoutView.ts"
import * as DemoWallet from "#adapters/demo/Wallet.ts"
import { Ready } from "./Ready.ts"

/** What the payer typed cannot be done. The message says what can. */
class CannotPay extends Schema.TaggedError<CannotPay>()("CannotPay", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

const runningDemo = Effect.fnUntraced(function*(folder: string) {
  const file = path.join(path.resolve(folder), "demo.json")
  const missing = new CannotPay({
    reason: `no demo runs on ${folder}. Start one with \`npm start\`, or name its --data-dir.`
  })
  const text = yield* Effect.try({ try: () => fs.readFileSync(file, "utf8"), catch: () => missing })
  return yield* Effect.orDie(Schema.decodeEffect(Schema.fromJsonString(Ready))(text))
})

const look = Effect.fnUntraced(function*(apiUrl: string, invoice: string) {
  const id = invoice.slice(invoice.lastIndexOf("/") + 1)
  const response = yield* HttpClient.get(`${apiUrl}/v1/live/invoices/${encodeURIComponent(id)}/snapshot`).pipe(
    Effect.mapError(() => new CannotPay({ reason: `the demo does not answer at ${apiUrl}. Is it still running?` }))
  )
  if (response.status === 404) return yield* new CannotPay({ reason: `there is no invoice ${id}` })
  return yield* Effect.orDie(HttpClientResponse.schemaBodyJson(CheckoutSnapshot)(response))
})

const pay = Command.make(
  "pay",
  {
    invoice: Argument.String("invoice").pipe(Argument.withDescription("The invoice's id, or its checkout link")),
    asset: Flag.String("asset").pipe(
      Flag.withDescription("Pay with this one: usdc, dai or eth. Default: the invoice's first."),
      Flag.withDefault("")
    ),
    amount: Flag.String("amount").pipe(
      Flag.withDescription(
        "How much, in whole units of the asset: less is a part, more is too much. Default: what is left."
      ),
      Flag.withDefault("")
    ),
    dataDir: Flag.String("data-dir").pipe(
      Flag.withDescription("The running demo's data folder. Default .data."),
      Flag.withDefault(".data")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print one line of JSON."), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ amount, asset, dataDir, invoice, json }) {
    const demo = yield* runningDemo(dataDir)
    const shown = yield* look(demo.apiUrl, invoice)
    const offered = shown.methods.map((method) => method.asset).join(", ")
    const method = shown.methods.find((method) => asset === "" || method.asset === asset.toLowerCase())
    const token = method && tokenOf(method)
    if (method === undefined || token === undefined || shown.address === null) {
      return yield* new CannotPay({ reason: `this invoice takes ${offered || "no payment"}, not ${asset || "any"}` })
    }
    const written = amount === "" ? method.remaining : amount
    if (written === null) {
      return yield* new CannotPay({ reason: "this invoice takes any amount: say how much with --amount" })
    }
    if (amount === "" && /^[0.]+$/.test(written)) {
      return yield* new CannotPay({
        reason: "nothing is left to pay on this invoice. To pay more all the same, say --amount."
      })
    }
    const parsed = parse(written, token.decimals)
    if (Result.isFailure(parsed) || parsed.success === 0n) {
      const hint = `Write it like 12.5, with at most ${token.decimals} decimals, and more than nothing.`
      return yield* new CannotPay({
        reason: `«${written}» is not an amount of ${method.symbol} that can be paid. ${hint}`
      })
    }
    const transaction = yield* DemoWallet.pay({
      rpcUrl: demo.rpcUrl,
      method,
      to: shown.address,
      amount: parsed.success
    })
    const paid = {
      transaction,
      chain: method.chain,
      asset: method.asset,
      amount: format(parsed.success, token.decimals)
    }
    yield* Console.log(
      json ? JSON.stringify(paid) : `Sent ${paid.amount} ${method.symbol} to ${shown.address}\n${transaction}`
    )
  })
).pipe(Command.withDescription("Pay an invoice of the running demo from its wallet of test money."))

pay.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.catchTag(
    ["CannotPay", "PaymentFailed"],
    (error) => Effect.andThen(Console.error(error.message), Effect.sync(() => (process.exitCode = 1)))
  ),
  Effect.provide([NodeServices.layer, FetchHttpClient.layer]),
  NodeRuntime.runMain
)
