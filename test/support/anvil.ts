/** A development chain for one test, in a temporary folder, gone with the test's scope. */
import { Effect } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createTestClient, http, publicActions, walletActions } from "viem"
import { foundry } from "viem/chains"
import * as Anvil from "#adapters/embedded/Anvil.ts"

/** A folder that is removed when the scope closes. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(tmpdir(), "checkout-anvil-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** A node that mines when it is told to or paid, with test tokens on it. */
export const furnished = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const { url } = yield* Anvil.start({ folder })
  const contracts = yield* Anvil.deployDevContracts(url)
  return { url, contracts, client: clientOf(url) }
})

/** As the owner of the node, and of all test money. */
export const clientOf = (url: string) =>
  createTestClient({ mode: "anvil", chain: foundry, pollingInterval: 20, transport: http(url, { retryCount: 0 }) })
    .extend(publicActions).extend(walletActions)
export type Client = ReturnType<typeof clientOf>
