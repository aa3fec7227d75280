/** Serves the document and the pages made of it. Nothing on them comes from anywhere else. */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { randomBytes } from "node:crypto"
import { errors, reference } from "./Docs.ts"
import { script, style } from "./DocsAssets.ts"
import { document } from "./Document.ts"
import { PublicUrl } from "./InvoiceResource.ts"

const assets: Readonly<Record<string, string>> = { style, script }

export const layer = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const publicUrl = yield* PublicUrl
  const json = JSON.stringify({ ...document, servers: [{ url: publicUrl }] })
  const pages = { "/docs": reference(publicUrl), "/docs/errors": errors } as const

  yield* router.add(
    "GET",
    "/openapi.json",
    HttpServerResponse.text(json, { contentType: "application/json", headers: open })
  )
  for (const [path, html] of Object.entries(pages)) {
    yield* router.add("GET", path as keyof typeof pages, Effect.sync(() => withNonce(html)))
  }
}))

/** The contract is no secret: a tool on any page may read it. */
const open = { "access-control-allow-origin": "*", "cache-control": "public, max-age=300" }

const withNonce = (html: string) => {
  const nonce = randomBytes(16).toString("base64")
  const body = html.replaceAll(
    /\{(nonce|style|script)\}/g,
    (_, part: string) => part === "nonce" ? nonce : assets[part]!
  )
  return HttpServerResponse.html(body).pipe(HttpServerResponse.setHeaders({
    "cache-control": "no-store",
    "content-security-policy":
      `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  }))
}
