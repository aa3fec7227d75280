/** A way to a server as a slow network would be: every byte is late, a connection costs a round trip, and few fit at once. */
import { Effect } from "effect"
import * as net from "node:net"

export interface Network {
  readonly roundTripMs: number
  /** Towards the client, over all its connections. */
  readonly bitsPerSecond: number
}

/** The origin that stands for the given one; closed with the scope. */
export const slowedDown = (origin: string, { bitsPerSecond, roundTripMs }: Network) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const { hostname, port } = new URL(origin)
      const open = new Set<net.Socket>()
      let wireFreeAt = 0
      const proxy = net.createServer((client) => {
        const server = net.connect(Number(port), hostname)
        // Hello and welcome are a round trip before the first byte; from then on each byte takes half of one.
        let greeting = roundTripMs
        pass(client, server, () => {
          const at = performance.now() + greeting + roundTripMs / 2
          greeting = 0
          return at
        })
        pass(server, client, (bytes) => {
          wireFreeAt = Math.max(performance.now(), wireFreeAt) + (bytes * 8000) / bitsPerSecond
          return wireFreeAt + roundTripMs / 2
        })
        for (const socket of [client, server]) {
          open.add(socket)
          socket.on("error", () => socket.destroy()).on("close", () => open.delete(socket))
        }
      })
      await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
      const close = () => {
        for (const socket of open) socket.destroy()
        return new Promise((resolve) => proxy.close(resolve))
      }
      return { origin: `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`, close }
    }),
    ({ close }) => Effect.promise(close)
  ).pipe(Effect.map(({ origin }) => origin))

/** Hands on what comes, in order, each piece when its time has come. */
const pass = (from: net.Socket, to: net.Socket, arrivesAt: (bytes: number) => number) => {
  let queue = Promise.resolve()
  const later = (at: number, action: () => void) => {
    queue = queue
      .then(() => new Promise<void>((resolve) => void setTimeout(resolve, Math.max(0, at - performance.now()))))
      .then(action)
  }
  from.on("data", (chunk) => later(arrivesAt(chunk.length), () => void to.write(chunk)))
  from.on("end", () => later(arrivesAt(0), () => to.end()))
}
