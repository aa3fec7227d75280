/** `npm run bench [-- --json] [name…]`: runs the named benches, or all. Ratios mean something anywhere; rates do not. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import type { Bench, Figure } from "./Bench.ts"
import * as Appending from "./append.ts"
import * as Dispatching from "./dispatch.ts"
import * as Emmett from "./emmett.ts"
import * as Growth from "./growth.ts"
import * as Http from "./http.ts"
import * as Page from "./page.ts"
import * as Scanning from "./scanner.ts"
import * as Webhooks from "./webhooks.ts"

const benches: Readonly<Record<string, Bench>> = {
  ...Dispatching.benches,
  ...Appending.benches,
  ...Emmett.benches,
  ...Http.benches,
  ...Growth.benches,
  ...Scanning.benches,
  ...Page.benches,
  ...Webhooks.benches
}

const asJson = process.argv.includes("--json")
const named = process.argv.slice(2).filter((argument) => argument !== "--json")
const unknown = named.filter((name) => !Object.hasOwn(benches, name))

const show = ({ bench, unit, value, ...details }: Figure) =>
  asJson
    ? Console.log(JSON.stringify({ bench, value, unit, ...details }))
    : Console.log(
      `${bench}: ${value} ${unit}\n${
        Object.entries(details).map(([name, detail]) => `    ${name} ${detail}\n`).join("")
      }`
    )

const chosen = Object.entries(benches).filter(([name]) => named.length === 0 || named.includes(name))

const main = unknown.length > 0
  ? Effect.die(new Error(`no such bench: ${unknown.join(", ")}. There are: ${Object.keys(benches).join(", ")}`))
  : Effect.forEach(chosen, ([, bench]) => Effect.flatMap(Effect.scoped(bench), Effect.forEach(show)), { discard: true })

NodeRuntime.runMain(main)
