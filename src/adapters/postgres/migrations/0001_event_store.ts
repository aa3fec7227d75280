/** The log of events, its receipts, snapshots and readers, and the messages that are not events. Schema `es`. */

const eras = [
  "create schema es",
  // After a logical restore transaction ids start again, while stored events carry those of the cluster they came from.
  // `es.rebase()` then raises this offset above every stored one, so that the order of the log goes on.
  "create function es.xid_offset() returns bigint language sql immutable parallel safe as 'select 0::bigint'",
  `create function es.current_tx() returns bigint language sql volatile
   as 'select pg_current_xact_id()::text::bigint + es.xid_offset()'`,
  // Whatever belongs to an earlier era was committed long ago.
  `create function es.visible(tx bigint, xid xid8, s pg_snapshot) returns boolean language sql stable parallel safe
   as 'select tx <= es.xid_offset() or pg_visible_in_snapshot(xid, s)'`
]

const streams = [
  `create table es.streams (
     stream_id  uuid primary key,
     prefix     text not null,
     tenant_id  uuid not null,
     category   text not null,
     version    int not null check (version > 0),
     last_tx    bigint not null,
     created_at timestamptz not null default now(),
     closed_at  timestamptz
   ) with (fillfactor = 80)`,
  "comment on column es.streams.prefix is 'of the stream''s id, which is this and the uuid in base 32'",
  "comment on column es.streams.last_tx is 'order key of the newest event; no index on it, so that updates stay in the page'",
  "create index streams_tenant on es.streams (tenant_id, category, stream_id)"
]

const events = [
  // A cache above 1 would let a later event of a stream draw a lower position.
  "create sequence es.event_position cache 1",
  `create table es.events (
     position       bigint not null default nextval('es.event_position'),
     tx             bigint not null,
     xid            xid8 not null,
     stream_id      uuid not null,
     version        int not null,
     schema_version smallint not null,
     shard          smallint not null,
     tenant_id      uuid not null,
     event_id       uuid not null default gen_random_uuid(),
     recorded_at    timestamptz not null,
     prefix         text not null,
     category       text not null,
     type           text not null,
     data           jsonb not null,
     meta           jsonb not null,
     primary key (stream_id, version)
   ) partition by range (stream_id)`,
  "comment on table es.events is 'by the month of the stream''s birth, which is in its id: so (stream, version) is unique over all'",
  "comment on column es.events.tx is 'order: the greater of the writer''s own transaction and the stream''s last'",
  "comment on column es.events.xid is 'visibility: the writer''s own transaction'",
  "comment on column es.events.shard is '0..15, from the last byte of the stream''s id'",
  "create index events_feed on es.events (tx, position)",
  `create table es.events_evergreen partition of es.events
   for values from ('ffff0000-0000-0000-0000-000000000000') to (maxvalue)`,
  `create function es.immutable() returns trigger language plpgsql
   as $$ begin raise exception 'es.events is append-only' using errcode = 'ES001'; end $$`,
  "create trigger events_immutable before update or delete on es.events for each row execute function es.immutable()",
  "create trigger events_no_truncate before truncate on es.events execute function es.immutable()"
]

const appending = [
  // An append finds out inside its one statement that it must not be: this takes all of it back.
  `create function es.refuse(code text, what text) returns boolean language plpgsql
   as $$ begin raise exception '%', what using errcode = code, constraint = what; end $$`
]

const partitions = [
  `create function es.uuid7_at(at timestamptz) returns uuid language sql immutable
   as $$ select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$`,
  // From the month before, for writers whose clock is a little behind. Attached instead of created in place: that would
  // queue every append behind the longest reader.
  `create function es.ensure_partitions(months_ahead int default 3, at timestamptz default now())
   returns int language plpgsql as $$
   declare month timestamptz; name text; made int := 0;
   begin
     perform pg_advisory_xact_lock(hashtextextended('es.ensure_partitions', 0));
     for i in -1..months_ahead loop
       month := (date_trunc('month', at at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
       name := 'events_' || to_char(month at time zone 'UTC', 'YYYYMM');
       continue when month < 'epoch' or to_regclass('es.' || name) is not null;
       execute format('create table es.%I (like es.events including all)', name);
       execute format('alter table es.%I set (autovacuum_vacuum_insert_scale_factor = 0.05, toast_tuple_target = 4080)', name);
       execute format('create trigger events_no_truncate before truncate on es.%I execute function es.immutable()', name);
       execute format('alter table es.events attach partition es.%I for values from (%L) to (%L)', name,
         es.uuid7_at(month), es.uuid7_at((month at time zone 'UTC' + interval '1 month') at time zone 'UTC'));
       made := made + 1;
     end loop;
     return made;
   end $$`,
  "select es.ensure_partitions()"
]

const besides = [
  `create table es.commands (
     tenant_id  uuid not null,
     key        text not null,
     hash       text not null,
     stream_id  uuid not null,
     prefix     text not null,
     version    int not null,
     created_at timestamptz not null default now(),
     primary key (tenant_id, key)
   )`,
  `create table es.snapshots (
     stream_id uuid primary key,
     version   int not null,
     reducer   text not null,
     state     jsonb not null,
     taken_at  timestamptz not null default now()
   ) with (fillfactor = 70)`,
  "create sequence es.outbox_position cache 1",
  `create table es.outbox (
     position       bigint not null default nextval('es.outbox_position') primary key,
     tx             bigint not null default es.current_tx(),
     xid            xid8 not null default pg_current_xact_id(),
     shard          smallint not null generated always as (get_byte(decode(md5(key), 'hex'), 15) & 15) stored,
     id             text not null,
     topic          text not null,
     key            text not null,
     type           text not null,
     schema_version smallint not null default 1,
     body           jsonb not null,
     headers        jsonb not null default '{}',
     recorded_at    timestamptz not null default now()
   )`,
  "comment on table es.outbox is 'messages that are not events; tx is at least that of every message of the topic that the writer could see'",
  "create index outbox_feed on es.outbox (topic, tx, position)"
]

/**
 * What a reader gets: the rows that snapshot `cur` sees and snapshot `prev` does not, paged by (tx, position). It never
 * loses a late commit, never waits for a long transaction, and keeps the order of each stream.
 *
 * The page begins at one row comparison, because the index is entered by that alone: with a second lower bound beside
 * it, every call would walk the index from its beginning. And it must not be sorted: the planner, who cannot know how
 * much lies behind the cursor, would rather fetch and sort all of it.
 */
const feed = (name: string, table: string, byTopic = false) =>
  `create function es.${name}(${byTopic ? "of_topic text, " : ""}prev pg_snapshot, cur pg_snapshot,
     after_tx bigint, after_position bigint, lim int, shards smallint[] default null)
   returns setof ${table} language plpgsql stable
   set enable_sort = off set enable_seqscan = off set enable_bitmapscan = off as $$
   declare
     -- '1:1:' is the very beginning, whatever the era
     beginning boolean := pg_snapshot_xmax(prev) = '1'::xid8;
     -- the smallest transaction that finished between prev and cur
     low bigint := case when beginning then 0 else (
       select coalesce(min(i::text::bigint), pg_snapshot_xmax(prev)::text::bigint) + es.xid_offset()
         from pg_snapshot_xip(prev) i where pg_visible_in_snapshot(i, cur)) end;
     high bigint := pg_snapshot_xmax(cur)::text::bigint + es.xid_offset();
     from_tx bigint := greatest(after_tx, low - 1);
     from_position bigint := case when after_tx >= low then after_position else 9223372036854775807 end;
   begin
     return query
     select e.* from ${table} e
      where ${byTopic ? "e.topic = of_topic and " : ""}(e.tx, e.position) > (from_tx, from_position)
        and e.tx < high
        and es.visible(e.tx, e.xid, cur)
        and (beginning or not es.visible(e.tx, e.xid, prev))
        and (shards is null or e.shard = any (shards))
      order by e.tx, e.position limit lim;
   end $$`

const readers = [
  feed("feed", "es.events"),
  feed("outbox_feed", "es.outbox", true),
  `create table es.consumers (
     name        text not null,
     shard       smallint not null,
     epoch       int not null default 0,
     owner       text,
     lease_until timestamptz not null default '-infinity',
     prev        pg_snapshot not null default '1:1:',
     cur         pg_snapshot,
     tx          bigint not null default 0,
     position    bigint not null default 0,
     updated_at  timestamptz not null default now(),
     primary key (name, shard)
   ) with (fillfactor = 20)`,
  `create function es.lease(p_name text, p_owner text, p_max int, p_ttl interval)
   returns table (shard smallint, epoch int) language sql as $$
     update es.consumers c set owner = p_owner, epoch = c.epoch + (c.owner is distinct from p_owner)::int,
            lease_until = clock_timestamp() + p_ttl
      where c.name = p_name and c.shard in (
        select k.shard from es.consumers k
         where k.name = p_name and (k.owner = p_owner or k.lease_until < clock_timestamp())
         order by (k.owner = p_owner) desc nulls last, k.shard limit p_max for update skip locked)
     returning c.shard, c.epoch $$`,
  `create function es.newest_tx() returns bigint language sql stable
   as 'select greatest((select max(tx) from es.events), (select max(tx) from es.outbox))'`,
  `create function es.check_era() returns void language plpgsql as $$
   declare newest bigint := es.newest_tx();
   begin
     if newest >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + es.xid_offset() then
       raise exception 'events carry transaction ids of another cluster (up to %): call es.rebase() once before anything starts',
         newest using errcode = 'ES002';
     end if;
   end $$`,
  // Once, offline, after a logical restore. A reader goes on from the first row that it had not consumed: a few come
  // twice, none is lost.
  `create function es.rebase() returns bigint language plpgsql as $$
   declare newest bigint := greatest(coalesce(es.newest_tx(), 0), es.xid_offset());
   begin
     update es.consumers c set prev = '1:1:', cur = null, owner = null, lease_until = '-infinity', (tx, position) = (
       select coalesce(min(e.tx) - 1, newest), case when min(e.tx) is null then 9223372036854775807 else 0 end
         from (select tx, xid, position, shard from es.events
               union all select tx, xid, position, shard from es.outbox) e
        where (c.shard < 0 or e.shard = c.shard)
          and case when c.cur is null
              then not es.visible(e.tx, e.xid, c.prev) and e.tx >= pg_snapshot_xmin(c.prev)::text::bigint + es.xid_offset()
              else not es.visible(e.tx, e.xid, c.prev)
                   and (not es.visible(e.tx, e.xid, c.cur) or (e.tx, e.position) > (c.tx, c.position)) end);
     execute format('create or replace function es.xid_offset() returns bigint language sql immutable parallel safe as ''select %s::bigint''',
       newest);
     return newest;
   end $$`
]

export const eventStore: ReadonlyArray<string> = [
  ...eras,
  ...streams,
  ...events,
  ...appending,
  ...partitions,
  ...besides,
  ...readers
]
