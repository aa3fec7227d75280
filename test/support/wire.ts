/** A wire to Postgres that a test can tear or silence. */
import { Effect, Layer, Redacted } from "effect"
import * as net from "node:net"
import * as Database from "#adapters/postgres/Database.ts"
import { freshDatabase } from "./database.ts"

/** `torn`: connections break, and new ones are refused. `silent`: nothing gets through, and nobody is told. */
type State = "whole" | "torn" | "silent"

/** A fresh database, and the wire to it that its pool is on. */
export const makeWire = () => {
  let state: State = "whole"
  const ends = new Set<net.Socket>()
  const becomes = (next: State) =>
    Effect.sync(() => {
      state = next
      if (next !== "silent") { for (const end of ends) end.destroy() }
    })

  const layer = Layer.unwrap(Effect.gen(function*() {
    const url = new URL(Redacted.value(yield* freshDatabase))
    const { hostname, port } = url
    const server = net.createServer((near) => {
      if (state === "torn") return near.destroy()
      const far = net.connect(Number(port), hostname)
      for (const [from, to] of [[near, far], [far, near]] as const) {
        ends.add(from)
        from.on("data", (data) => state === "whole" && to.write(data))
        from.on("error", () => undefined)
        from.on("close", () => {
          ends.delete(from)
          to.destroy()
        })
      }
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    yield* Effect.addFinalizer(() => Effect.andThen(becomes("torn"), Effect.sync(() => server.close())))
    url.host = `127.0.0.1:${(server.address() as net.AddressInfo).port}`
    return Database.layer({ url: Redacted.make(url.toString()), maxConnections: 12 })
  }))
  return { layer, becomes }
}
