/** Messages that are not events, written beside whatever the ambient transaction writes. */
import { PgClient } from "@effect/sql-pg"
import { DateTime, Effect } from "effect"
import type { Message, Topic } from "#ports/Bus.ts"
import { unavailable } from "./Database.ts"

/**
 * Publishes with the caller's transaction, or not at all.
 *
 * A message's order is at least that of every message of its topic that can be seen: so whoever publishes after having
 * waited for another's commit is read after it, even if its own transaction began before.
 */
export const publish = (messages: ReadonlyArray<Message>) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const topics = new Set(messages.map(({ topic }) => topic))
    for (const topic of topics) yield* write(sql, topic, messages.filter((message) => message.topic === topic))
  }).pipe(unavailable)

const write = (sql: PgClient.PgClient, topic: Topic, messages: ReadonlyArray<Message>) =>
  sql`
    with newest as materialized (
      select greatest(es.current_tx(), (select max(tx) from es.outbox where topic = ${topic})) as tx
    )
    insert into es.outbox (tx, topic, key, id, type, schema_version, body, headers, recorded_at)
    select newest.tx, ${topic}, m.value->>'key', m.value->>'id', m.value->>'type', (m.value->>'schemaVersion')::smallint,
           m.value->'body', m.value->'headers', (m.value->>'recordedAt')::timestamptz
      from newest, jsonb_array_elements(${
    sql.json(messages.map((message) => ({ ...message, recordedAt: DateTime.formatIso(message.recordedAt) })))
  }) with ordinality m(value, place)
     order by m.place`
