/** The process is killed at twenty random moments of a busy day: no payment is lost or doubled, and every notice arrives. */
import { assert, it } from "@effect/vitest"
import * as fs from "node:fs"
import { call, databaseOf, dataFolder, type Demo, eventually, startDemo, stopDemo } from "../support/demo.ts"
import { startReceiver } from "../support/receiver.ts"
import { openShop } from "../support/shop.ts"

const kills = 20
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000)

/** Mulberry32: the same moments again for the same seed. */
const random = ((state: number) => () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
})(seed)

it("130, 131, 132: killed at twenty moments, each payment is credited once and each notice arrives under one id", async () => {
  console.info(`kills: SEED=${seed}`)
  const folder = dataFolder()
  const receiver = await startReceiver()
  let demo: Demo = await startDemo(folder, "--rate-limit", "1000000")
  const shop = await (async () => {
    const { body } = await call<{ secret: string }>(demo, "POST", "/v1/webhook-endpoints", { url: receiver.url })
    receiver.trust(body.secret)
    return openShop(() => demo, receiver, 3)
  })()
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const before = shop.sold.size
      // Something is always under way when it dies, and the moment within that is any.
      await eventually(() => Promise.resolve(shop.sold.size), (size) => size > before)
      await new Promise((resolve) => setTimeout(resolve, random() * 1500))
      await stopDemo(demo, "SIGKILL")
      demo = await startDemo(folder, "--rate-limit", "1000000")
    }
    await shop.close()
    assert.deepStrictEqual(shop.troubles.filter(({ status }) => status >= 500 && status !== 503), [])
    const { events, rows } = await shop.audit(databaseOf(folder))
    console.info(`kills: ${kills} kills, ${shop.sold.size} payments, ${events} events, ${rows} rows rebuilt`)
  } finally {
    // What a killed one left running is only stopped by another.
    if (demo.process.signalCode !== null) demo = await startDemo(folder)
    await stopDemo(demo)
    await receiver.close()
    fs.rmSync(folder, { recursive: true, force: true })
  }
})
