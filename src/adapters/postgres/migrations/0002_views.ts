/** The strong read models: one table each, all of one shape. Schema `read`. */

const names = ["invoice_details", "address_book", "api_keys", "merchants", "wallets", "endpoints"]

// Keys compare by their bytes, so that ids run by time whatever language the database speaks.
const table = (name: string) => [
  `create table read.${name} (
     key        text collate "C" primary key,
     tenant     uuid not null,
     stream     uuid not null,
     version    int not null,
     data       jsonb not null,
     created_at timestamptz not null,
     updated_at timestamptz not null
   ) with (fillfactor = 85)`,
  `create index ${name}_tenant on read.${name} (tenant, key)`
]

export const views: ReadonlyArray<string> = [
  "create schema read",
  ...names.flatMap(table),
  "create index invoice_details_order on read.invoice_details (tenant, (data->>'orderId')) where data->>'orderId' is not null",
  "create index invoice_details_status on read.invoice_details (tenant, (data->>'status'), key)",
  // No address is ever given out twice, not even under another spelling of itself.
  "create unique index address_book_deposit on read.address_book ((data->>'wallet'), (data->>'index'))"
]
