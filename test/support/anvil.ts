/** A development chain for one test, in a temporary folder, gone with the test's scope. */
import { Effect } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createTestClient, encodeFunctionData, type Hex, http, parseAbi, publicActions, walletActions } from "viem"
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

/** Takes no money, and says so: its code is `revert(0, 0)`. */
export const failingContract = { address: `0x${"bad".padStart(40, "0")}`, bytecode: "0x60006000fd" } as const

const testToken = parseAbi([
  "function transferToMany(address[] to, uint256 value)",
  "function mint(address to, uint256 value)"
])

/** A payment of 7 of the coin's or token's smallest unit to each; one that fails is included all the same. */
export const payment = (
  token: Hex | null,
  to: ReadonlyArray<Hex>,
  succeeds = true
): { to: Hex; value?: bigint; data?: Hex } => {
  const [first = failingContract.address] = to
  if (token === null) return { to: succeeds ? first : failingContract.address, value: 7n }
  const value = succeeds ? 7n : 2n ** 255n
  return { to: token, data: encodeFunctionData({ abi: testToken, functionName: "transferToMany", args: [to, value] }) }
}
