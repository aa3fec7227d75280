/** The program as a newcomer starts it: a process of its own, on its embedded defaults, with a wallet that pays. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"

const root = path.resolve(import.meta.dirname, "../..")

export interface Ready {
  readonly checkoutUrl: string
  readonly apiUrl: string
  readonly apiKey: string
  readonly invoiceId: string
  readonly docsUrl: string
  readonly rpcUrl: string
}

export interface Demo extends Ready {
  readonly folder: string
  readonly process: ChildProcess
  /** Everything it wrote to standard error so far. */
  readonly log: () => string
}

/** A folder that an unprivileged Postgres may enter. */
export const dataFolder = (): string => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), "checkout-demo-"))
  fs.chmodSync(folder, 0o755)
  return folder
}

export const startDemo = async (folder: string, ...flags: ReadonlyArray<string>): Promise<Demo> => {
  const args = ["src/main/checkout.ts", "--demo", "--json", "--port", "0", "--data-dir", folder, ...flags]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
  let log = ""
  child.stderr.on("data", (chunk) => (log += String(chunk)))
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the demo ended with ${code} before it was ready:\n${log}`)
  })
  const ready = (async () => {
    for await (const line of lines) if (line.startsWith('{"')) return JSON.parse(line) as Ready
    throw new Error(`the demo closed its output before it was ready:\n${log}`)
  })()
  const answer = await Promise.race([ready, ended])
  ended.catch(() => undefined)
  child.stdout.resume()
  return { ...answer, folder, process: child, log: () => log }
}

/** Ctrl-C, and wait until it is gone. Answers with the exit code. */
export const stopDemo = async ({ process: child }: Pick<Demo, "process">, signal: NodeJS.Signals = "SIGINT") => {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const gone = once(child, "exit")
  child.kill(signal)
  const [code] = await gone
  return code as number | null
}

/** Stops what a killed demo left running, and removes its folder. */
export const removeDemo = async (folder: string) => {
  const demo = await startDemo(folder)
  await stopDemo(demo)
  fs.rmSync(folder, { recursive: true, force: true })
}

export const call = async <A = unknown>(
  { apiKey, apiUrl }: Pick<Ready, "apiKey" | "apiUrl">,
  method: string,
  pathname: string,
  body?: unknown,
  headers: Record<string, string> = {}
): Promise<{ readonly status: number; readonly body: A; readonly headers: Headers }> => {
  const response = await fetch(`${apiUrl}${pathname}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers
    },
    ...(body !== undefined && { body: JSON.stringify(body) })
  })
  const text = await response.text()
  return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as A, headers: response.headers }
}

export const rpc = async <A = unknown>(
  { rpcUrl }: Pick<Ready, "rpcUrl">,
  method: string,
  params: ReadonlyArray<unknown> = []
) => {
  const response = await fetch(rpcUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
  })
  const answer = (await response.json()) as { result?: A; error?: { message: string } }
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`)
  return answer.result as A
}

/** Asks until the answer pleases, for as long as a deadline allows; the last answer is in the complaint. */
export const eventually = async <A>(
  ask: () => Promise<A>,
  pleases: (answer: A) => boolean,
  seconds = 40
): Promise<A> => {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (pleases(answer)) return answer
    if (Date.now() > deadline) {
      throw new Error(`still not so after ${seconds} s: ${JSON.stringify(answer).slice(0, 2000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** `npm run pay`, as a person would type it. */
export const pay = async (folder: string, invoice: string, ...flags: ReadonlyArray<string>) => {
  const args = ["src/main/pay.ts", invoice, "--json", "--data-dir", folder, ...flags]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
  let out = ""
  let err = ""
  child.stdout.on("data", (chunk) => (out += String(chunk)))
  child.stderr.on("data", (chunk) => (err += String(chunk)))
  const [code] = await once(child, "exit")
  if (code !== 0) throw new Error(`pay ended with ${code}: ${err}${out}`)
  return JSON.parse(out) as { readonly transaction: string; readonly asset: string; readonly amount: string }
}

/** The database inside a demo's folder, while its server runs. */
export const databaseOf = (folder: string): string => {
  const password = fs.readFileSync(path.join(folder, "postgres.password"), "utf8").trim()
  const port = fs.readFileSync(path.join(folder, "postgres/postmaster.pid"), "utf8").split("\n")[3]
  return `postgres://checkout:${password}@127.0.0.1:${port}/postgres`
}
