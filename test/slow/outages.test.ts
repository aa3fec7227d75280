/** The database dies, fills up, takes no more connections or no writes, while a shop is busy: it heals by itself, and the books are right. */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Database from "#adapters/postgres/Database.ts"
import { call, databaseOf, dataFolder, type Demo, eventually, startDemo, stopDemo } from "../support/demo.ts"
import { type Receiver, startReceiver } from "../support/receiver.ts"
import { openShop, type Shop } from "../support/shop.ts"

const folder = dataFolder()
let demo: Demo
let receiver: Receiver
let shop: Shop

const postmaster = () => Number(fs.readFileSync(path.join(folder, "postgres/postmaster.pid"), "utf8").split("\n")[0])

const database = <A, E>(
  effect: Effect.Effect<A, E, PgClient.PgClient>,
  maxConnections = 2,
  signal?: AbortSignal
) =>
  Effect.runPromise(
    Effect.provide(
      effect,
      Database.layer({ url: Redacted.make(databaseOf(folder)), maxConnections, applicationName: "saboteur" })
    ),
    { signal }
  )
const run = (...statements: ReadonlyArray<string>) =>
  database(Effect.flatMap(PgClient.PgClient, (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement))))

const tiny = path.join(folder, "tiny")
const mounted = (() => {
  try {
    fs.mkdirSync(tiny)
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", tiny], { stdio: "ignore" })
    return true
  } catch {
    console.warn("no file system may be mounted here: the full disk is played by a trigger that says so")
    return false
  }
})()

/** All events go to the tiny disk; before anybody is busy with them, for it takes a lock. */
const moveEvents = async () => {
  const space = path.join(tiny, "space")
  fs.mkdirSync(space, { mode: 0o700 })
  const { gid, uid } = fs.statSync(path.join(folder, "postgres"))
  fs.chownSync(space, uid, gid)
  await run(`create tablespace tiny location '${space}'`)
  await run(`do $$ declare p regclass; begin
    for p in select inhrelid from pg_inherits where inhparent = 'es.events'::regclass loop
      execute format('alter table %s set tablespace tiny', p);
    end loop; end $$`)
}

beforeAll(async () => {
  ;[demo, receiver] = await Promise.all([startDemo(folder, "--rate-limit", "1000000"), startReceiver()])
  const { body } = await call<{ secret: string }>(demo, "POST", "/v1/webhook-endpoints", { url: receiver.url })
  receiver.trust(body.secret)
  if (mounted) await moveEvents()
  shop = openShop(() => demo, receiver, 4)
}, 120_000)

afterAll(async () => {
  await stopDemo(demo)
  await receiver.close()
  if (mounted) execFileSync("umount", ["-l", tiny])
  fs.rmSync(folder, { recursive: true, force: true })
})

/** Causes a trouble, waits until customers were told of it, mends it, and waits until the shop sells again. */
const through = async (cause: () => unknown, mend: () => unknown = () => undefined) => {
  const seen = shop.troubles.length
  await cause()
  try {
    await eventually(() => Promise.resolve(shop.troubles.length), (count) => count > seen, 30)
  } finally {
    await mend()
  }
  const sold = shop.sold.size
  await eventually(() => Promise.resolve(shop.sold.size), (count) => count >= sold + 8, 60)
  for (const { code, retryAfter, status } of shop.troubles.slice(seen)) {
    assert.deepStrictEqual({ status, code }, { status: 503, code: "unavailable" })
    assert.match(retryAfter ?? "", /^\d+$/)
  }
}

const settingOf = (name: string, value: string | null) => [
  "set default_transaction_read_only = off",
  value === null ? `alter system reset ${name}` : `alter system set ${name} = ${value}`,
  "select pg_reload_conf()"
]

it(
  "135: Postgres stopped at once in mid-append is started again, the pools heal, and it goes on",
  () => through(() => process.kill(postmaster(), "SIGQUIT")),
  120_000
)

it(
  "135: Postgres killed is started again, the pools heal, and it goes on",
  () => through(() => process.kill(postmaster(), "SIGKILL")),
  120_000
)

it("138: a database that takes no writes is a 503 with a time to come back, and heals", () =>
  through(
    () => run(...settingOf("default_transaction_read_only", "on")),
    () => run(...settingOf("default_transaction_read_only", null))
  ), 120_000)

it("138: no connection left is a 503 with a time to come back, and heals", () => {
  // The program's are cut again and again, and whatever becomes free is taken.
  const forever = (statement: string) =>
    Effect.flatMap(PgClient.PgClient, (sql) => Effect.forever(Effect.ignore(sql.unsafe(statement))))
  const cut =
    `select pg_terminate_backend(pid), pg_sleep(0.02) from pg_stat_activity where application_name = 'checkout'`
  const hold = Effect.replicateEffect(forever("select pg_sleep(10)"), 110, { concurrency: 110, discard: true })
  const enough = new AbortController()
  return through(() => {
    for (const [hog, connections] of [[forever(cut), 1], [hold, 110]] as const) {
      database(hog, connections, enough.signal).catch(() => undefined)
    }
  }, () => enough.abort())
}, 120_000)

it("138: a full disk is a 503 with a time to come back, and heals once there is room", async () => {
  if (mounted) {
    const ballast = path.join(tiny, "ballast")
    const fill = () => {
      const file = fs.openSync(ballast, "w")
      try {
        for (;;) fs.writeSync(file, Buffer.alloc(4096))
      } catch {
        fs.closeSync(file)
      }
    }
    await through(fill, () => fs.rmSync(ballast))
  } else {
    await run(`create function full_disk() returns trigger language plpgsql
      as $$ begin raise exception 'could not extend file: no space left on device' using errcode = '53100'; end $$`)
    await through(
      () => run("create trigger full_disk before insert on es.events for each statement execute function full_disk()"),
      () => run("drop trigger full_disk on es.events")
    )
  }
}, 120_000)

it("135, 138: after all of it every payment is credited once, every notice told, and the books are right", async () => {
  await shop.close()
  const { events, rows } = await shop.audit(databaseOf(folder))
  console.info(`outages: ${shop.sold.size} payments, ${shop.troubles.length} refusals, ${events} events, ${rows} rows`)
  await run('update read.merchants set data = data || \'{"name": "Another"}\'')
  const found = await shop.audit(databaseOf(folder)).then(() => "nothing", String)
  assert.include(found, "merchants, rebuilt", "an audit that can fail")
  assert.notInclude(demo.log(), "a request failed")
  assert.notInclude(demo.log(), "a message is given up")
}, 240_000)
