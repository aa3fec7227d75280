/** The linter knows who may import whom: every forbidden import is planted once, and found. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

const layers = ["domain", "reactions", "projections", "ports", "commands", "processes", "adapters", "main"]
/** The table of `docs/architecture.md`, written down a second time on purpose. */
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: ["domain"],
  reactions: ["reactions", "domain"],
  projections: ["projections", "domain"],
  ports: ["ports", "domain"],
  commands: ["commands", "domain", "ports"],
  processes: ["processes", "domain", "reactions", "projections", "ports", "commands"],
  adapters: ["domain", "ports", "commands", "projections", "reactions"]
}
const pure = ["domain", "reactions", "projections"]

const root = path.resolve(import.meta.dirname, "..")

/** Lints one planted line as if it stood in a file of `folder`; true when the linter complains. */
const complains = (folder: string, line: string): boolean => {
  const at = fs.mkdtempSync(path.join(tmpdir(), "checkout-lint-"))
  try {
    const file = path.join(at, "src", folder, folder === "adapters" ? "x" : "", "Planted.ts")
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, `${line}\n`)
    fs.copyFileSync(path.join(root, "oxlint.config.ts"), path.join(at, "oxlint.config.ts"))
    fs.symlinkSync(path.join(root, "node_modules"), path.join(at, "node_modules"))
    execFileSync(process.execPath, [path.join(root, "node_modules/oxlint/bin/oxlint"), "src"], {
      cwd: at,
      stdio: "pipe"
    })
    return false
  } catch {
    return true
  } finally {
    fs.rmSync(at, { recursive: true, force: true })
  }
}

const importing = (layer: string) => `import "#${layer}/${layer === "adapters" ? "y/" : ""}Thing.ts"`

describe.each(Object.entries(allowed))("src/%s", (folder, may) => {
  const others = layers.filter((layer) => !may.includes(layer))

  it(`may import ${may.filter((layer) => layer !== folder).join(", ") || "only itself"}`, () => {
    const lines = ['import "./Own.ts"', ...may.filter((layer) => layer !== folder).map(importing)]
    assert.isFalse(complains(folder, lines.join("\n")))
  })

  it.each(others)("may not import %s", (other) => assert.isTrue(complains(folder, importing(other))))

  if (pure.includes(folder)) {
    it.each([
      'import { Effect } from "effect"; export const x = Effect',
      "export const now = Date.now()",
      'import "node:fs"'
    ])(
      "is pure: no %s",
      (line) => assert.isTrue(complains(folder, line))
    )
  }
})
