/** Compiles `contracts/` into the JSON that the development chain is furnished from. Run it when a contract changes. */
import * as fs from "node:fs"
import * as path from "node:path"
import solc from "solc"

interface Output {
  readonly errors?: ReadonlyArray<{ readonly severity: string; readonly formattedMessage: string }>
  readonly contracts: Readonly<
    Record<
      string,
      Readonly<
        Record<string, { readonly abi: unknown; readonly evm: { readonly bytecode: { readonly object: string } } }>
      >
    >
  >
}

const root = path.join(import.meta.dirname, "..")
const folder = path.join(root, "contracts")
const files = fs.readdirSync(folder).filter((name) => name.endsWith(".sol")).sort()

const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    files.map((name) => [name, { content: fs.readFileSync(path.join(folder, name), "utf8") }])
  ),
  settings: {
    // Runs on every chain and on every anvil; without metadata the bytecode does not change with a comment.
    evmVersion: "paris",
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } }
  }
}
const { contracts, errors = [] } = JSON.parse(solc.compile(JSON.stringify(input))) as Output
const failed = errors.filter(({ severity }) => severity === "error")
if (failed.length > 0) throw new Error(failed.map(({ formattedMessage }) => formattedMessage).join("\n"))

const compiled = Object.fromEntries(
  Object.values(contracts).flatMap((file) => Object.entries(file)).map(([name, { abi, evm }]) => [
    name,
    { abi, bytecode: `0x${evm.bytecode.object}` }
  ])
)
fs.writeFileSync(
  path.join(root, "src", "adapters", "embedded", "DevContracts.json"),
  `${JSON.stringify(compiled, null, 2)}\n`
)
