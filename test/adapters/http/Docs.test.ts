import { afterAll, assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { NoticeType } from "#domain/Notice.ts"
import { Notice } from "#domain/Notice.ts"
import { curlOf, entries, type Entry, fetchOf } from "#adapters/http/Docs.ts"
import { document } from "#adapters/http/Document.ts"
import { notices, schemas } from "#adapters/http/Examples.ts"
import { codes } from "#adapters/http/Problem.ts"
import { apiLayer, ask, World } from "../../support/api.ts"
import { startBrowser } from "../../support/browser.ts"

const run = promisify(execFile)

/** What an example's request may be answered with: the things it names exist in the example only. */
const understood = (status: number, { operation }: Entry) =>
  status < 300 ? status.toString() in operation.responses : [404, 409].includes(status)

describe("the document", () => {
  it("names every answer of every operation, problems included", () => {
    for (const { operation } of entries) {
      const statuses = Object.keys(operation.responses)
      const always = operation.security.length > 0 ? ["400", "401", "403", "429", "500", "503"] : ["400", "500", "503"]
      for (const status of always) assert.include(statuses, status, operation.operationId)
      if (operation.requestBody !== undefined) assert.includeMembers(statuses, ["413", "415"], operation.operationId)
      assert.isNotEmpty(operation.summary)
      assert.isNotEmpty(operation.description)
    }
  })

  it("uses every code, and none that is not in the list", () => {
    const used = entries.flatMap(({ operation }) =>
      Object.values(operation.responses).flatMap(({ content }) =>
        Object.keys(content?.["application/problem+json"]?.examples ?? {})
      )
    )
    assert.deepStrictEqual([...new Set(used), "method_not_allowed"].toSorted(), Object.keys(codes).toSorted())
  })

  it("has an example of everything with a name, and only of that", () => {
    const named = Object.keys(document.components.schemas).filter((name) => name !== "Problem" && name !== "Mistake")
    assert.deepStrictEqual(Object.keys(schemas).toSorted(), named.toSorted())
  })

  it("shows a notice of every type, each as it is really sent", () => {
    assert.deepStrictEqual(notices.map(({ type }) => type), [...NoticeType.literals])
    for (const { body, type } of notices) {
      const notice = Schema.decodeUnknownSync(Notice)(JSON.parse(body), { onExcessProperty: "error" })
      assert.strictEqual(notice.type, type)
    }
  })
})

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("the reference", (it) => {
  it.effect("is served with its contract, and loads nothing from anywhere else", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const page = yield* ask(`${url}/docs`)
      assert.strictEqual(page.status, 200)
      assert.include(page.text, "Ship when <code>status</code> is <code>settled</code>, and on nothing else.")
      assert.notMatch(page.text, /<(script|link|img|iframe)[^>]*(src|href)="?(https?:)?\/\//)
      const policy = page.headers.get("content-security-policy") ?? ""
      const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? ""
      assert.include(page.text, `<script type="module" nonce="${nonce}">`)
      assert.include(policy, "default-src 'none'")
      assert.notInclude((yield* ask(`${url}/docs`)).text, nonce)
      const contract = yield* ask(`${url}/openapi.json`)
      assert.deepStrictEqual(contract.body.servers, [{ url: "https://pay.example" }])
      assert.match(contract.body.openapi, /^3\.1/)
    }))

  it.effect("explains each code where a problem's type points to", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const problem = yield* ask(`${url}/v1/nothing`)
      const [path, anchor] = problem.body.type.split("#")
      const page = yield* ask(url + path)
      for (const code of [anchor, ...Object.keys(codes)]) assert.include(page.text, `<article id="${code}">`)
    }))

  it.effect("has no anchor that leads nowhere", () =>
    Effect.gen(function*() {
      const { url } = yield* World
      const [reference, errors] = [(yield* ask(`${url}/docs`)).text, (yield* ask(`${url}/docs/errors`)).text]
      const ids = (html: string) => new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
      const [here, there] = [ids(reference), ids(errors)]
      for (const [, anchor] of reference.matchAll(/href="#([^"]+)"/g)) assert.isTrue(here.has(anchor), anchor)
      for (const [, anchor] of reference.matchAll(/href="\/docs\/errors#([^"]+)"/g)) {
        assert.isTrue(there.has(anchor), anchor)
      }
    }))

  it.effect("every TypeScript example does what it says, as it is printed", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      for (const entry of entries) {
        const text = fetchOf(entry, url)
        const seen = yield* Effect.promise(() => evaluate(text, keys.a))
        assert.isTrue(understood(seen, entry), `${seen} from ${text}`)
      }
    }))

  it.effect("every curl example does what it says, as it is printed", () =>
    Effect.gen(function*() {
      const { keys, url } = yield* World
      for (const entry of entries) {
        const text = curlOf(entry, url).replace("curl ", `curl -s -o /dev/null -w '%{http_code}' `).replace(
          "$(uuidgen)",
          crypto.randomUUID()
        )
        const { stdout } = yield* Effect.promise(() =>
          run("sh", ["-c", text], { env: { ...process.env, CHECKOUT_KEY: keys.a } })
        )
        assert.isTrue(understood(Number(stdout), entry), `${stdout} from ${text}`)
      }
    }))
})

const browser = await startBrowser("«Try it» on the reference page")
afterAll(() => browser?.close())

layer(apiLayer(), { excludeTestServices: true, timeout: "60 seconds" })("«Try it»", (it) => {
  it.effect.skipIf(browser === null)(
    "makes an invoice from the page, with a key that stays in its memory and a live key that is sent nowhere",
    () =>
      Effect.gen(function*() {
        const { keys, url } = yield* World
        const context = yield* Effect.promise(() => browser!.newContext())
        yield* Effect.promise(async () => {
          const page = await context.newPage()
          const [problems, sent]: [Array<string>, Array<string>] = [[], []]
          page.on("console", (message) => message.type() === "error" && problems.push(message.text()))
          page.on("pageerror", (error) => problems.push(error.message))
          page.on("request", (request) => request.url().includes("/v1/") && sent.push(request.method()))
          await page.goto(`${url}/docs`)
          const create = page.locator("#invoices-create")
          const send = async () => {
            await create.getByRole("button", { name: "Send" }).click()
            await create.locator("output:not(:empty)").waitFor()
            await page.waitForFunction(
              (output) => output?.textContent !== "…",
              await create.locator("output").elementHandle()
            )
            return create.locator("output").innerText()
          }
          await create.getByText("Try it").click()
          assert.match(await send(), /Enter a test key/)
          await page.getByLabel("Try it here with a test key").fill(keys.aLive)
          assert.match(await send(), /Enter a test key/)
          assert.deepStrictEqual(sent, [])

          await page.getByLabel("Try it here with a test key").fill(keys.a)
          const [line = "", , ...json] = (await send()).split("\n")
          assert.strictEqual(line, "201 Created")
          assert.deepStrictEqual(JSON.parse(json.join("\n")).price, { amount: "25.00", currency: "EUR" })
          assert.deepStrictEqual(sent, ["POST"])

          await create.getByLabel("Body").fill(`{"price": {"amount": 25, "currency": "EUR"}}`)
          assert.match(await send(), /^400 [^]*number_not_string/)
          await create.getByLabel("Path").fill("https://evil.example/v1/invoices")
          await create.getByLabel("Body").fill("{}")
          assert.match(await send(), /^400 /, "the request goes nowhere else")

          const kept = await page.evaluate<string>(
            "[location.href, document.cookie, JSON.stringify({ ...localStorage, ...sessionStorage })].join()"
          )
          assert.notInclude(kept, "ck_")
          await page.reload()
          assert.strictEqual(await page.getByLabel("Try it here with a test key").inputValue(), "")
          // What is refused, the browser says by itself; nothing else may be wrong.
          assert.deepStrictEqual(problems.filter((text) => !text.includes("status of 400")), [])
        }).pipe(Effect.ensuring(Effect.promise(() => context.close())))
      }),
    60_000
  )
})

/** Runs an example with its key in the environment that it reads, and answers with the status it saw. */
const evaluate = async (text: string, key: string): Promise<number> => {
  let status = 0
  const spied: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    status = response.status
    return response
  }
  const body = new Function("fetch", "process", `return (async () => { ${text} })()`)
  await (body(spied, { env: { CHECKOUT_KEY: key } }) as Promise<void>).catch(() => {})
  return status
}
