/** What the linter holds to be wrong. The table of who may import whom is here, and `npm run check` proves it works. */
import { defineConfig } from "oxlint"

/** Which folder may import which. Everything a folder may use is in its row. */
const mayImport = {
  domain: [],
  projections: ["domain"],
  reactions: ["domain"],
  ports: ["domain"],
  commands: ["domain", "ports"],
  processes: ["domain", "reactions", "projections", "ports", "commands"],
  adapters: ["domain", "ports", "commands", "projections", "reactions"]
}

/** The parts of effect that are plain data. Effect itself begins in ports and commands. */
const data = ["Array", "BigDecimal", "DateTime", "Duration", "HashMap", "Option", "Order", "Result", "Schema"]
const pure = ["domain", "projections", "reactions"]
const worldly = ["Date", "crypto", "process", "fetch", "setTimeout", "setInterval", "console"]
const clocks = [{ object: "DateTime", property: "nowUnsafe" }, { object: "Math", property: "random" }]

const boundary = ([folder, allowed]: [string, ReadonlyArray<string>]) => {
  const named = allowed.map((name) => `!#${name}/**`)
  const message = `src/${folder} may import ./, effect${allowed.map((name) => `, #${name}/`).join("")}`
  const group = folder === "adapters" ? ["#*/**", ...named, "../**"] : ["*", "!effect", "effect/*", "!./**", ...named]
  const paths = pure.includes(folder)
    ? [{ name: "effect", allowImportNames: data, message: `src/${folder} is pure` }]
    : []
  return {
    files: [`src/${folder}/**`],
    rules: {
      "no-restricted-imports": ["error", { patterns: [{ group, message }], paths }] as const,
      ...(pure.includes(folder)
        ? {
          "no-restricted-globals": ["error", ...worldly] as ["error", ...Array<string>],
          "no-restricted-properties": ["error", ...clocks] as ["error", ...typeof clocks]
        }
        : {})
    }
  }
}

export default defineConfig({
  plugins: ["typescript", "import", "oxc", "eslint", "unicorn"],
  categories: { correctness: "error" },
  rules: { "import/no-cycle": "error", "typescript/no-explicit-any": "error" },
  ignorePatterns: ["dist", "node_modules", ".data"],
  overrides: Object.entries(mayImport).map(boundary) as never
})
