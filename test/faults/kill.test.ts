/** The process is killed in the middle of a payment, and started again: credited once, and the shop hears of it. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import * as fs from "node:fs"
import { call, dataFolder, type Demo, eventually, pay, rpc, startDemo, stopDemo } from "../support/demo.ts"
import { type Receiver, startReceiver } from "../support/receiver.ts"

interface Invoice {
  readonly id: string
  readonly status: string
  readonly received: { readonly amount: string }
  readonly payments: ReadonlyArray<{ readonly status: string }>
}

const folder = dataFolder()
let demo: Demo
let receiver: Receiver

beforeAll(async () => {
  ;[demo, receiver] = await Promise.all([startDemo(folder), startReceiver()])
  const { body } = await call<{ secret: string }>(demo, "POST", "/v1/webhook-endpoints", { url: receiver.url })
  receiver.trust(body.secret)
  await rpc(demo, "evm_setIntervalMining", [0])
}, 120_000)

afterAll(async () => {
  await receiver?.close()
  if (demo !== undefined) await stopDemo(demo)
  fs.rmSync(folder, { recursive: true, force: true })
})

const mine = (blocks: number) => rpc(demo, "anvil_mine", [`0x${blocks.toString(16)}`])
const look = async (id: string) => (await call<Invoice>(demo, "GET", `/v1/invoices/${id}`)).body

/** Opens, pays, kills as soon as `moment` has come, and starts again; the chain goes on meanwhile. */
const killedAt = async (moment: (id: string) => Promise<unknown>) => {
  const opened = await call<Invoice>(demo, "POST", "/v1/invoices", { price: { amount: "64.00", currency: "EUR" } })
  const { id } = opened.body
  await pay(folder, id)
  await mine(1)
  await moment(id)
  await stopDemo(demo, "SIGKILL")
  await mine(2)
  demo = await startDemo(folder)

  const settled = await eventually(() => look(id), ({ status }) => status === "settled")
  assert.deepStrictEqual(settled.payments.map(({ status }) => status), ["confirmed"])
  assert.strictEqual(settled.received.amount, "64.00")
  const heard = () => Promise.resolve(receiver.received.filter(({ data }) => data.invoiceId === id))
  const notices = await eventually(heard, (all) => all.some(({ type }) => type === "invoice.settled"))
  const settling = notices.filter(({ type }) => type === "invoice.settled").map((notice) => notice.id)
  assert.strictEqual(new Set(settling).size, 1, "a notice that is sent again comes under the same id")
}

it("killed before the payment was seen, it is credited once", () => killedAt(async () => undefined), 90_000)

it(
  "killed after it was seen and before it was sure, it is credited once",
  () => killedAt((id) => eventually(() => look(id), ({ status }) => status === "processing")),
  90_000
)

it("killed as soon as it was settled, the shop hears of it all the same", () =>
  killedAt(async (id) => {
    await mine(1)
    await eventually(() => look(id), ({ status }) => status === "settled")
  }), 90_000)

it("stopped in an orderly way, it ends with 0 and leaves nothing running", async () => {
  const { rpcUrl } = demo
  assert.strictEqual(await stopDemo(demo), 0)
  const answer = await fetch(rpcUrl).then(() => "answers", () => "gone")
  assert.strictEqual(answer, "gone")
  assert.isFalse(fs.existsSync(`${folder}/postgres/postmaster.pid`))
  assert.isFalse(fs.existsSync(`${folder}/checkout.pid`))
}, 60_000)
