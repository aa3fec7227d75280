/** Reminders in a table, by the database's clock. Processes share them: whoever claims one has half a minute. */
import { PgClient } from "@effect/sql-pg"
import { Cause, DateTime, Duration, Effect, Exit, FiberSet, Layer, References } from "effect"
import { type Timer, Timers } from "#ports/Timers.ts"
import { unavailable } from "./Database.ts"

/** Rung at once, by this process. */
const sideBySide = 16
const patience = Duration.seconds(30)
/** After a failure; and, a little longer than the patience, when the process that claimed it died. */
const pause = "interval '2 seconds'"
const claim = "interval '35 seconds'"
/** The longest nap: a timer that another process sets to an earlier time is this late at most. */
const napMillis = 200

export const layer = Layer.effect(
  Timers,
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient

    // In the order of the ids, so that two transactions that set the same timers wait for each other and go on.
    const set: Timers["Service"]["set"] = (timers) =>
      sql`
        insert into es.timers as t (id, due_at, rings_at, about)
        select id, due_at, due_at, about from (
          select distinct on (m->>'id') m->>'id' as id, (m->>'dueAt')::timestamptz as due_at, m->'about' as about
            from jsonb_array_elements(${sql.json(timers.map(storedOf))}) with ordinality as given(m, place)
           order by m->>'id', place desc) as latest
        on conflict (id) do update set due_at = excluded.due_at, rings_at = excluded.rings_at, about = excluded.about,
                                       revision = t.revision + 1`.pipe(Effect.asVoid, unavailable)

    const cancel: Timers["Service"]["cancel"] = (ids) =>
      sql`
        delete from es.timers where id in (
          select id from es.timers where id = any(${ids}::text[]) order by id for update)`.pipe(
        Effect.asVoid,
        unavailable
      )

    /** Milliseconds until one is due; 0 or less for now. */
    const untilNext = Effect.map(
      sql<{ wait: number | null }>`
        select (extract(epoch from min(rings_at) - clock_timestamp()) * 1000)::float8 as wait from es.timers`,
      ([row]) => row?.wait ?? Infinity
    )

    const claimDue = (most: number) =>
      sql<Claimed>`
        with claimed as (
          update es.timers t set rings_at = clock_timestamp() + ${sql.literal(claim)}, revision = revision + 1
           where id in (select id from es.timers where rings_at <= clock_timestamp()
                         order by rings_at limit ${most} for update skip locked)
          returning id, due_at, about, revision)
        select * from claimed order by due_at`

    /** What becomes of it, unless it was set or claimed anew meanwhile. */
    const settle = ({ id, revision }: Claimed, exit: Exit.Exit<DateTime.Utc | null, unknown>) => {
      const same = sql`id = ${id} and revision = ${revision}`
      if (Exit.isFailure(exit)) {
        return sql`update es.timers set rings_at = clock_timestamp() + ${sql.literal(pause)} where ${same}`
      }
      if (exit.value === null) return sql`delete from es.timers where ${same}`
      const at = DateTime.toDateUtc(exit.value)
      return sql`update es.timers set due_at = ${at}, rings_at = ${at} where ${same}`
    }

    const run: Timers["Service"]["run"] = Effect.fnUntraced(function*(ring) {
      const traced = yield* References.TracerEnabled
      const ringing = yield* FiberSet.make()

      const ringOne = (claimed: Claimed) =>
        Effect.suspend(() => ring(timerOf(claimed))).pipe(
          Effect.withTracerEnabled(traced),
          Effect.timeout(patience),
          Effect.tapCause((cause) =>
            Effect.annotateLogs(Effect.logWarning("a timer rings again", cause), { timer: claimed.id })
          ),
          Effect.exit,
          // If this fails, the claim runs out and it rings again.
          Effect.flatMap((exit) => Effect.ignore(settle(claimed, exit)))
        )

      const round = Effect.gen(function*() {
        const wait = yield* untilNext
        const room = sideBySide - (yield* FiberSet.size(ringing))
        const claimed = wait > 0 || room === 0 ? [] : yield* claimDue(room)
        for (const one of claimed) yield* FiberSet.run(ringing, ringOne(one))
        return claimed.length > 0 ? 0 : wait > 0 ? Math.min(wait, napMillis) : napMillis / 4
      })

      const survive = (cause: Cause.Cause<unknown>) =>
        Effect.as(Effect.logWarning("the timers were interrupted", cause), 1000)

      yield* Effect.catchCauseIf(round, (cause) => !Cause.hasInterrupts(cause), survive).pipe(
        Effect.flatMap((millis) => Effect.sleep(millis)),
        Effect.forever,
        Effect.withTracerEnabled(false),
        Effect.forkScoped
      )
    })

    return Timers.of({ set, cancel, run })
  })
)

interface Claimed {
  readonly id: string
  readonly due_at: Date
  readonly about: unknown
  readonly revision: bigint
}

const storedOf = ({ about, dueAt, id }: Timer) => ({ id, dueAt: DateTime.formatIso(dueAt), about })

const timerOf = ({ about, due_at, id }: Claimed): Timer => ({ id, dueAt: DateTime.fromDateUnsafe(due_at), about })
