/** The demo shop's own webhook receiver: verifies what it is sent as any shop should, and shows it. */
import { Context, DateTime, Effect, Layer, Redacted, Ref, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomBytes } from "node:crypto"
import { Webhook } from "standardwebhooks"

/** Kept for showing; older ones are forgotten. */
const kept = 100

const Received = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  verified: Schema.Boolean,
  receivedAt: Schema.String,
  signature: Schema.String,
  body: Schema.Unknown
})
type Received = typeof Received.Type

/** The secret that the demo's endpoint signs with; set once the endpoint is registered. */
export class SinkSecret extends Context.Service<SinkSecret, Ref.Ref<Redacted.Redacted<string> | null>>()(
  "checkout/demo/SinkSecret"
) {
  static readonly layer = Layer.effect(SinkSecret, Ref.make<Redacted.Redacted<string> | null>(null))
}

/** Where the demo merchant's endpoint points, below this server's own URL. */
export const sinkPath = "/demo/webhooks"

const typeOf = (body: unknown) =>
  typeof body === "object" && body !== null && "type" in body && typeof body.type === "string" ? body.type : "unknown"

export const layer = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const secret = yield* SinkSecret
  const log = yield* Ref.make<ReadonlyArray<Received>>([])

  const receive = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const text = yield* request.text
    const current = yield* Ref.get(secret)
    const { "webhook-id": id = "", "webhook-signature": signature = "", "webhook-timestamp": timestamp = "" } =
      request.headers
    const headers = { "webhook-id": id, "webhook-signature": signature, "webhook-timestamp": timestamp }
    const verified = yield* Effect.try({
      try: () => current !== null && new Webhook(Redacted.value(current)).verify(text, headers) !== undefined,
      catch: () => false
    }).pipe(Effect.catch(Effect.succeed))
    const body: unknown = yield* Effect.try({ try: () => JSON.parse(text) as unknown, catch: () => text }).pipe(
      Effect.catch(Effect.succeed)
    )
    const receivedAt = DateTime.formatIso(yield* DateTime.now)
    const received: Received = { id, type: typeOf(body), verified, receivedAt, signature, body }
    yield* Ref.update(log, (before) => [received, ...before].slice(0, kept))
    return HttpServerResponse.empty({ status: verified ? 204 : 400 })
  })

  const list = Effect.map(Ref.get(log), (received) => HttpServerResponse.jsonUnsafe({ data: received }))

  const page = Effect.map(Ref.get(log), (received) => {
    const nonce = randomBytes(16).toString("base64")
    return HttpServerResponse.html(html(received, nonce)).pipe(
      HttpServerResponse.setHeaders({
        "content-security-policy":
          `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer"
      })
    )
  })

  yield* router.add("POST", sinkPath, receive)
  yield* router.add("GET", sinkPath, page)
  yield* router.add("GET", `${sinkPath}.json`, list)
}))

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const html = (received: ReadonlyArray<Received>, nonce: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="2"><title>Webhooks received</title>
<style nonce="${nonce}">
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.35rem;margin:0 0 .5rem} p{opacity:.75}
details{border:1px solid color-mix(in srgb,currentColor 18%,transparent);border-radius:12px;padding:.75rem 1rem;margin:.75rem 0}
summary{cursor:pointer;display:flex;gap:1rem;align-items:baseline;list-style:none}
summary b{flex:1} time,small{opacity:.65;font-variant-numeric:tabular-nums}
pre{overflow:auto;font-size:13px;line-height:1.45}
</style>
<h1>Webhooks received</h1>
<p>The demo shop's own receiver. Each one was checked against its signature before it was believed.</p>
${received.length === 0 ? "<p>Nothing yet: pay an invoice.</p>" : received.map(entry).join("\n")}
</html>`

const entry = ({ body, id, receivedAt, signature, type, verified }: Received) =>
  `<details><summary><b>${escape(type)}</b><small>${verified ? "signature valid" : "SIGNATURE WRONG"}</small><time>${
    escape(receivedAt.slice(11, 19))
  }</time></summary><pre>webhook-id: ${escape(id)}
webhook-signature: ${escape(signature)}

${escape(JSON.stringify(body, null, 2))}</pre></details>`
