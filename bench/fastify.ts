/** The baseline of `http.cpu-vs-fastify`: a bare server that validates an invoice, inserts it, and shows it. */
import fastify from "fastify"
import { randomUUID } from "node:crypto"
import { Pool } from "pg"

const pool = new Pool({ connectionString: process.argv[2], max: 20 })
await pool.query(`create table invoices (
  id uuid primary key, amount numeric not null, currency text not null, order_id text, description text,
  metadata jsonb not null, status text not null, created_at timestamptz not null, expires_at timestamptz not null)`)

interface Body {
  readonly price: { readonly amount: string; readonly currency: string }
  readonly orderId?: string
  readonly description?: string
  readonly metadata?: Record<string, string>
}

const schema = {
  body: {
    type: "object",
    additionalProperties: false,
    required: ["price"],
    properties: {
      price: {
        type: "object",
        additionalProperties: false,
        required: ["amount", "currency"],
        properties: {
          amount: { type: "string", pattern: "^\\d{1,15}(\\.\\d{1,2})?$" },
          currency: { enum: ["EUR", "USD", "GBP", "CHF", "JPY"] }
        }
      },
      orderId: { type: "string", minLength: 1, maxLength: 200 },
      description: { type: "string", minLength: 1, maxLength: 500 },
      metadata: { type: "object", maxProperties: 50, additionalProperties: { type: "string", maxLength: 500 } }
    }
  }
}

const server = fastify()
server.post<{ Body: Body }>("/v1/invoices", { schema }, async ({ body }, reply) => {
  const { description = null, metadata = {}, orderId = null, price } = body
  const { rows } = await pool.query({
    name: "insert",
    text: `insert into invoices values ($1, $2, $3, $4, $5, $6, 'open', $7, $8)
           returning id, amount, currency, order_id, description, metadata, status, created_at, expires_at`,
    values: [
      randomUUID(),
      price.amount,
      price.currency,
      orderId,
      description,
      JSON.stringify(metadata),
      new Date(),
      new Date(Date.now() + 900_000)
    ]
  })
  return reply.code(201).send(rows[0])
})
console.log(await server.listen({ host: "127.0.0.1", port: 0 }))
process.once("SIGINT", () => process.exit())
