/** A merchant's webhook receiver: keeps what it is sent, once verified by the library that integrators use. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Webhook } from "standardwebhooks"

export interface Received {
  readonly id: string
  readonly type: string
  readonly data: { readonly invoiceId: string; readonly status: string; readonly [field: string]: unknown }
}

export interface Receiver {
  readonly url: string
  /** Every verified request, in order; the same id twice if it was sent twice. */
  readonly received: ReadonlyArray<Received>
  /** Requests whose signature was wrong. */
  readonly forged: () => number
  /** Set as soon as the endpoint has told its secret. */
  readonly trust: (secret: string) => void
  readonly close: () => Promise<void>
}

export const startReceiver = async (): Promise<Receiver> => {
  const received: Array<Received> = []
  let forged = 0
  let secret = ""
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => (body += String(chunk)))
    request.on("end", () => {
      try {
        new Webhook(secret).verify(body, request.headers as Record<string, string>)
        received.push({ ...(JSON.parse(body) as Received), id: String(request.headers["webhook-id"]) })
        response.writeHead(204).end()
      } catch {
        forged++
        response.writeHead(400).end()
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    received,
    forged: () => forged,
    trust: (told) => (secret = told),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}
