/** Every event ever stored must be read for ever: each type in each version has a file, and no file is without a type. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs"
import * as History from "#commands/History.ts"
import { type Aggregate, versionOf } from "#domain/Aggregate.ts"

type Any = Aggregate<unknown, { readonly _tag: string }>
type Kind = Any & { readonly events: { readonly cases: Readonly<Record<string, unknown>> } }

const here = new URL(".", import.meta.url)
const domain = new URL("../../src/domain/", here)
const modules = await Promise.all(
  globSync("*.ts", { cwd: domain }).map((file) => import(new URL(file, domain).href) as Promise<{ aggregate?: Kind }>)
)
/** Found, not listed: an aggregate that is new tomorrow owes its files tomorrow. */
const aggregates = modules.flatMap(({ aggregate }) => aggregate === undefined ? [] : [aggregate])

const stored = aggregates.flatMap((aggregate) =>
  Object.keys(aggregate.events.cases).flatMap((type) =>
    Array.from({ length: versionOf(aggregate, type) }, (_, i) => ({
      aggregate,
      type,
      schemaVersion: i + 1,
      current: i + 1 === versionOf(aggregate, type),
      file: `${aggregate.category}/${type}.v${i + 1}.json`
    }))
  )
)

describe.each(stored)("$file", ({ aggregate, current, file, schemaVersion, type }) => {
  it("154: is there, and is read", () => {
    assert.isTrue(
      existsSync(new URL(file, here)),
      `no test/golden/${file}: store one plain ${type}, and keep it for ever`
    )
    const data: unknown = JSON.parse(readFileSync(new URL(file, here), "utf8"))
    assert.strictEqual(History.decode(aggregate, { type, schemaVersion, data })._tag, type)
  })

  it.runIf(current)("is written back to the same bytes", () => {
    const text = readFileSync(new URL(file, here), "utf8")
    const event = History.decode(aggregate, { type, schemaVersion, data: JSON.parse(text) })
    const again = History.encode(aggregate, event)
    assert.strictEqual(`${JSON.stringify(again.data, null, 2)}\n`, text)
    assert.deepStrictEqual({ type: again.type, schemaVersion: again.schemaVersion }, { type, schemaVersion })
  })
})

describe("the golden files", () => {
  it("are those of the events that there are, and no others", () => {
    const folders = readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const files = folders.flatMap(({ name }) => readdirSync(new URL(`${name}/`, here)).map((file) => `${name}/${file}`))
    const known = new Set(stored.map(({ file }) => file))
    assert.deepStrictEqual(
      files.filter((file) => /\.v\d+\.json$/.test(file) && !known.has(file)),
      [],
      "an event's type or version was taken away, but events of it are stored"
    )
  })

  it("show every aggregate's own category and prefix", () => {
    const unique = (values: ReadonlyArray<string>) => assert.strictEqual(new Set(values).size, values.length)
    unique(aggregates.map(({ category }) => category))
    unique(aggregates.map(({ prefix }) => prefix))
    assert.isAtLeast(aggregates.length, 5)
  })
})
