/** Prints the closing line of continuous integration from vitest's JSON report, and fails if a test was skipped. */
import { readFileSync } from "node:fs"

const report = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Record<string, number>
const { numFailedTests: failed = 0, numPassedTests: passed = 0, numPendingTests: skipped = 0 } = report
if (skipped > 0) console.error(`${skipped} tests were skipped: continuous integration runs them all`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || skipped > 0 || passed === 0 ? 1 : 0
