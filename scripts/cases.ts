/** Says which hostile cases of docs/cases.md a test proves: those whose titles begin with the case's number. */
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "..")
const read = (file: string) => readFileSync(path.join(root, file), "utf8")

interface Case {
  readonly number: number
  readonly words: string
  /** Of something that exists, so that a test could be there. */
  readonly due: boolean
}

const [present = "", later = ""] = read("docs/cases.md").split("\n## To come\n")
const casesIn = (text: string, due: boolean): ReadonlyArray<Case> =>
  [...text.matchAll(/^- (\d+): (.+)$/gm)].map(([, number, words]) => ({ number: Number(number), words: words!, due }))
const cases = [...casesIn(present, true), ...casesIn(later, false)]

/** Titles like "42: …" and "94, 95: …", by the file that they stand in. */
const titles = readdirSync(path.join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) =>
    [...read(path.join("test", file)).matchAll(/["`](\d+(?:, \d+)*): \S/g)].flatMap(([, numbers = ""]) =>
      numbers.split(", ").map((number) => ({ number: Number(number), file }))
    )
  )

const proofs = Map.groupBy(titles, ({ number }) => number)
const filesOf = ({ number }: Case) => [...new Set(proofs.get(number)?.map(({ file }) => file))].toSorted()
const line = (known: Case) => `  ${String(known.number).padStart(3)}  ${known.words}`
const show = (heading: string, group: ReadonlyArray<Case>) =>
  console.log(
    `\n${heading}: ${group.length}\n${
      group.map((known) => [line(known), ...filesOf(known)].join("\n         ")).join("\n")
    }`
  )

const covered = cases.filter((known) => proofs.has(known.number))
const missing = cases.filter((known) => !proofs.has(known.number))
show("Covered", covered)
show("Not yet covered", missing.filter(({ due }) => due))
show("To come", missing.filter(({ due }) => !due))

const unknown = titles.filter(({ number }) => !cases.some((known) => known.number === number))
for (const { file, number } of unknown) console.error(`\ntest/${file}: there is no case ${number} in docs/cases.md`)
const twice = cases.filter(({ number }, at) => cases.findIndex((other) => other.number === number) !== at)
for (const { number } of twice) console.error(`\ndocs/cases.md: ${number} is there twice`)
process.exitCode = unknown.length + twice.length > 0 ? 1 : 0
