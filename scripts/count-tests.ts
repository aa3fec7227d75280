/** Prints the closing line of continuous integration from vitest's JSON reports, and fails if a test was skipped. */
import { readFileSync } from "node:fs"

const reports = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")) as Record<string, number>)
const total = (name: string) => reports.reduce((sum, report) => sum + (report[name] ?? 0), 0)
const [failed, passed, skipped] = [total("numFailedTests"), total("numPassedTests"), total("numPendingTests")]
if (skipped > 0) console.error(`${skipped} tests were skipped: continuous integration runs them all`)
console.log(`${passed} passed, ${failed} failed`)
const empty = reports.length === 0 || reports.some((report) => !report["numPassedTests"])
process.exitCode = failed > 0 || skipped > 0 || empty ? 1 : 0
