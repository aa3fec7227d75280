/** The process is killed while it carries requests out, and asked again under the same keys: each is done once, and answered. */
import { assert, it } from "@effect/vitest"
import * as fs from "node:fs"
import { call, dataFolder, type Demo, startDemo, stopDemo } from "../support/demo.ts"

interface Invoice {
  readonly id: string
}

const rounds = 4
const requests = 40

it("130: killed between writing and answering, the same requests get the same answers", async () => {
  const folder = dataFolder()
  let demo: Demo = await startDemo(folder, "--rate-limit", "1000000")
  let [answered, lost, replayed] = [0, 0, 0]
  try {
    for (let round = 0; round < rounds; round++) {
      const keys = Array.from({ length: requests }, (_, i) => `${round}-${i}`)
      const open = (key: string) =>
        call<Invoice>(demo, "POST", "/v1/invoices", { price: null, orderId: key }, { "idempotency-key": key })
      // The kill comes with the first answer: the others are anywhere between their arrival and their answer.
      let strike: () => void = () => undefined
      const struck = new Promise<void>((resolve) => (strike = resolve)).then(() => stopDemo(demo, "SIGKILL"))
      const before = await Promise.all(keys.map((key) =>
        open(key).then((answer) => {
          strike()
          return answer
        }, () => null)
      ))
      strike()
      await struck
      demo = await startDemo(folder, "--rate-limit", "1000000")
      for (const [i, key] of keys.entries()) {
        const again = await open(key)
        assert.strictEqual(again.status, 201)
        const known = before[i] ?? null
        if (known === null) lost++
        else answered++
        if (again.headers.has("idempotent-replayed")) replayed++
        // It listens elsewhere now, which is where its links lead.
        if (known !== null) {
          assert.deepStrictEqual({ ...again.body, checkoutUrl: "" }, { ...known.body, checkoutUrl: "" })
        }
        const { body } = await call<{ data: ReadonlyArray<Invoice> }>(demo, "GET", `/v1/invoices?orderId=${key}`)
        assert.deepStrictEqual(body.data.map(({ id }) => id), [again.body.id])
      }
    }
    console.info(`killed with ${answered} answers out and ${lost} lost; ${replayed} of them were already written`)
    assert.isAbove(lost, 0)
    assert.isAbove(replayed, answered, "no kill fell between writing and answering")
  } finally {
    await stopDemo(demo)
    fs.rmSync(folder, { recursive: true, force: true })
  }
}, 240_000)
