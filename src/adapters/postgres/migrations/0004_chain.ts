/** What was read of the chains: cursors, the window of blocks, and the transfers to our addresses. Schema `chain`. */

export const chain: ReadonlyArray<string> = [
  "create schema chain",
  `create table chain.cursors (
     chain       text primary key,
     number      int not null,
     hash        text not null,
     parent_hash text not null,
     time        timestamptz not null,
     finalized   int not null,
     genesis     text not null,
     halted      text,
     checked_at  timestamptz not null
   ) with (fillfactor = 20)`,
  // Orphaned blocks stay until they fall out of the window: the same block can come back, under the same hash.
  `create table chain.blocks (
     chain       text not null,
     hash        text not null,
     number      int not null,
     parent_hash text not null,
     time        timestamptz not null,
     orphaned    boolean not null default false,
     primary key (chain, hash)
   )`,
  "create index blocks_number on chain.blocks (chain, number)",
  `create table chain.movements (
     chain       text not null,
     number      int not null,
     block_hash  text not null,
     transaction text not null,
     position    int not null,
     asset       text not null,
     decimals    int not null,
     sender      text not null,
     recipient   text not null,
     amount      numeric(78, 0) not null,
     primary key (chain, number, block_hash, transaction, position)
   )`,
  "comment on table chain.movements is 'of everybody, within the window: for addresses given out after their block was read'",
  "create index movements_recipient on chain.movements (recipient)",
  `create table chain.transfers (
     chain       text not null,
     transaction text not null,
     position    int not null,
     asset       text not null,
     decimals    int not null,
     sender      text not null,
     recipient   text not null,
     amount      numeric(78, 0) not null,
     number      int not null,
     block_hash  text not null,
     block_time  timestamptz not null,
     level       smallint not null default 0 check (level between 0 and 3),
     orphaned    boolean not null default false,
     primary key (chain, transaction, position)
   )`,
  "comment on column chain.transfers.level is 'the surest that was told: 0 seen, 1 small, 2 default, 3 final'",
  // By height, so that a block touches only what it confirms or takes away. What is final leaves the index.
  "create index transfers_unsure on chain.transfers (chain, level, number) where not orphaned and level < 3",
  "create index transfers_recipient on chain.transfers (recipient)"
]
