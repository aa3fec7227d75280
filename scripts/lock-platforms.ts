/**
 * Completes package-lock.json after an install: `npm run lock`.
 *
 * Where a registry lacks the builds of a package for other platforms than this machine's, npm leaves them out of the
 * lock file, and `npm ci` then refuses it. Their versions are no secret: the package that wants them names them.
 */
import { readFileSync, writeFileSync } from "node:fs"

interface Entry {
  readonly version?: string
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const file = new URL("../package-lock.json", import.meta.url)
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Entry> }

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors: Readonly<Record<string, string>> = { amd64: "x64", x86: "ia32", loongarch64: "loong64", armv7: "arm" }
const architectures = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "wasm32", "x64"]

/** What a package is built for, as its name says: `@foundry-rs/anvil-darwin-amd64`. */
const platformOf = (name: string) => {
  const words = name.split(/[-/_]/).map((word) => processors[word] ?? word)
  const cpu = words.find((word) => architectures.includes(word))
  const os = words.find((word) => systems.includes(word))
  return { ...(cpu !== undefined && { cpu: [cpu] }), ...(os !== undefined && { os: [os] }) }
}

/** Whether a package in this folder finds the other one, there or further up. */
const isLocked = (folder: string, name: string): boolean => {
  if (`${folder}${folder === "" ? "" : "/"}node_modules/${name}` in lock.packages) return true
  return folder !== "" && isLocked(folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/"))), name)
}

const missing = Object.entries(lock.packages).flatMap(([folder, { dev, optionalDependencies = {} }]) =>
  Object.entries(optionalDependencies).filter(([name]) => !isLocked(folder, name)).map(([name, version]) => {
    const entry = { version: version.replace(/^[~^]/, ""), ...(dev === true && { dev }), optional: true }
    return [`node_modules/${name}`, { ...entry, ...platformOf(name) }] as const
  })
)
const [root, ...others] = [...Object.entries(lock.packages), ...missing]
others.sort(([a], [b]) => a < b ? -1 : 1)
lock.packages = Object.fromEntries(root === undefined ? others : [root, ...others])
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${missing.length} builds for other platforms were added to the lock file`)
