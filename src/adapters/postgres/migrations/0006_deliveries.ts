/** What merchants are owed: notices, one delivery for each endpoint, and the log of attempts. Schema `webhooks`. */

const tables = [
  "create schema webhooks",
  "create sequence webhooks.position cache 1",
  `create table webhooks.notifications (
     id          text collate "C" primary key,
     merchant_id text collate "C" not null,
     mode        text not null,
     type        text not null,
     invoice_id  text collate "C",
     body        text not null,
     occurred_at timestamptz(3) not null,
     position    bigint not null default nextval('webhooks.position'),
     tx          bigint not null default es.current_tx(),
     xid         xid8 not null default pg_current_xact_id()
   )`,
  "comment on column webhooks.notifications.tx is 'order of the merchants'' feed, with position; counted on over a restore'",
  "comment on column webhooks.notifications.xid is 'a reader sees what no transaction under way can come before'",
  "create index notifications_feed on webhooks.notifications (merchant_id, mode, tx, position)",
  `create table webhooks.deliveries (
     id              text collate "C" primary key,
     endpoint_id     text collate "C" not null,
     notification_id text collate "C" not null references webhooks.notifications (id),
     merchant_id     text collate "C" not null,
     mode            text not null,
     invoice_id      text collate "C",
     ordered         boolean not null,
     position        bigint not null,
     status          text not null check (status in ('pending', 'sending', 'delivered', 'exhausted', 'skipped')),
     attempts        int not null default 0,
     begun_at        int not null default 0,
     due_at          timestamptz,
     created_at      timestamptz(3) not null default now(),
     unique (notification_id, endpoint_id),
     check ((due_at is not null) = (status in ('pending', 'sending')))
   ) with (fillfactor = 70)`,
  "comment on column webhooks.deliveries.ordered is 'waits for the earlier ones of the same invoice'",
  "comment on column webhooks.deliveries.position is 'of its notice'",
  "comment on column webhooks.deliveries.attempts is 'begun; also what fences off a worker whose lease is over'",
  "comment on column webhooks.deliveries.begun_at is 'attempts when the present schedule began'",
  "comment on column webhooks.deliveries.due_at is 'pending: when to send, infinity behind another; sending: end of the lease'",
  // By endpoint first, so that finding work costs a step for each endpoint that has some, whatever it has piled up.
  "create index deliveries_due on webhooks.deliveries (endpoint_id, due_at, position) where due_at is not null",
  "create index deliveries_sending on webhooks.deliveries (endpoint_id) where status = 'sending'",
  "create index deliveries_next on webhooks.deliveries (due_at) where due_at is not null",
  `create index deliveries_turn on webhooks.deliveries (endpoint_id, invoice_id, position)
   where ordered and due_at is not null`,
  "create index deliveries_log on webhooks.deliveries (endpoint_id, id)",
  "create index deliveries_missed on webhooks.deliveries (endpoint_id, created_at) where status in ('skipped', 'exhausted')",
  `create table webhooks.streaks (
     endpoint_id   text collate "C" primary key,
     failures      int not null,
     failing_since timestamptz(3) not null
   ) with (fillfactor = 50)`,
  "comment on table webhooks.streaks is 'endpoints that have failed ever since'"
]

const attempts = [
  `create table webhooks.attempts (
     delivery_id text collate "C" not null,
     endpoint_id text collate "C" not null,
     number      int not null,
     at          timestamptz(3) not null,
     duration_ms int not null,
     outcome     text not null,
     status      int,
     detail      text not null,
     primary key (delivery_id, number, at)
   ) partition by range (at)`,
  "create index attempts_log on webhooks.attempts (endpoint_id, at)",
  // Attached instead of created in place, as those of the event log are; dropped a month at a time, never row by row.
  `create function webhooks.ensure_partitions(months_ahead int default 3, at timestamptz default now())
   returns int language plpgsql as $$
   declare month timestamptz; name text; made int := 0;
   begin
     perform pg_advisory_xact_lock(hashtextextended('webhooks.ensure_partitions', 0));
     for i in -1..months_ahead loop
       month := (date_trunc('month', at at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
       name := 'attempts_' || to_char(month at time zone 'UTC', 'YYYYMM');
       continue when to_regclass('webhooks.' || name) is not null;
       execute format('create table webhooks.%I (like webhooks.attempts including all)', name);
       execute format('alter table webhooks.attempts attach partition webhooks.%I for values from (%L) to (%L)', name,
         month, (month at time zone 'UTC' + interval '1 month') at time zone 'UTC');
       made := made + 1;
     end loop;
     return made;
   end $$`,
  "select webhooks.ensure_partitions()"
]

const eras = [
  // What a restore must stay above now includes the feed of notices.
  "create index notifications_tx on webhooks.notifications (tx)",
  `create or replace function es.newest_tx() returns bigint language sql stable as 'select greatest(
     (select max(tx) from es.events), (select max(tx) from es.outbox), (select max(tx) from webhooks.notifications))'`
]

export const deliveries: ReadonlyArray<string> = [...tables, ...attempts, ...eras]
