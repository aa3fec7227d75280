/** A busy shop with stubborn customers: it opens invoices and has them paid whatever happens, and then audits the books. */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import * as Database from "#adapters/postgres/Database.ts"
import * as DemoWallet from "#adapters/demo/Wallet.ts"
import { call, type Demo, eventually } from "./demo.ts"
import { rebuiltEqualsLive, receiptsAgree } from "./rebuild.ts"
import type { Receiver } from "./receiver.ts"

interface Invoice {
  readonly id: string
  readonly status: string
  readonly received: { readonly amount: string }
  readonly payments: ReadonlyArray<{ readonly status: string; readonly transaction: string }>
  readonly methods: ReadonlyArray<
    { readonly asset: string; readonly address: string; readonly due: { readonly baseUnits: string } }
  >
}

/** An answer that was not a success. */
export interface Trouble {
  readonly status: number
  readonly code: string
  readonly retryAfter: string | null
}

export interface Shop {
  /** Invoices that were opened, with the transactions that pay them. */
  readonly sold: ReadonlyMap<string, string>
  /** Every answer of the API that was not a success, and came all the same. */
  readonly troubles: ReadonlyArray<Trouble>
  /** Customers still under way finish; nobody new comes in. */
  readonly close: () => Promise<void>
  /** Waits until all is settled and told, then compares everything with everything. Answers with what there was. */
  readonly audit: (databaseUrl: string) => Promise<{ readonly events: number; readonly rows: number }>
}

/** So many customers at once, each with one purchase after the other. The demo may be another one at every moment. */
export const openShop = (demo: () => Demo, receiver: Receiver, customers: number, pauseMillis = 50): Shop => {
  const sold = new Map<string, string>()
  const troubles: Array<Trouble> = []
  let open = true
  let wallet: Promise<unknown> = Promise.resolve()
  const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

  /** Asks until it is granted, as an integrator should: under one idempotency key. */
  const purchase = async () => {
    const key = randomUUID()
    const price = { price: { amount: "64.00", currency: "EUR" } }
    for (;;) {
      const answer = await call<Invoice & { code: string }>(demo(), "POST", "/v1/invoices", price, {
        "idempotency-key": key
      }).catch(() => null)
      if (answer?.status === 201) return answer.body
      if (answer !== null) {
        const { body, headers, status } = answer
        troubles.push({ status, code: body?.code, retryAfter: headers.get("retry-after") })
      }
      await pause(100)
    }
  }

  const customer = async () => {
    while (open) {
      const { id, methods } = await purchase()
      const usdc = methods.find(({ asset }) => asset === "usdc")
      if (usdc === undefined) throw new Error("the shop takes no USDC")
      const amount = BigInt(usdc.due.baseUnits)
      const method = { chain: "dev", asset: "usdc" } as const
      const paying = DemoWallet.pay({ rpcUrl: demo().rpcUrl, method, to: usdc.address, amount })
      // One wallet pays for all, and its node refuses what comes at the same moment; what was refused was not sent.
      const paid = wallet.then(() =>
        Effect.runPromise(Effect.retry(paying, { times: 5, schedule: Schedule.spaced("200 millis") }))
      )
      wallet = paid.catch(() => undefined)
      sold.set(id, await paid)
      await pause(pauseMillis)
    }
  }
  const all = Promise.all(Array.from({ length: customers }, customer))
  all.catch(() => undefined)

  const audit = async (databaseUrl: string) => {
    assert.isAbove(sold.size, 0)
    for (const [id, transaction] of sold) {
      const look = () => call<Invoice>(demo(), "GET", `/v1/invoices/${id}`).then(({ body }) => body)
      const { payments, received } = await eventually(look, ({ status }) => status === "settled", 60)
      assert.deepStrictEqual(payments.map((payment) => payment.transaction), [transaction])
      assert.include(["confirmed", "finalized"], payments[0]?.status)
      assert.strictEqual(received.amount, "64.00", "credited once")
    }
    const database = Database.layer({ url: Redacted.make(databaseUrl), maxConnections: 2 })
    return Effect.runPromise(Effect.provide(books, database))
  }

  /** What the demo does by itself (its first invoice, its own endpoint) is in the books as well. */
  const books = Effect.gen(function*() {
    const context = yield* Effect.context<PgClient.PgClient>()
    const sql = yield* PgClient.PgClient
    const settled = yield* sql<{ invoice: string; id: string }>`
      select n.invoice_id as invoice, n.id from webhooks.notifications n where n.type = 'invoice.settled'`
    const told = settled.map(({ invoice }) => invoice).filter((invoice) => sold.has(invoice))
    assert.deepStrictEqual(told.toSorted(), [...sold.keys()].sort(), "one notice for each")

    const owed = sql<{ id: string }>`
      select distinct d.notification_id as id from webhooks.deliveries d
        join read.endpoints e on e.key = d.endpoint_id where e.data->>'url' = ${receiver.url}`
    // A delivery that was under way at a kill is sent again when its lease is over, after a minute.
    const missed = () =>
      Effect.runPromiseWith(context)(Effect.map(owed, (rows) => {
        const heard = new Set(receiver.received.map(({ id }) => id))
        return rows.filter(({ id }) => !heard.has(id))
      }))
    yield* Effect.promise(() => eventually(missed, (rows) => rows.length === 0, 100))
    const ids = new Set((yield* owed).map(({ id }) => id))
    assert.deepStrictEqual(receiver.received.filter(({ id }) => !ids.has(id)), [], "no notice under another id")
    assert.isAtLeast(ids.size, sold.size)
    assert.strictEqual(receiver.forged(), 0)
    yield* receiptsAgree(sql)
    return yield* rebuiltEqualsLive(sql)
  })

  return { sold, troubles, audit, close: () => ((open = false), all.then(() => undefined)) }
}
