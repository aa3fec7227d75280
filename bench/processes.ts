/** Other processes that a bench measures: the program itself, a baseline; and what they cost, as Linux counts it. */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { dataFolder, type Demo, startDemo, stopDemo } from "../test/support/demo.ts"

/** The program as `npm start` has it, without limits on the rate; gone with the scope, and its data with it. */
export const program = (...flags: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const folder = dataFolder()
    yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true })))
    return yield* Effect.acquireRelease(
      Effect.promise(() => startDemo(folder, "--rate-limit", "10000000", ...flags)),
      (demo: Demo) => Effect.promise(() => stopDemo(demo))
    )
  })

export interface Child {
  readonly pid: number
  /** What it printed once it was ready. */
  readonly ready: string
}

/** A file of this folder in a process of its own; it says one line when it is ready, and ends with the scope. */
export const child = (file: string, args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const started = spawn(process.execPath, [path.join(import.meta.dirname, file), ...args], {
          stdio: ["pipe", "pipe", "inherit"]
        })
        for await (const ready of createInterface({ input: started.stdout })) {
          started.stdout.resume()
          return { started, ready }
        }
        throw new Error(`${file} ended before it was ready`)
      }),
      ({ started }) => Effect.promise(() => gone(started))
    ),
    ({ ready, started }): Child => ({ pid: started.pid ?? 0, ready })
  )

const gone = async (started: ChildProcess) => {
  if (started.exitCode !== null || started.signalCode !== null) return
  const exit = once(started, "exit")
  started.kill("SIGINT")
  await exit
}

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick is. */
const millisecondsPerTick = 10

/** Milliseconds of processor time that a process has used so far, all its threads together. */
export const cpuOf = (pid: number): number => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) * millisecondsPerTick
}

/** Bytes that a process holds in memory. */
export const memoryOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024

/** Runs it, and answers with its result and the processor time that a process spent meanwhile. */
export const spending = async <A>(pid: number, work: () => Promise<A>) => {
  const before = cpuOf(pid)
  const result = await work()
  return { result, cpu: cpuOf(pid) - before }
}
