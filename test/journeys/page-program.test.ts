/** Payers of the real program who have no mouse, or no JavaScript: from choosing to paid. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { WebSocket } from "undici"
import { barriersOn, complaintsOf } from "../support/audit.ts"
import { startBrowser } from "../support/browser.ts"
import { call, dataFolder, type Demo, startDemo, stopDemo } from "../support/demo.ts"

const browser: Browser | null = await startBrowser("payers of the real program (test/journeys/page-program.test.ts)")
const folder = dataFolder()
let demo: Demo
beforeAll(async () => void (demo = await startDemo(folder)), 120_000)
afterAll(async () => {
  await browser?.close()
  if (demo !== undefined) await stopDemo(demo)
  fs.rmSync(folder, { recursive: true, force: true })
})

const open = async () => {
  const price = { amount: "12.00", currency: "EUR" }
  const { body, status } = await call<{ checkoutUrl: string; id: string }>(demo, "POST", "/v1/invoices", { price })
  assert.strictEqual(status, 201, JSON.stringify(body))
  return body
}
const payer = async (options: BrowserContextOptions = {}) => {
  const context = await browser!.newContext({ viewport: { width: 1280, height: 860 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  return { context, page }
}
const headline = (page: Page, text: string) => page.locator("h1", { hasText: text }).waitFor()

/** Presses Tab until the focus is on what says so; every stop on the way can be seen and has a name. */
const tabTo = async (page: Page, name: RegExp) => {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab")
    const { outline, text } = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement!)
      return {
        text: document.activeElement!.textContent?.trim() ?? "",
        outline: `${outlineStyle} ${outlineWidth}`
      }
    })
    assert.notStrictEqual(text, "", "something without a name takes the focus")
    assert.strictEqual(outline, "solid 2px", `the focus on «${text}» cannot be seen`)
    if (name.test(text)) return
  }
  assert.fail(`Tab never comes to ${name}`)
}

describe.skipIf(browser === null)("a payer", () => {
  it("without a mouse chooses, switches the code, copies and pays, and can read how it went", async () => {
    const { checkoutUrl } = await open()
    const { context, page } = await payer()
    const complaints = await complaintsOf(page)
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(checkoutUrl).origin })
    await page.goto(checkoutUrl)
    await page.waitForSelector(".page[data-link=socket]")

    await tabTo(page, /DAI/)
    await page.keyboard.press("Enter")
    await headline(page, "DAI on Development chain")
    await tabTo(page, /Wallet link/)
    await page.keyboard.press("Enter")
    await page.getByRole("img", { name: "payment link" }).waitFor()
    await tabTo(page, /Copy the amount/)
    await page.keyboard.press("Space")
    const amount = await page.locator(".rows .figure > span").textContent()
    assert.strictEqual(`${await page.evaluate(() => navigator.clipboard.readText())} DAI`, amount)
    await tabTo(page, /Copy the address/)
    await page.keyboard.press("Enter")
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^0x[0-9a-fA-F]{40}$/)
    await tabTo(page, /Pay with the demo wallet/)
    await page.keyboard.press("Enter")

    await page.locator("h1", { hasText: /^Paid$/ }).waitFor()
    assert.strictEqual(await page.locator("main").count(), 1)
    await tabTo(page, /Print receipt/)
    assert.deepStrictEqual([...complaints, ...await barriersOn(page)], [])
    await context.close()
  }, 60_000)

  it("without JavaScript chooses, pays and is shown that it is paid", async () => {
    const { checkoutUrl } = await open()
    const { context, page } = await payer({ javaScriptEnabled: false })
    await page.goto(checkoutUrl)
    await page.getByRole("link", { name: /USDC/ }).click()
    await headline(page, "USDC on Development chain")
    await page.getByRole("button", { name: "Pay with the demo wallet" }).click()
    // From here on the page loads itself.
    await page.locator("h1", { hasText: /^Paid$/ }).waitFor({ timeout: 40_000 })
    assert.isFalse(await page.locator(".js").first().isVisible())
    await context.close()
  }, 60_000)
})

it("122: the program's sockets take no frame that is larger than a word", async () => {
  const { id } = await open()
  const socket = new WebSocket(`${demo.apiUrl.replace("http", "ws")}/v1/live/invoices/${id}`)
  const code = await new Promise<number>((resolve) => {
    socket.addEventListener("message", () => socket.send("x".repeat(1_000_000)))
    socket.addEventListener("close", (event) => resolve(event.code))
  })
  assert.strictEqual(code, 1009)
})
