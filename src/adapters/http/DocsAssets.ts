/** The reference page's style, and the little script that lets it be tried out. Both are served inside the page. */

export const style = `
:root { --ink: #1a1c20; --soft: #5c6370; --line: #e3e5ea; --ground: #fff; --code: #f5f6f8; --accent: #1f5fd6 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaee; --soft: #9aa2b1; --line: #2c3038; --ground: #14161a; --code: #1c1f25; --accent: #7fa8ff }
}
* { box-sizing: border-box }
html { scroll-padding-top: 16px }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
a { color: var(--accent); text-decoration: none } a:hover { text-decoration: underline }
h1, h2, h3, h4 { line-height: 1.25 } h2 { margin-top: 64px; text-transform: capitalize } h3 a { color: inherit }
h4 { margin: 24px 0 8px; font-size: 14px; color: var(--soft) }
code, pre, textarea, input { font: 13px/1.5 ui-monospace, monospace }
code { background: var(--code); border-radius: 4px; padding: 1px 4px; overflow-wrap: anywhere }
pre { background: var(--code); border-radius: 8px; padding: 16px; overflow-x: auto } pre code { padding: 0; overflow-wrap: normal }
small { color: var(--soft); font-weight: normal }
dl { margin: 0; display: grid; grid-template-columns: minmax(120px, max-content) 1fr; gap: 8px 24px }
dt, dd { margin: 0; min-width: 0 } article { border-top: 1px solid var(--line); padding: 8px 0 24px }
.rule { font-size: 20px; border-left: 4px solid var(--accent); padding-left: 16px }
.route { font-size: 14px } nav a, nav b { display: block; padding: 2px 0; font-size: 14px } nav b { margin-top: 16px; text-transform: capitalize }
main { padding: 24px; max-width: 880px } nav { padding: 24px }
label { display: block; margin: 8px 0 } input, textarea { width: 100%; padding: 8px; color: inherit; background: var(--code); border: 1px solid var(--line); border-radius: 6px }
button { padding: 8px 16px; border: 0; border-radius: 6px; background: var(--accent); color: var(--ground); font: inherit }
output { display: block; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, monospace; margin-top: 8px }
@media (max-width: 600px) { dl { grid-template-columns: 1fr } dd { margin-bottom: 8px } }
@media (min-width: 1000px) {
  body { display: grid; grid-template-columns: 264px 1fr }
  nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; border-right: 1px solid var(--line) }
}`

/** Only for the test world: a live key is turned away before it is sent anywhere. */
export const script = `
const key = document.querySelector(".key input")
for (const details of document.querySelectorAll(".try")) {
  details.hidden = false
  const form = details.querySelector("form")
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    const output = form.querySelector("output")
    const path = form.elements.path.value
    if (!key.value.startsWith("ck_test_") && !path.startsWith("/health/")) {
      output.textContent = "Enter a test key at the top of the page first."
      return
    }
    const method = form.dataset.method
    const headers = { authorization: "Bearer " + key.value }
    if (method === "POST") headers["idempotency-key"] = crypto.randomUUID()
    const body = form.elements.body?.value
    if (body !== undefined) headers["content-type"] = "application/json"
    output.textContent = "…"
    try {
      const response = await fetch(new URL(path, location.origin).pathname + new URL(path, location.origin).search, { method, headers, body, credentials: "omit" })
      const text = await response.text()
      let shown = text
      try { shown = JSON.stringify(JSON.parse(text), null, 2) } catch {}
      output.textContent = response.status + " " + response.statusText + "\\n\\n" + shown
    } catch (error) {
      output.textContent = String(error)
    }
  })
}
document.querySelector(".key")?.addEventListener("submit", (event) => event.preventDefault())`
