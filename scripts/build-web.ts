/** Builds the checkout page into dist/web, for the browser and the server; does nothing where that is up to date. */
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"

const root = fileURLToPath(new URL("..", import.meta.url))
const target = path.join(root, "dist", "web")

/** All that the result depends on: our sources, and the versions of what builds them. */
const stampOf = (): string => {
  const hash = createHash("sha256")
  const sources = fs.readdirSync(path.join(root, "web"), { recursive: true, withFileTypes: true })
  const files = sources.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name)).sort()
  for (const file of [...files, path.join(root, "vite.config.ts"), fileURLToPath(import.meta.url)]) {
    hash.update(path.relative(root, file)).update("\0").update(fs.readFileSync(file)).update("\0")
  }
  for (const name of ["vite", "preact", "preact-render-to-string"]) {
    hash.update(fs.readFileSync(path.join(root, "node_modules", name, "package.json")))
  }
  return hash.digest("hex")
}

/** The folder with the page in it, built if it is missing or stale. */
export const buildWeb = async (): Promise<string> => {
  const stamp = stampOf()
  if (isCurrent(stamp)) return target

  const { build } = await import("vite")
  const fresh = `${target}-${randomBytes(6).toString("hex")}`
  const common = { root, configFile: path.join(root, "vite.config.ts"), logLevel: "warn" as const }
  // Inside a test run the environment says "test", and the page would be built for debugging, with this machine's paths.
  const environment = process.env["NODE_ENV"]
  process.env["NODE_ENV"] = "production"
  try {
    await build({ ...common, build: { outDir: fresh } })
    await build({ ...common, build: { outDir: fresh, ssr: true } })
  } finally {
    if (environment === undefined) delete process.env["NODE_ENV"]
    else process.env["NODE_ENV"] = environment
  }

  const assets = path.join(fresh, "assets")
  const names = fs.readdirSync(assets)
  for (const name of names) {
    const file = path.join(assets, name)
    const content = fs.readFileSync(file)
    fs.writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }))
    const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 }
    fs.writeFileSync(`${file}.br`, brotliCompressSync(content, { params: quality }))
  }
  const find = (pattern: RegExp) => names.find((name) => pattern.test(name))
  const script = find(/^checkout-.*\.js$/)
  const style = find(/^style-.*\.css$/)
  const manifest = { script, style: `assets/${style}`, server: "server/checkout.mjs" }
  fs.writeFileSync(path.join(fresh, "manifest.json"), JSON.stringify(manifest))
  fs.writeFileSync(path.join(fresh, "stamp"), stamp)

  // Swapped in at once: a process that starts meanwhile finds the old page or the new one, never half of it.
  const old = `${fresh}-old`
  try {
    if (fs.existsSync(target)) fs.renameSync(target, old)
    fs.renameSync(fresh, target)
  } catch (cause) {
    // Somebody else built the same at the same moment.
    if (!isCurrent(stamp)) throw cause
    fs.rmSync(fresh, { recursive: true, force: true })
  }
  fs.rmSync(old, { recursive: true, force: true })
  return target
}

const isCurrent = (stamp: string) => {
  const file = path.join(target, "stamp")
  return fs.existsSync(file) && fs.readFileSync(file, "utf8") === stamp
}

if (import.meta.main) await buildWeb()
