/** The server: every route behind the same conventions, on one port, with an end that loses nobody's request. */
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { IpNetwork } from "effect/net"
import { RateLimiter } from "effect/persistence"
import { createServer } from "node:http"
import { Shutdown } from "#ports/Shutdown.ts"
import { Api } from "./Api.ts"
import * as ConventionsHttp from "./ConventionsHttp.ts"
import * as DocsHttp from "./DocsHttp.ts"
import * as EndpointsHttp from "./EndpointsHttp.ts"
import * as EventsHttp from "./EventsHttp.ts"
import * as HealthHttp from "./HealthHttp.ts"
import { PublicUrl } from "./InvoiceResource.ts"
import * as InvoicesHttp from "./InvoicesHttp.ts"
import * as Limits from "./Limits.ts"
import * as RatesHttp from "./RatesHttp.ts"
import * as Requests from "./Requests.ts"

export interface Settings {
  readonly host: string
  /** 0 takes any that is free. */
  readonly port: number
  /** How the outside reaches this server, without a slash at the end. */
  readonly publicUrl: string
  readonly limits?: Partial<Limits.Settings>
  /** Networks whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: ReadonlyArray<IpNetwork.IpNetwork>
  /** How long requests under way may take after the end has begun. */
  readonly drainSeconds?: number
  /** How long a caller may take to send the head of a request, and the whole of it. */
  readonly patienceSeconds?: { readonly head: number; readonly whole: number }
}

const handlers = Layer.mergeAll(
  InvoicesHttp.layer,
  EventsHttp.layer,
  EndpointsHttp.layer,
  RatesHttp.layer,
  HealthHttp.layer
)

/** The API and its documentation. */
const routes = Layer.mergeAll(HttpApiBuilder.layer(Api), DocsHttp.layer).pipe(
  Layer.provide(handlers),
  Layer.provide([ConventionsHttp.layerAnswered, ConventionsHttp.layerAuthenticated, ConventionsHttp.layerAsked])
)

/**
 * Serves the API and whatever further routes are given. Needs the commands and ports that they call, and `Shutdown`,
 * which is opened when the end begins, so that streams and sockets let go.
 */
export const layer = <A, E, R>(
  {
    drainSeconds = 20,
    host,
    limits = {},
    patienceSeconds: patience = { head: 10, whole: 20 },
    port,
    publicUrl,
    trustedProxies = []
  }: Settings,
  further: Layer.Layer<A, E, R>
) => {
  const served = Layer.mergeAll(routes, further, Requests.layer).pipe(
    Layer.provide(Requests.layerRouter),
    Layer.provide(Limits.Limits.layer(limits)),
    Layer.provide(Layer.succeed(PublicUrl, publicUrl))
  )
  const server = HttpRouter.serve(served, {
    disableLogger: true,
    disableListenLog: true,
    routerConfig: Requests.routerConfig,
    middleware: HttpMiddleware.xForwardedHeaders({ trustedProxies })
  }).pipe(
    Layer.provide(RateLimiter.layer),
    Layer.provide(RateLimiter.layerStoreMemory),
    Layer.provideMerge(
      NodeHttpServer.layer(() => node(patience), {
        host,
        port,
        gracefulShutdownTimeout: `${drainSeconds} seconds`,
        websocket
      })
    )
  )
  return Layer.provideMerge(Shutdown.trigger, server)
}

/** Nobody has more to say on a socket than a word, and nobody gets half a minute for a good-bye. `ws` knows both. */
export const websocket = { maxPayload: 1024, closeTimeout: 2000 }

/**
 * Who sends a request drop by drop is cut off; who is done may come back on the same connection; and who says with the
 * request that nothing more will come is answered all the same.
 */
const node = ({ head, whole }: NonNullable<Settings["patienceSeconds"]>) =>
  Object.assign(
    createServer({
      headersTimeout: head * 1000,
      requestTimeout: whole * 1000,
      connectionsCheckingInterval: 500,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16 * 1024
    }),
    { httpAllowHalfOpen: true }
  )
