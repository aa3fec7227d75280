import { assert, beforeAll, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { gzipSync } from "node:zlib"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { Views } from "#ports/Views.ts"
import { buildWeb } from "../../../scripts/build-web.ts"
import { makeWorld, serve, type World } from "../../support/checkoutServer.ts"
import { invoiceId, merchant, stories, type Story } from "../../support/payerStories.ts"

let web = ""
beforeAll(async () => {
  web = await buildWeb()
})

const page = Effect.fnUntraced(function*(name: string, search = "", options = {}) {
  const origin = yield* serve(makeWorld(stories[name]!(yield* DateTime.now)), options)
  return yield* get(`${origin}/i/${invoiceId}${search}`)
})
const get = (url: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, { redirect: "manual", ...init })
    return { status: response.status, headers: response.headers, html: await response.text() }
  })
/** What a reader sees: without the script's data, the tags and the doubled spaces. */
const textOf = (html: string) =>
  html.replaceAll(/<(script|style|head)\b.*?<\/\1>/gs, "").replaceAll(/<[^>]+>/g, " ").replaceAll(/\s+/g, " ")

/** By story: what must be read on the page, the headline first; then what must not. */
const pages: Readonly<Record<string, readonly [seen: ReadonlyArray<string>, unseen?: ReadonlyArray<string>]>> = {
  choosing: [["How would you like to pay?", "USDC on Base", "27.106148", "0.0082989"], ["Copy"]],
  "choosing in test mode": [["How would you like to pay?", "Test mode", "DAI on Development chain"]],
  waiting: [["Send exactly 27.106148 USDC on Base", "Waiting for your payment", "Copy the address", "0x7E5F"]],
  "waiting for ether": [["Send exactly 0.0082989 ETH on Ethereum", "1 ETH = €3,012.45"]],
  "waiting for a top-up": [["Send any amount of USDC on Base", "Any amount"], ["exactly"]],
  "waiting while the network is behind": [["Send exactly 27.106148 USDC", "Our view of Base is delayed"]],
  partial: [["€11.15 received, €13.85 to go", "15.006148", "5 of 10 confirmations", "rather have it back"]],
  "partial and confirmed": [["€11.15 received, €13.85 to go", "Pay with another coin", "Confirmed"]],
  seen: [["Payment seen", "3 of 10 confirmations, about 14 s to go", "You can close this page"], ["Copy the address"]],
  paid: [["Paid", "€25.00 to Blue Mug Coffee", "Back to Blue Mug Coffee", "Confirmed"], ["Copy the address"]],
  "paid in two": [["Paid", "12.1 USDC", "15.006148 USDC"]],
  overpaid: [["Paid, with €4.97 too much", "paid in full"]],
  "paid late": [["Paid, a little late", "has accepted it", "Confirmed, arrived late"]],
  underpaid: [["We have your money and are looking at it", "Less arrived", invoiceId]],
  late: [["We have your money and are looking at it", "after its time was up"]],
  "wrong asset": [["We have your money and are looking at it", "not the one asked for", "0.01 ETH"]],
  "paid after cancel": [["We have your money and are looking at it", "had been canceled"]],
  stuck: [["We have your money and are looking at it", "unusually long"]],
  reversed: [["The network took the payment back", "It may return by itself"]],
  expired: [["This price has expired", "still watching this address"], ["Copy the address"]],
  canceled: [["This order was canceled", "do not send anything"], ["Copy the address"]],
  checking: [["Checking the network…", "until then nothing expires"], ["Copy the address"]]
}

describe("the page as the server draws it", () => {
  it("is described here for every story", () =>
    assert.deepStrictEqual(Object.keys(pages).sort(), Object.keys(stories).sort()))

  for (const [name, [seen, unseen = []]] of Object.entries(pages)) {
    it.live(`says it in words when ${name}`, () =>
      Effect.gen(function*() {
        const { html, status } = yield* page(name)
        const text = textOf(html)
        assert.strictEqual(status, 200)
        for (const words of seen) assert.include(text, words)
        for (const words of unseen) assert.notInclude(text, words)
        const headline = textOf(/<h1>.*?<\/h1>/s.exec(html)?.[0] ?? "").trim()
        assert.isTrue(headline.startsWith(seen[0] ?? ""), headline)
        assert.notMatch(html.replace(/<script type="application\/json".*/s, ""), /undefined|\[object|NaN/)
      }))
  }

  it.live("shows the method of the address bar, with a code for its link", () =>
    Effect.gen(function*() {
      const { html } = yield* page("choosing", "?method=ethereum-usdc&code=link")
      assert.include(textOf(html), "Send exactly 27.106148 USDC on Ethereum")
      assert.include(html, "QR code with a payment link for wallets")
    }))

  it.live("ignores a method that the invoice does not have", () =>
    Effect.gen(function*() {
      const { html } = yield* page("choosing", "?method=%22%3E%3Cscript%3E")
      assert.include(textOf(html), "How would you like to pay?")
    }))

  it.live("lets no text of a merchant's become part of the page", () =>
    Effect.gen(function*() {
      const { details, heights } = stories["waiting"]!(yield* DateTime.now)
      const evil = "</script><img src=x onerror=alert(1)>"
      const world = makeWorld({ details: { ...details, description: evil, orderId: evil }, heights })
      const origin = yield* serve(world)
      const { html } = yield* get(`${origin}/i/${invoiceId}`)
      assert.notInclude(html, "<img")
      assert.strictEqual(html.split("</script>").length, 3)
    }))
})

describe("the page's headers", () => {
  it.live("allow nothing but our own script and style, by a nonce that is new each time", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* page("waiting"), yield* page("waiting")]
      const policy = one.headers.get("content-security-policy") ?? ""
      const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? "none"
      assert.include(policy, "default-src 'none'")
      assert.include(policy, `frame-ancestors ${merchant.branding.website}`)
      assert.notMatch(policy, /unsafe|\*/)
      for (const [tag] of one.html.matchAll(/<(script type="module"|style)[^>]*>/g)) assert.include(tag, nonce)
      assert.notMatch(one.html, /\sstyle=|\son[a-z]+=|javascript:/)
      assert.notStrictEqual(policy, two.headers.get("content-security-policy"))
    }))

  it.live("set no cookie, keep nothing, tell nobody, and name no other origin", () =>
    Effect.gen(function*() {
      const { headers, html } = yield* page("seen")
      assert.strictEqual(headers.get("set-cookie"), null)
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
      assert.strictEqual(headers.get("x-robots-tag"), "noindex")
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      const loaded = [...html.matchAll(/<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]*)"/g)].map(([, url]) => url)
      assert.isTrue(loaded.every((url) => url?.startsWith("/assets/") || url === "data:,"), loaded.join())
    }))
})

describe("what is not there", () => {
  for (const id of ["inv_01m8x4p7h2f3g9k6q5r0s1t8v0", "nonsense", "..%2f..%2fetc"]) {
    it.live(`answers ${id} with a friendly 404`, () =>
      Effect.gen(function*() {
        const origin = yield* serve(makeWorld(stories["paid"]!(yield* DateTime.now)))
        const { html, status } = yield* get(`${origin}/i/${id}`)
        assert.strictEqual(status, 404)
        assert.include(textOf(html), "There is nothing to pay here")
      }))
  }

  it.live("asks for patience while the database is away, and shows the page once it is back", () =>
    Effect.gen(function*() {
      const world = makeWorld(stories["paid"]!(yield* DateTime.now))
      let away = true
      const ports = Layer.effect(
        Views,
        Effect.map(Views, ({ get, list }) => ({
          list,
          get: (view, key) =>
            Effect.suspend(() =>
              away && view.name === "merchants"
                ? Effect.fail(new StoreUnavailable({ reason: "away", retryAfterSeconds: 3 }))
                : get(view, key)
            )
        } satisfies Views["Service"]))
      )
      const origin = yield* serve({ ...world, ports: Layer.provideMerge(ports, world.ports) })
      const { headers, html, status } = yield* get(`${origin}/i/${invoiceId}`)
      assert.deepStrictEqual([status, headers.get("retry-after")], [503, "3"])
      assert.include(textOf(html), "Money already sent is safe")
      away = false
      assert.strictEqual((yield* get(`${origin}/i/${invoiceId}`)).status, 200)
    }))
})

describe("the assets", () => {
  it.live("are kept for ever, compressed, and nothing else is served", () =>
    Effect.gen(function*() {
      const origin = yield* serve(makeWorld(stories["paid"]!(yield* DateTime.now)))
      const { html } = yield* get(`${origin}/i/${invoiceId}`)
      const script = /src="(\/assets\/[^"]+)"/.exec(html)?.[1] ?? ""
      const { headers, status } = yield* get(origin + script, { headers: { "accept-encoding": "br" } })
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-encoding"), "br")
      assert.include(headers.get("cache-control") ?? "", "immutable")
      assert.strictEqual((yield* get(`${origin}/assets/manifest.json`)).status, 404)
      assert.strictEqual((yield* get(`${origin}/assets/..%2fmanifest.json`)).status, 404)
    }))

  it("hold nothing of the machine they were built on", () => {
    const built = fs.readdirSync(web, { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.(m?js|css|json)$/.test(name)
    )
    assert.isAtLeast(built.length, 4)
    for (const name of built) {
      const text = fs.readFileSync(path.join(web, name), "utf8")
      assert.isFalse(text.includes(process.cwd()) || text.includes("jsxDEV"), name)
    }
  })

  it.live("weigh no more than 40 KB together with the largest page, style and script, zipped", () =>
    Effect.gen(function*() {
      const { script } = JSON.parse(fs.readFileSync(path.join(web, "manifest.json"), "utf8")) as { script: string }
      const scriptBytes = fs.statSync(path.join(web, "assets", `${script}.gz`)).size
      for (const name of Object.keys(stories)) {
        const { html } = yield* page(name)
        assert.isAtMost(gzipSync(html).length + scriptBytes, 40_000, name)
      }
    }))
})

describe("the demo", () => {
  const paid: Array<string> = []
  const demo = {
    pay: (id: string, method: string) => Effect.sync(() => void paid.push(`${id} ${method}`)),
    webhooks: "/demo/webhooks"
  }
  const postTo = Effect.fnUntraced(function*(story: Story, method: string) {
    const origin = yield* serve(makeWorld(story), { demo })
    return yield* get(`${origin}/demo/pay/${invoiceId}?method=${method}`, { method: "POST" })
  })

  it.live("offers to pay on the development chain, by a form that needs no script", () =>
    Effect.gen(function*() {
      const { html } = yield* page("choosing in test mode", "?method=dev-usdc", { demo })
      assert.include(html, `method="post" action="/demo/pay/${invoiceId}?method=dev-usdc"`)
      assert.include(textOf(html), "See the webhooks")
      const { headers, status } = yield* postTo(stories["choosing in test mode"]!(yield* DateTime.now), "dev-usdc")
      assert.deepStrictEqual([status, headers.get("location")], [303, `/i/${invoiceId}?method=dev-usdc`])
      assert.deepStrictEqual(paid, [`${invoiceId} dev-usdc`])
    }))

  it.live("pays for nothing that is live, and by no method that is not offered", () =>
    Effect.gen(function*() {
      assert.notInclude(textOf((yield* page("waiting", "", { demo })).html), "demo")
      assert.strictEqual((yield* postTo(stories["waiting"]!(yield* DateTime.now), "base-usdc")).status, 404)
      assert.strictEqual((yield* postTo(stories["choosing in test mode"]!(yield* DateTime.now), "x")).status, 404)
    }))

  it.live("does not exist elsewhere", () =>
    Effect.gen(function*() {
      const world: World = makeWorld(stories["choosing in test mode"]!(yield* DateTime.now))
      const origin = yield* serve(world)
      const { status } = yield* get(`${origin}/demo/pay/${invoiceId}?method=dev-usdc`, { method: "POST" })
      assert.strictEqual(status, 404)
    }))
})
