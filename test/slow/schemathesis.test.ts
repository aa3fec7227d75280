/** Schemathesis asks the real program whatever its document allows and forbids, alone and in sequences. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import { dataFolder, type Demo, startDemo, stopDemo } from "../support/demo.ts"

const run = promisify(execFile)

const tool = [process.env["SCHEMATHESIS"], "schemathesis"].find((name) =>
  name !== undefined && spawnSync(name, ["--version"]).status === 0
)
if (tool === undefined) {
  console.error(
    "\n  NOT RUN: the API against its own document. There is no Schemathesis.\n" +
      "  To run it: python3 -m venv venv && venv/bin/pip install schemathesis\n" +
      "             SCHEMATHESIS=venv/bin/schemathesis npm run test:slow test/slow/schemathesis.test.ts\n"
  )
}

/** Every currency has a price, so that no 503 is right. */
const rates =
  "eth=2500,usdc=1,usdt=1,dai=1,eurc=1.08,pol=0.5,bnb=600,avax=20,AUD=0.66,BRL=0.18,CAD=0.73,CHF=1.13,CNY=0.14," +
  "CZK=0.043,DKK=0.145,EUR=1.08,GBP=1.27,HKD=0.128,HUF=0.0027,IDR=0.000062,ILS=0.27,INR=0.012,JPY=0.0067," +
  "KRW=0.00072,KWD=3.25,MXN=0.055,MYR=0.22,NOK=0.093,NZD=0.6,PHP=0.017,PLN=0.25,RON=0.217,SEK=0.095,SGD=0.74," +
  "THB=0.028,TRY=0.029,UAH=0.024,VND=0.00004,ZAR=0.055"

const seconds = 120

describe.skipIf(tool === undefined)("the API, asked by its own document", () => {
  const folder = dataFolder()
  let demo: Demo
  beforeAll(async () => {
    demo = await startDemo(folder, "--rate-limit", "10000000", "--fixed-rates", rates)
  }, 120_000)
  afterAll(async () => {
    if (demo !== undefined) await stopDemo(demo)
    fs.rmSync(folder, { recursive: true, force: true })
  })

  it("answers with no 5xx and nothing that the document does not describe, in sequences too", async () => {
    const seed = process.env["SEED"]
    const args = [
      "--no-color",
      "--config-file",
      path.join(import.meta.dirname, "schemathesis.toml"),
      "run",
      `${demo.apiUrl}/openapi.json`,
      "--url",
      demo.apiUrl,
      "--header",
      `Authorization: Bearer ${demo.apiKey}`,
      "--max-time",
      `${seconds}`,
      "--continue-on-failure",
      "--generation-database",
      "none",
      "--warnings",
      "off",
      ...seed === undefined ? [] : ["--seed", seed]
    ]
    const said = await run(tool!, args, { cwd: folder, maxBuffer: 64 << 20 }).then(
      ({ stdout }) => ({ found: false, stdout }),
      ({ stdout }: { stdout: string }) => ({ found: true, stdout })
    )
    console.info(/Seed: \d+/.exec(said.stdout)?.[0])
    assert.isFalse(said.found, said.stdout)
    assert.match(said.stdout, /Tested: \d\d/)
    assert.match(said.stdout, /Stateful/)
  }, (seconds + 120) * 1000)
})
