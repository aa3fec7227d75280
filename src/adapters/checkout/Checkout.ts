/** The payer's side of the server: the page, its assets, and the invoice as it changes. */
import { Effect, Layer } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { fileURLToPath } from "node:url"
import * as Live from "./Live.ts"
import * as Page from "./Page.ts"
import * as Snapshots from "./Snapshots.ts"

interface Demo extends Page.DemoLinks {
  /** Pays what is left by the method (`dev-usdc`), from a wallet that the demo holds. */
  readonly pay: (invoiceId: string, method: string) => Effect.Effect<void>
}

export interface Options extends Live.LiveOptions {
  /** Where `scripts/build-web.ts` has put the page. */
  readonly web?: string
  /** On the development chain only: a button that pays. */
  readonly demo?: Demo
}

const defaultWeb = fileURLToPath(new URL("../../../dist/web", import.meta.url))

/** Needs `Views`, `ChainLedger`, `Changes` and `Shutdown`, at whose word every stream ends (sockets with code 1012). */
export const layer = (options: Options = {}) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const web = yield* Page.load(options.web ?? defaultWeb)
    const snapshots = yield* Snapshots.make
    const live = yield* Live.make(snapshots, options)
    const demo = options.demo === undefined ? null : { webhooks: options.demo.webhooks }

    const page = Effect.gen(function*() {
      const { id = "" } = yield* HttpRouter.params
      const request = yield* HttpServerRequest.HttpServerRequest
      const found = yield* Effect.result(snapshots.current(id))
      if (found._tag === "Failure") return Page.noticeResponse(web, "unavailable", found.failure.retryAfterSeconds)
      if (found.success === null) return Page.noticeResponse(web, "not_found")
      const asked = new URL(request.originalUrl, "http://self").searchParams
      const method = asked.get("method")
      const known = method === "choose" || found.success.methods.some(({ id }) => id === method)
      return Page.pageResponse(web, {
        snapshot: found.success,
        method: known ? method : null,
        code: asked.get("code") === "link" ? "link" : "address",
        demo: found.success.mode === "test" ? demo : null
      }, request.headers["host"])
    })

    const asset = Effect.gen(function*() {
      const { name = "" } = yield* HttpRouter.params
      const request = yield* HttpServerRequest.HttpServerRequest
      return Page.assetResponse(web, name, request.headers["accept-encoding"] ?? "")
    })

    yield* router.add("GET", "/i/:id", HttpMiddleware.compression()(page))
    yield* router.add("GET", "/assets/:name", asset)
    yield* router.add("GET", "/v1/live/invoices/:id", live.webSocket)
    yield* router.add("GET", "/v1/live/invoices/:id/events", live.events)
    yield* router.add("GET", "/v1/live/invoices/:id/snapshot", live.snapshot)

    const { demo: paying } = options
    if (paying === undefined) return
    yield* router.add(
      "POST",
      "/demo/pay/:id",
      Effect.gen(function*() {
        const { id = "" } = yield* HttpRouter.params
        const request = yield* HttpServerRequest.HttpServerRequest
        const method = new URL(request.originalUrl, "http://self").searchParams.get("method") ?? ""
        const found = yield* Effect.orDie(snapshots.current(id))
        if (found?.mode !== "test" || !found.methods.some((known) => known.id === method)) {
          return Page.noticeResponse(web, "not_found")
        }
        yield* paying.pay(id, method)
        return HttpServerResponse.redirect(`/i/${id}?method=${method}`, { status: 303 })
      })
    )
  })).pipe(Layer.withSpan("Checkout.layer"))
