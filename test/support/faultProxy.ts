/** A server in front of a node, which spoils its answers as long as it is told to. */
import { Effect } from "effect"
import { createServer, type ServerResponse } from "node:http"

export interface Question {
  readonly id: number
  readonly method: string
  readonly params: ReadonlyArray<unknown>
}
/** Answers in the node's stead, with what the node says where it cares to ask. */
export type Fault = (response: ServerResponse, question: Question, node: () => Promise<unknown>) => unknown

const read = async (stream: AsyncIterable<Buffer>) => {
  const parts: Array<Buffer> = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString()
}

/** What the node itself would have said. */
export const say = (response: ServerResponse, { id }: Question, result: unknown) => {
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify({ jsonrpc: "2.0", id, result }))
}

/** On loopback, gone with the scope. */
export const faultProxy = Effect.fnUntraced(function*(node: string) {
  let fault: Fault | null = null
  const server = createServer(async (request, response) => {
    const body = await read(request)
    const question = JSON.parse(body) as Question
    const ask = async () => {
      const answer = await fetch(node, { method: "POST", headers: { "content-type": "application/json" }, body })
      return (await answer.json() as { readonly result: unknown }).result
    }
    if (fault !== null) return void fault(response, question, ask)
    say(response, question, await ask())
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    /** From now on; null ends it. */
    spoil: (next: Fault | null) => void (fault = next)
  }
})
