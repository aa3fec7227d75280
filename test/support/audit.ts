/** What is wrong with a page as it stands in the browser: by axe, by its own policy, and by what sticks out. */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import type { Page } from "playwright-core"

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

interface AxeResult {
  readonly violations: ReadonlyArray<{
    readonly id: string
    readonly nodes: ReadonlyArray<{ readonly html: string; readonly failureSummary?: string }>
  }>
}

/** Everything that the browser complains of from now on: errors, and breaches of the page's own policy. */
export const complaintsOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  const complaints: Array<string> = []
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  page.on("pageerror", (error) => complaints.push(error.message))
  await page.exposeFunction("__complain", (text: string) => void complaints.push(text))
  await page.addInitScript(() => {
    const { __complain } = globalThis as unknown as { __complain: (text: string) => void }
    document.addEventListener(
      "securitypolicyviolation",
      ({ blockedURI, violatedDirective }) => __complain(`policy: ${violatedDirective} ${blockedURI}`)
    )
  })
  return complaints
}

/** What axe finds against WCAG 2.2 AA and good practice: rule, element, reason. Runs outside the page's policy. */
export const barriersOn = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(async (): Promise<AxeResult> => {
    const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<AxeResult> } }
    const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    return axe.run({ runOnly: { type: "tag", values }, resultTypes: ["violations"] })
  })
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ failureSummary = "", html }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`)
  )
}

/** Elements that reach beyond the window or beyond the box that holds them; the hidden ones aside. */
export const overflowOn = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate(() => {
    const found: Array<string> = []
    const name = (element: Element) =>
      `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} «${element.textContent?.slice(0, 40)}»`
    const window = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth > window) found.push(`the page: ${document.documentElement.scrollWidth}`)
    for (const element of document.querySelectorAll<HTMLElement>("body *")) {
      const { display, visibility } = getComputedStyle(element)
      const { height, left, right, width } = element.getBoundingClientRect()
      const isShown = width > 0 && height > 0 && visibility !== "hidden"
      if (!isShown || element.closest(".unseen, svg svg, svg *") !== null) continue
      if (left < -0.5 || right > window + 0.5) found.push(`${name(element)} from ${left} to ${right} of ${window}`)
      // Of an inline box the browser tells no inner width.
      if (display !== "inline" && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0) {
        found.push(`${name(element)} holds ${element.scrollWidth} in ${element.clientWidth}`)
      }
    }
    return found
  })
