/** The page as the server sends it: complete HTML, its headers, and the assets it names. */
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { accentOn } from "./Accent.ts"
import type { Snapshot } from "./Snapshots.ts"

/** All that the page is drawn from. The browser gets the same, and draws the same. */
export interface PageProps {
  readonly snapshot: Snapshot
  /** The method picked, from the address bar; `choose` to pick again. */
  readonly method: string | null
  /** What the QR code holds. */
  readonly code: "address" | "link"
  readonly demo: DemoLinks | null
}

export interface DemoLinks {
  /** Where the demo shop shows the webhooks it got. */
  readonly webhooks: string | null
}

/** Pages that are about no invoice. */
export type Notice = "not_found" | "unavailable"

/** What `web/checkout/server.tsx` gives. */
export interface ServerBundle {
  readonly page: (props: PageProps) => { readonly title: string; readonly body: string }
  readonly notice: (notice: Notice) => { readonly title: string; readonly body: string }
}

interface Asset {
  readonly type: string
  readonly plain: Uint8Array
  readonly encoded: ReadonlyMap<string, Uint8Array>
}

/** What `scripts/build-web.ts` leaves in its folder. */
export interface Web {
  readonly bundle: ServerBundle
  readonly style: string
  readonly script: string
  readonly assets: ReadonlyMap<string, Asset>
}

const types: Readonly<Record<string, string>> = { ".js": "text/javascript; charset=utf-8", ".css": "text/css" }

/** Reads the built page, once. A page that was never built is a mistake of whoever starts us, and said so at once. */
export const load = (folder: string): Effect.Effect<Web> =>
  Effect.promise(async () => {
    const manifest = await fs.readFile(path.join(folder, "manifest.json"), "utf8").catch(() => {
      throw new Error(`There is no checkout page in ${folder}. Build it: node scripts/build-web.ts`)
    })
    const { script, server, style } = JSON.parse(manifest) as Record<"script" | "server" | "style", string>
    const bundle = await import(pathToFileURL(path.join(folder, server)).href) as ServerBundle
    const assets = new Map<string, Asset>()
    const names = await fs.readdir(path.join(folder, "assets"))
    const read = (name: string) => fs.readFile(path.join(folder, "assets", name))
    for (const name of names.filter((name) => types[path.extname(name)] !== undefined)) {
      const encoded = new Map<string, Uint8Array>()
      for (const [coding, ending] of [["br", ".br"], ["gzip", ".gz"]] as const) {
        if (names.includes(name + ending)) encoded.set(coding, await read(name + ending))
      }
      assets.set(name, { type: types[path.extname(name)] ?? "", plain: await read(name), encoded })
    }
    return { bundle, script, style: await fs.readFile(path.join(folder, style), "utf8"), assets }
  })

/** Named by its content, so it never changes and may be kept for ever. */
export const assetResponse = (web: Web, name: string, accepts: string): HttpServerResponse.HttpServerResponse => {
  const asset = web.assets.get(name)
  if (asset === undefined) return HttpServerResponse.empty({ status: 404 })
  const coding = [...asset.encoded.keys()].find((coding) => accepts.includes(coding))
  return HttpServerResponse.uint8Array(asset.encoded.get(coding ?? "") ?? asset.plain, {
    contentType: asset.type,
    headers: {
      "cache-control": "public, max-age=31536000, immutable",
      vary: "accept-encoding",
      "x-content-type-options": "nosniff",
      ...(coding !== undefined && { "content-encoding": coding })
    }
  })
}

export const pageResponse = (web: Web, props: PageProps, host: string | undefined) => {
  const { body, title } = web.bundle.page(props)
  const { accent, website } = props.snapshot.merchant
  const settled = ["paid", "overpaid", "paid_late", "canceled"].includes(props.snapshot.state)
  return document(web, {
    title,
    body,
    accent,
    host,
    status: 200,
    // The shop may show the page in a frame; nobody else may.
    ancestors: website !== null && URL.canParse(website) ? new URL(website).origin : null,
    props,
    // Without JavaScript the page follows the payment by loading itself again.
    refreshSeconds: settled ? null : 10
  })
}

/** Neutral: there is no merchant to take a colour from. */
const noAccent = "#3b4252"

export const noticeResponse = (web: Web, notice: Notice, retryAfterSeconds?: number) => {
  const unavailable = notice === "unavailable"
  const response = document(web, {
    ...web.bundle.notice(notice),
    accent: noAccent,
    host: undefined,
    status: unavailable ? 503 : 404,
    ancestors: null,
    props: null,
    refreshSeconds: unavailable ? 5 : null
  })
  return retryAfterSeconds === undefined
    ? response
    : HttpServerResponse.setHeader(response, "retry-after", String(retryAfterSeconds))
}

interface Document {
  readonly title: string
  readonly body: string
  readonly accent: string
  readonly host: string | undefined
  readonly status: number
  readonly ancestors: string | null
  readonly props: PageProps | null
  readonly refreshSeconds: number | null
}

const document = (web: Web, page: Document): HttpServerResponse.HttpServerResponse => {
  const nonce = randomBytes(16).toString("base64")
  const refresh = page.refreshSeconds === null
    ? ""
    : `<noscript><meta http-equiv="refresh" content="${page.refreshSeconds}"></noscript>`
  const script = page.props === null
    ? ""
    : `<script type="application/json" id="props">${json(page.props)}</script>` +
      `<script type="module" nonce="${nonce}" src="/assets/${web.script}"></script>`
  const html =
    `<!doctype html><html lang="en" dir="ltr"><head><meta charset="utf-8"><title>${text(page.title)}</title>` +
    `<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">` +
    `<meta name="color-scheme" content="light dark"><meta name="format-detection" content="telephone=no">` +
    `<link rel="icon" href="data:,">${refresh}<style nonce="${nonce}">${colours(page.accent)}${web.style}</style>` +
    `<noscript><style nonce="${nonce}">.js{display:none!important}</style></noscript></head>` +
    `<body><div id="page">${page.body}</div>${script}</body></html>`
  return HttpServerResponse.text(html, {
    status: page.status,
    contentType: "text/html; charset=utf-8",
    headers: {
      "cache-control": "no-store",
      "content-security-policy": policy(nonce, page),
      "cross-origin-opener-policy": "same-origin",
      "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-robots-tag": "noindex"
    }
  })
}

/** Nothing from anywhere else, and no script or style but ours. */
const policy = (nonce: string, { ancestors, host }: Document): string => {
  // Safari before 15.4 does not count its own WebSocket as 'self'.
  const sockets = host !== undefined && /^[\w.[\]:-]+$/.test(host) ? ` ws://${host} wss://${host}` : ""
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "img-src 'self' data:",
    `connect-src 'self'${sockets}`,
    "form-action 'self'",
    "base-uri 'none'",
    `frame-ancestors ${ancestors ?? "'none'"}`
  ].join("; ")
}

/** The backgrounds of `style.css`, which the accent must be readable on. */
export const backgrounds = { light: "#ffffff", dark: "#15171c" }

const colours = (merchant: string): string => {
  const rule = (background: string) => {
    const { fill, onFill, text } = accentOn(merchant, background)
    return `:root{--accent:${text};--fill:${fill};--on-fill:${onFill}}`
  }
  return `${rule(backgrounds.light)}@media (prefers-color-scheme:dark){${rule(backgrounds.dark)}}`
}

const text = (value: string) => value.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
/** JSON inside HTML: no text in it can end the element. */
const json = (value: unknown) => JSON.stringify(value).replaceAll("<", "\\u003c")
