/** The checkout's routes on a real server with a random port, over rows that a test writes. */
import { NodeHttpServer } from "@effect/platform-node"
import { DateTime, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Checkout from "#adapters/checkout/Checkout.ts"
import { websocket } from "#adapters/http/Server.ts"
import * as MemoryChanges from "#adapters/memory/Changes.ts"
import { Changes } from "#ports/Changes.ts"
import { ChainLedger } from "#ports/ChainLedger.ts"
import { Shutdown } from "#ports/Shutdown.ts"
import { Views } from "#ports/Views.ts"
import { merchant } from "./payerStories.ts"
import type { Story } from "./payerStories.ts"

/** Shows the same invoice, as the story goes on. */
export const makeWorld = (first: Story) => {
  let story = first
  let reads = 0
  let announce: Changes["Service"]["announce"] = () => Effect.void
  const ports = Layer.mergeAll(
    Layer.effect(Changes, Effect.map(Changes, (changes) => (announce = changes.announce) && changes)).pipe(
      Layer.provide(MemoryChanges.layer)
    ),
    Layer.succeed(Views, {
      get: (view, key) =>
        Effect.sync(() => {
          reads++
          const owner = story.merchant ?? merchant
          const row = view.name === "merchants" ? owner : key === story.details.id ? story.details : null
          return row as never
        }),
      list: () => Effect.succeed([])
    }),
    Layer.mock(ChainLedger, {
      heights: Effect.sync(() =>
        story.heights.map((height) => ({ ...height, time: DateTime.makeUnsafe(0), finalized: 0 }))
      )
    })
  )
  return {
    ports,
    reads: () => reads,
    now: () => story,
    /** Changes the rows, and tells nobody. */
    silently: (next: Story) => void (story = next),
    becomes: (next: Story) => {
      story = next
      Effect.runSync(announce([next.details.id]))
    }
  }
}
export type World = ReturnType<typeof makeWorld>

/** The server's origin; closed with the scope. */
export const serve = (world: World, options: Checkout.Options & { readonly port?: number } = {}) =>
  Effect.gen(function*() {
    const routes = HttpRouter.serve(Checkout.layer(options), { disableLogger: true, disableListenLog: true })
    const server = Shutdown.trigger.pipe(
      Layer.provideMerge(routes),
      Layer.provide([world.ports, Shutdown.layer]),
      Layer.provideMerge(
        NodeHttpServer.layer(() => createServer(), {
          port: options.port ?? 0,
          host: "127.0.0.1",
          websocket
        })
      )
    )
    const context = yield* Layer.build(server)
    const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
    return "port" in address ? `http://127.0.0.1:${address.port}` : ""
  })
