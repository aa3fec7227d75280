/** A real EVM node for development, from the npm package `@foundry-rs/anvil`, with test money and price feeds on it. */
import { Effect, Schedule, Schema } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import {
  type Abi,
  createTestClient,
  encodeDeployData,
  getContractAddress,
  type Hex,
  http,
  publicActions,
  walletActions
} from "viem"
import { type Address, chains } from "#domain/Chain.ts"
import compiled from "./DevContracts.json" with { type: "json" }
import { isAlive } from "./Alive.ts"
import { freePort } from "./Ports.ts"

class AnvilFailed extends Schema.TaggedError<AnvilFailed>()("AnvilFailed", {
  doing: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `The development chain could not ${this.doing}: ${this.reason}`
  }
}

export interface Options {
  /** Keeps the chain across restarts, and the log; made if it is missing. Its state is written every few seconds. */
  readonly folder: string
  /** On loopback. Default: any that is free. */
  readonly port?: number
  /** Time between blocks. Default: a block for every transaction, at once. */
  readonly blockSeconds?: number
  /** Whose accounts hold all test money. Default: the phrase that every such node has, which is no secret. */
  readonly mnemonic?: string
}

export interface Running {
  readonly url: string
  readonly port: number
  readonly pid: number
}

/** Seconds between the times at which the chain is written to disk: what a crash of the node can cost. */
const stateInterval = 5
const patience = Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 400 }))

/**
 * Starts a node, and stops it when the scope closes. One that is still running in the folder, because the process
 * before was killed, is taken over.
 */
export const start = Effect.fn("Anvil.start")(function*({ blockSeconds, folder, mnemonic, port: wanted }: Options) {
  fs.mkdirSync(folder, { recursive: true })
  const note = path.join(folder, "anvil.json")
  const log = path.join(folder, "anvil.log")

  const before = yield* survivor(note)
  if (before !== null && (wanted === undefined || wanted === before.port)) {
    yield* Effect.addFinalizer(() => stop(before.pid, note))
    return before
  }
  if (before !== null) yield* stop(before.pid, note)

  const port = wanted ?? (yield* freePort)
  const flags = {
    "--port": port,
    "--chain-id": chains.dev.chainId,
    "--state": path.join(folder, "state.json"),
    "--state-interval": stateInterval,
    ...(blockSeconds !== undefined && { "--block-time": blockSeconds }),
    ...(mnemonic !== undefined && { "--mnemonic": mnemonic })
  }
  const output = fs.openSync(log, "w")
  const node = spawn(
    yield* binary,
    ["--host", "127.0.0.1", ...Object.entries(flags).flatMap(([flag, value]) => [flag, String(value)])],
    // A group of its own: Ctrl-C is for us, and we stop the node when we no longer need it.
    { stdio: ["ignore", output, output], detached: true }
  )
  fs.closeSync(output)
  // Without a listener, a program that cannot be run would end ours.
  node.on("error", () => {})
  node.unref()
  const gone = Effect.callback<never, "gone">((resume) => {
    node.once("exit", () => resume(Effect.fail("gone")))
  })
  const pid = node.pid
  if (pid === undefined) return yield* new AnvilFailed({ doing: "start", reason: `${node.spawnfile} cannot be run` })
  const running: Running = { url: `http://127.0.0.1:${port}`, port, pid }
  fs.writeFileSync(note, JSON.stringify(running))
  yield* Effect.addFinalizer(() => stop(pid, note))

  yield* answers(running).pipe(
    Effect.retry(patience),
    Effect.raceFirst(gone),
    Effect.mapError(() => new AnvilFailed({ doing: "start", reason: fs.readFileSync(log, "utf8").trim().slice(-600) }))
  )
  return running
})

/** The program itself and not its launcher, which would outlive or orphan it. */
const binary = Effect.try({
  try: () => {
    const architecture = process.arch === "x64" ? "amd64" : process.arch
    const file = process.platform === "win32" ? "anvil.exe" : "anvil"
    const launcher = createRequire(import.meta.url).resolve("@foundry-rs/anvil/package.json")
    return createRequire(launcher).resolve(`@foundry-rs/anvil-${process.platform}-${architecture}/bin/${file}`)
  },
  catch: () =>
    new AnvilFailed({
      doing: "be found",
      reason: `there is no build for ${process.platform}-${process.arch}. Set CHAIN_RPC to a node of your own.`
    })
})

const clientOf = ({ url }: Pick<Running, "url">) =>
  createTestClient({ mode: "anvil", transport: http(url, { retryCount: 0, timeout: 10_000 }) })
    .extend(publicActions).extend(walletActions)

const answers = (running: Running) =>
  Effect.tryPromise({ try: () => clientOf(running).getChainId(), catch: () => "silent" as const }).pipe(
    Effect.filterOrFail((id) => id === chains.dev.chainId, () => "another" as const)
  )

/** A node that outlived a killed process of ours. A number that now belongs to something else does not answer. */
const survivor = (note: string) =>
  Effect.suspend(() => {
    if (!fs.existsSync(note)) return Effect.succeed(null)
    const running = JSON.parse(fs.readFileSync(note, "utf8")) as Running
    return isAlive(running.pid)
      ? answers(running).pipe(Effect.as(running), Effect.orElseSucceed(() => null))
      : Effect.succeed(null)
  })

/** It writes its state before it goes. One that does not go within the patience is killed. */
const stop = (pid: number, note: string) =>
  Effect.suspend(() => isAlive(pid) ? Effect.sync(() => process.kill(pid, "SIGINT")) : Effect.void).pipe(
    Effect.andThen(
      Effect.suspend(() => isAlive(pid) ? Effect.fail("alive") : Effect.void).pipe(Effect.retry(patience))
    ),
    Effect.catch(() => Effect.sync(() => process.kill(pid, "SIGKILL"))),
    Effect.andThen(Effect.sync(() => fs.rmSync(note, { force: true })))
  )

interface Contract {
  readonly abi: Abi
  readonly bytecode: Hex
}
const { TestPriceFeed, TestToken } = compiled as unknown as Readonly<Record<keyof typeof compiled, Contract>>

/** What stands on the development chain, in the order of the first account's transactions: hence the addresses. */
const furniture = [
  { contract: TestToken, args: ["USD Coin", "USDC", 6] },
  { contract: TestToken, args: ["Dai", "DAI", 18] },
  { contract: TestPriceFeed, args: ["ETH / USD", 2_500_00000000n] },
  { contract: TestPriceFeed, args: ["EUR / USD", 1_08000000n] }
]

interface DevContracts {
  readonly usdc: Address
  readonly dai: Address
  /** Price feeds as Chainlink's, with eight decimals. */
  readonly ethUsd: Address
  readonly eurUsd: Address
}

/** Deploys what is missing, so it may be called at every start. Needs a node that holds its accounts' keys. */
export const deployDevContracts = Effect.fn("Anvil.deployDevContracts")(function*(url: string) {
  const client = clientOf({ url })
  const attempt = <A>(promise: () => Promise<A>) =>
    Effect.tryPromise({
      try: promise,
      catch: (error) => new AnvilFailed({ doing: "be furnished", reason: error instanceof Error ? error.name : "" })
    })
  const [owner] = yield* attempt(() => client.getAddresses())
  if (owner === undefined) return yield* new AnvilFailed({ doing: "be furnished", reason: "it has no accounts" })

  const addresses = furniture.map((_, nonce) => getContractAddress({ from: owner, nonce: BigInt(nonce) }))
  for (const [nonce, { args, contract }] of furniture.entries()) {
    const address = addresses[nonce]
    if (address === undefined || (yield* attempt(() => client.getCode({ address }))) !== undefined) continue
    const data = encodeDeployData({ ...contract, args })
    yield* attempt(() => client.sendTransaction({ account: owner, chain: null, data, nonce }))
    yield* attempt(() => client.mine({ blocks: 1 }))
  }
  const [usdc, dai, ethUsd, eurUsd] = addresses.map((address) => address.toLowerCase() as Address)
  return { usdc, dai, ethUsd, eurUsd } as DevContracts
})
