/** From the shop's request to the shop's webhook, through the real program, chain and browser. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import type { Browser, Page, WebSocketRoute } from "playwright-core"
import { startBrowser } from "../support/browser.ts"
import { call, dataFolder, type Demo, eventually, pay, rpc, startDemo, stopDemo } from "../support/demo.ts"
import { type Receiver, startReceiver } from "../support/receiver.ts"

interface Invoice {
  readonly id: string
  readonly status: string
  readonly flags: ReadonlyArray<string>
  readonly version: number
  readonly received: { readonly amount: string }
  readonly excess: { readonly amount: string }
  readonly checkoutUrl: string
  readonly methods: ReadonlyArray<{ readonly asset: string; readonly address: string }>
  readonly payments: ReadonlyArray<{ readonly id: string; readonly status: string; readonly late: boolean }>
}

let demo: Demo
let receiver: Receiver
const folder = dataFolder()
const browser: Browser | null = await startBrowser("payments with the page open (test/journeys/payments.test.ts)")

beforeAll(async () => {
  ;[demo, receiver] = await Promise.all([startDemo(folder), startReceiver()])
  const { body } = await call<{ secret: string }>(demo, "POST", "/v1/webhook-endpoints", { url: receiver.url })
  receiver.trust(body.secret)
  // Blocks come when a test says so: nothing here depends on how fast this machine is.
  await rpc(demo, "evm_setIntervalMining", [0])
}, 120_000)

afterAll(async () => {
  await browser?.close()
  await receiver?.close()
  if (demo !== undefined) await stopDemo(demo)
  fs.rmSync(folder, { recursive: true, force: true })
})

const mine = (blocks = 1) => rpc(demo, "anvil_mine", [`0x${blocks.toString(16)}`])
/** Worth enough to wait for two confirmations. */
const open = async (request: object = {}) => {
  const asked = { price: { amount: "64.00", currency: "EUR" }, ...request }
  const { body, status } = await call<Invoice>(demo, "POST", "/v1/invoices", asked)
  assert.strictEqual(status, 201, JSON.stringify(body))
  return body
}
const look = async ({ id }: Pick<Invoice, "id">) => (await call<Invoice>(demo, "GET", `/v1/invoices/${id}`)).body
const reaches = (invoice: Pick<Invoice, "id">, status: string) =>
  eventually(() => look(invoice), (now) => now.status === status)
const noticesOf = ({ id }: Pick<Invoice, "id">) => receiver.received.filter(({ data }) => data.invoiceId === id)
const hears = (invoice: Pick<Invoice, "id">, type: string) =>
  eventually(async () => noticesOf(invoice).map((notice) => notice.type), (types) => types.includes(type))
const toldOnce = (invoice: Pick<Invoice, "id">) => {
  const ids = noticesOf(invoice).map(({ id }) => id)
  assert.deepStrictEqual(ids, [...new Set(ids)], "each notice came once")
  assert.strictEqual(receiver.forged(), 0, "every signature was right")
}

/** A payer who keeps the page open, and what it said meanwhile. */
const payer = async (url: string, method = "dev-usdc") => {
  const page = await browser!.newPage()
  const states: Array<string> = []
  const complaints: Array<string> = []
  await page.exposeFunction("told", (state: string) => states.at(-1) === state || states.push(state))
  await page.addInitScript(() => {
    const tell = () => {
      const shown = document.querySelector<HTMLElement>(".page[data-link]")
      if (shown?.dataset["state"] !== undefined) {
        void (globalThis as unknown as { told: (s: string) => void }).told(shown.dataset["state"])
      }
    }
    new MutationObserver(tell).observe(document, { subtree: true, childList: true, attributes: true })
  })
  const sockets: Array<WebSocketRoute> = []
  await page.routeWebSocket(/\/v1\/live\//, (socket) => {
    socket.connectToServer()
    sockets.push(socket)
  })
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  await page.goto(`${url}?method=${method}`)
  await page.waitForSelector(".page[data-link=socket]")
  /** As if the network had dropped it. What comes after is the page's own doing; in the end it has a new socket. */
  const cut = async () => {
    await Promise.all(sockets.splice(0).map((socket) => socket.close({ code: 1006 })))
    return () => eventually(async () => sockets.length, (again) => again > 0)
  }
  return { page, states, complaints, cut }
}
const shows = (page: Page, state: string) => page.waitForSelector(`.page[data-state=${state}]`, { timeout: 30_000 })

describe.skipIf(browser === null)("with the page open throughout", () => {
  it("an exact payment by token goes from waiting to seen to paid, and the shop hears of it", async () => {
    const invoice = await open()
    const { complaints, page, states } = await payer(invoice.checkoutUrl)
    await pay(folder, invoice.id)
    await mine()
    await shows(page, "seen")
    await mine()
    await shows(page, "paid")
    await hears(invoice, "invoice.settled")
    assert.deepStrictEqual(states.filter((state) => state !== "choosing"), ["waiting", "seen", "paid"])
    assert.deepStrictEqual(complaints, [])
    assert.strictEqual((await look(invoice)).received.amount, "64.00")
    toldOnce(invoice)
    await page.close()
  }, 90_000)

  it("an exact payment by the chain's own coin settles too", async () => {
    const invoice = await open()
    const { page } = await payer(invoice.checkoutUrl, "dev-eth")
    await pay(folder, invoice.id, "--asset", "eth")
    await mine(2)
    await shows(page, "paid")
    await hears(invoice, "invoice.settled")
    toldOnce(invoice)
    await page.close()
  }, 90_000)

  it("two partial payments add up, and the page asks for the rest in between", async () => {
    const invoice = await open()
    const { page } = await payer(invoice.checkoutUrl)
    await pay(folder, invoice.id, "--amount", "20")
    await mine()
    await shows(page, "partial")
    assert.include(await page.innerText("main"), "49.12", "what is left of 69.12 USDC")
    await hears(invoice, "invoice.partially_paid")
    await pay(folder, invoice.id)
    await mine(2)
    await shows(page, "paid")
    const settled = await reaches(invoice, "settled")
    assert.strictEqual(settled.payments.length, 2)
    assert.include(settled.flags, "multiple_payments")
    await hears(invoice, "invoice.settled")
    toldOnce(invoice)
    await page.close()
  }, 90_000)

  it("too much settles, and says by how much", async () => {
    const invoice = await open()
    const { page } = await payer(invoice.checkoutUrl)
    await pay(folder, invoice.id, "--amount", "80")
    await mine(2)
    await shows(page, "overpaid")
    const settled = await reaches(invoice, "settled")
    assert.include(settled.flags, "overpaid")
    assert.strictEqual(settled.excess.amount, "10.07")
    await hears(invoice, "invoice.settled")
    toldOnce(invoice)
    await page.close()
  }, 90_000)

  it("a reorg removes a payment that was seen, another brings it back, and the socket is cut in between", async () => {
    const invoice = await open()
    const { cut, page, states } = await payer(invoice.checkoutUrl)
    const { transaction } = await pay(folder, invoice.id)
    await mine()
    await shows(page, "seen")
    const raw = await rpc<string>(demo, "eth_getRawTransactionByHash", [transaction])

    await rpc(demo, "anvil_rollback", [1])
    await mine(2)
    await shows(page, "waiting")
    await hears(invoice, "payment.dropped")

    const comesBack = await cut()
    await rpc(demo, "eth_sendRawTransaction", [raw])
    await mine()
    await shows(page, "seen")
    await comesBack()
    await mine()
    await shows(page, "paid")

    assert.deepStrictEqual(states.filter((state) => state !== "choosing"), [
      "waiting",
      "seen",
      "waiting",
      "seen",
      "paid"
    ])
    const settled = await look(invoice)
    assert.strictEqual(settled.payments.length, 1)
    assert.strictEqual(settled.received.amount, "64.00")
    await hears(invoice, "invoice.settled")
    toldOnce(invoice)
    await page.close()
  }, 120_000)

  it("a payment that comes late, but within what the merchant accepts, is paid a little late", async () => {
    const invoice = await open({ expiresIn: 60 })
    const { page } = await payer(invoice.checkoutUrl)
    await rpc(demo, "evm_increaseTime", [600])
    await pay(folder, invoice.id)
    await mine(2)
    await shows(page, "paid_late")
    const settled = await reaches(invoice, "settled")
    assert.include(settled.flags, "paid_late")
    assert.isTrue(settled.payments[0]?.late)
    await hears(invoice, "invoice.settled")
    toldOnce(invoice)
    await page.close()
  }, 90_000)
})

describe("at the same moment", () => {
  it("200 requests with one idempotency key open one invoice", async () => {
    const orderId = "one-key"
    const ask = () =>
      call<Invoice>(demo, "POST", "/v1/invoices", { price: { amount: "10.00", currency: "EUR" }, orderId }, {
        "idempotency-key": "the-same-for-all"
      })
    const answers = await Promise.all(Array.from({ length: 200 }, ask))
    const opened = answers.filter(({ status }) => status === 201)
    assert.isAtLeast(opened.length, 1)
    assert.strictEqual(new Set(opened.map(({ body }) => body.id)).size, 1)
    assert.deepStrictEqual([...new Set(answers.map(({ status }) => status))].filter((s) => s !== 201 && s !== 409), [])
    const { body } = await call<{ data: ReadonlyArray<Invoice> }>(demo, "GET", `/v1/invoices?orderId=${orderId}`)
    assert.strictEqual(body.data.length, 1)
  }, 60_000)

  it("200 requests with different keys get 200 different addresses", async () => {
    const ask = (_: unknown, i: number) =>
      call<Invoice>(demo, "POST", "/v1/invoices", { price: { amount: "10.00", currency: "EUR" } }, {
        "idempotency-key": `key-${i}`
      })
    const answers = await Promise.all(Array.from({ length: 200 }, ask))
    assert.deepStrictEqual([...new Set(answers.map(({ status }) => status))], [201])
    assert.strictEqual(new Set(answers.map(({ body }) => body.methods[0]?.address)).size, 200)
  }, 60_000)
})
