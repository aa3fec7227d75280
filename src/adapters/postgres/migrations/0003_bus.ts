/** Who reads the log in turns with whom, what was given up, and the reminders. Schema `es`. */

export const bus: ReadonlyArray<string> = [
  // A message's own time is its writer's, and may be any; how long it is kept goes by this one.
  "alter table es.outbox add column published_at timestamptz not null default now()",
  "alter table es.consumers add column topic text",
  "create index consumers_topic on es.consumers (topic, shard)",
  // A process that has no shard yet must be seen by those that have them all, so that they give some up.
  `create table es.consumer_processes (
     name        text not null,
     owner       text not null,
     alive_until timestamptz not null,
     primary key (name, owner)
   )`,
  `create table es.parked (
     id          bigint generated always as identity primary key,
     group_name  text not null,
     topic       text not null,
     message_id  text not null,
     message     jsonb not null,
     reason      text not null,
     attempts    int not null,
     recorded_at timestamptz not null,
     parked_at   timestamptz not null default now(),
     unique (group_name, message_id)
   )`,
  `create table es.timers (
     id       text primary key,
     due_at   timestamptz not null,
     rings_at timestamptz not null,
     revision bigint not null default 1,
     about    jsonb not null
   )`,
  "comment on column es.timers.rings_at is 'due_at, or later: while a process rings it, and after a failure'",
  "comment on column es.timers.revision is 'changes whenever it is set or claimed: who rang it then knows whether it is still theirs to finish'",
  "create index timers_next on es.timers (rings_at)"
]
