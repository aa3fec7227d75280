/**
 * A real Chromium for tests: the machine's own where there is one, else the one inside npm's @sparticuz/chromium.
 * Where none can start, tests that need it are skipped, and say so loudly.
 */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { type Browser, chromium } from "playwright-core"

const installed = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"]

/** No sandbox: in a container, and as root, there is none to be had. It only ever opens our own pages. */
const args = [
  "--no-sandbox",
  "--no-zygote",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--font-render-hinting=none"
]

/** A started browser, to be closed by the caller; or null, and the reason on the screen. */
export const startBrowser = async (purpose: string): Promise<Browser | null> => {
  try {
    const named = process.env["CHROMIUM"] ?? installed.find((file) => fs.existsSync(file))
    const { env, executablePath } = named === undefined ? await unpacked() : { env: {}, executablePath: named }
    return await chromium.launch({ executablePath, args, env: { ...environment(), ...env } })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause)
    console.error(
      `\n  NOT RUN: ${purpose}. No browser could be started (${reason}).\n` +
        "  To run it: apt-get install chromium, or CHROMIUM=/path/to/chromium npm test\n"
    )
    return null
  }
}

const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined))

/** Unpacks npm's Chromium with its libraries and fonts, once per version and machine. */
const unpacked = async () => {
  const { version } = JSON.parse(fs.readFileSync(packageFile("@sparticuz/chromium"), "utf8")) as { version: string }
  const folder = path.join(tmpdir(), `checkout-chromium-${version}-${process.getuid?.() ?? 0}`)
  if (!fs.existsSync(folder)) await unpack(folder)
  return {
    executablePath: path.join(folder, "chromium"),
    env: {
      LD_LIBRARY_PATH: path.join(folder, "al2023", "lib"),
      FONTCONFIG_PATH: folder,
      HOME: folder
    }
  }
}

const unpack = async (folder: string) => {
  const fresh = fs.mkdtempSync(`${folder}-`)
  const before = { ...process.env }
  // Where the package unpacks to, and that it should bring its libraries, it only takes from here.
  Object.assign(process.env, { TMPDIR: fresh, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" })
  try {
    const { default: packed } = await import("@sparticuz/chromium")
    await packed.executablePath()
  } finally {
    for (const name of ["TMPDIR", "AWS_EXECUTION_ENV", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "HOME"]) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
  fs.writeFileSync(path.join(fresh, "fonts.conf"), fontsOf(folder))
  try {
    fs.renameSync(fresh, folder)
  } catch (cause) {
    // Another process was quicker; its copy is as good.
    if (!fs.existsSync(path.join(folder, "chromium"))) throw cause
    fs.rmSync(fresh, { recursive: true, force: true })
  }
}

/** The package's own font first, then whatever the machine has for the signs that it lacks. */
const fontsOf = (folder: string) =>
  `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
  <dir>${path.join(folder, "fonts")}</dir><dir>/usr/share/fonts</dir><cachedir>${path.join(folder, "cache")}</cachedir>
  <alias><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
</fontconfig>`

const packageFile = (name: string) => {
  const entry = createRequire(import.meta.url).resolve(name)
  return path.join(entry.slice(0, entry.lastIndexOf(name)), name, "package.json")
}
