/** The folder that holds all an instance keeps: who may use it, its name and secret key, where its database lies. */
import { Effect, Redacted, Schema } from "effect"
import { createHash, randomBytes, randomUUID } from "node:crypto"
import * as fs from "node:fs"
import { userInfo } from "node:os"
import * as path from "node:path"
import { isAlive } from "#adapters/embedded/Alive.ts"

export class FolderInUse extends Schema.TaggedError<FolderInUse>()("FolderInUse", {
  folder: Schema.String,
  pid: Schema.Int
}) {
  override get message() {
    return `${this.folder} is in use by process ${this.pid}. Stop that one, or choose another --data-dir.`
  }
}

export class FolderUnusable extends Schema.TaggedError<FolderUnusable>()("FolderUnusable", {
  folder: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.folder} cannot be used as --data-dir: ${this.reason}`
  }
}

/** Two processes on one folder would each believe they own its database: the second one is told so. */
const lock = (folder: string) =>
  Effect.suspend(() => {
    const file = path.join(folder, "checkout.pid")
    const before = fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0
    if (before !== process.pid && before > 0 && isAlive(before)) {
      return Effect.fail(new FolderInUse({ folder, pid: before }))
    }
    fs.writeFileSync(file, String(process.pid))
    return Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(file, { force: true })))
  })

/**
 * Postgres does not run as root, so for root it runs as somebody who may not enter closed folders, such as root's own
 * home. Then its cluster goes where services keep their data, under a name that belongs to this folder.
 */
const postgresFolder = (folder: string): string => {
  const inside = path.join(folder, "postgres")
  if (userInfo().uid !== 0) return inside
  for (let parent = folder; parent !== path.dirname(parent); parent = path.dirname(parent)) {
    if ((fs.statSync(parent).mode & 0o001) === 0) {
      const name = createHash("sha256").update(folder).digest("hex").slice(0, 12)
      return path.join("/var/lib/crypto-checkout", name, "postgres")
    }
  }
  return inside
}

const keyOf = (folder: string) =>
  Effect.sync(() => {
    const file = path.join(folder, "secret.key")
    if (!fs.existsSync(file)) fs.writeFileSync(file, randomBytes(32).toString("base64"), { mode: 0o600 })
    return Redacted.make(fs.readFileSync(file, "utf8").trim())
  })

/** The instance's name among those that share a database; its next start has the same. */
const instanceOf = (folder: string) =>
  Effect.sync(() => {
    const file = path.join(folder, "instance.id")
    if (!fs.existsSync(file)) fs.writeFileSync(file, randomUUID())
    return fs.readFileSync(file, "utf8").trim()
  })

/** Opens the folder, making it on the first time, for as long as the scope lives. */
export const open = Effect.fn("DataFolder.open")(function*(written: string) {
  const folder = path.resolve(written)
  yield* Effect.try({
    try: () => fs.mkdirSync(folder, { recursive: true }),
    catch: (error) => new FolderUnusable({ folder, reason: (error as NodeJS.ErrnoException).code ?? "unknown" })
  })
  yield* lock(folder)
  return {
    folder,
    instance: yield* instanceOf(folder),
    postgres: postgresFolder(folder),
    secretKey: yield* keyOf(folder)
  }
})
