/** Deposit addresses that were derived and not used yet. Schema `deposit`. */

export const addresses: ReadonlyArray<string> = [
  "create schema deposit",
  // Written when addresses are derived, never when one is used: no invoice waits for another here.
  `create table deposit.wallets (
     wallet     text primary key,
     next_index int not null
   )`,
  `create table deposit.addresses (
     wallet       text not null,
     index        int not null,
     address      text not null,
     leased_by    text,
     leased_until timestamptz,
     primary key (wallet, index)
   ) with (fillfactor = 80)`,
  "comment on table deposit.addresses is 'a row goes once its address stands in read.address_book'",
  // Two wallets of the same account share its addresses between them.
  "create unique index addresses_address on deposit.addresses (address)",
  "create index addresses_free on deposit.addresses (wallet, index) where leased_until is null",
  "create index addresses_leased on deposit.addresses (leased_until) where leased_until is not null"
]
