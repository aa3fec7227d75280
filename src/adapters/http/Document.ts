/** The OpenAPI document: what the contract says of itself, with what holds everywhere and with examples. */
import { OpenApi } from "effect/http-api"
import { Api } from "./Api.ts"
import * as Examples from "./Examples.ts"
import { type Code, codes, Problem } from "./Problem.ts"

export interface JsonSchema {
  readonly [key: string]: unknown
}
interface MediaType {
  readonly schema: JsonSchema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}
export interface Answer {
  readonly description: string
  readonly headers?: Readonly<Record<string, unknown>>
  readonly content?: Readonly<Record<string, MediaType>>
}
interface Parameter {
  readonly name: string
  readonly in: "path" | "query" | "header"
  readonly required: boolean
  readonly schema: JsonSchema
  readonly style?: "deepObject" | "form"
  readonly explode?: boolean
}
export interface Operation {
  readonly operationId: string
  readonly tags: ReadonlyArray<string>
  readonly summary: string
  readonly description: string
  readonly security: ReadonlyArray<unknown>
  readonly parameters: ReadonlyArray<Parameter>
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, MediaType>> }
  readonly responses: Readonly<Record<string, Answer>>
}
export interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly tags: ReadonlyArray<{ readonly name: string }>
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly webhooks: Readonly<Record<string, unknown>>
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly securitySchemes: Readonly<Record<string, unknown>>
  }
}

/** In a URL all is text; this annotation of a schema says what a text stands for. */
const standsFor = "standsFor"

const problemType = "application/problem+json"

/** What the server adds to every answer of the API. */
const everywhere = {
  "request-id": {
    description: "Yours if you sent one, else ours. Name it when you ask us.",
    schema: { type: "string" }
  },
  "server-timing": { schema: { type: "string" } }
}
const limited = {
  "ratelimit": { description: "What is left of the bucket.", schema: { type: "string" } },
  "ratelimit-policy": { schema: { type: "string" } }
}
const ofStatus: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "401": { "www-authenticate": { schema: { type: "string" } } },
  "405": { allow: { schema: { type: "string" } } },
  "415": { "accept-post": { schema: { type: "string" } } },
  "429": { "retry-after": { description: "Seconds.", schema: { type: "integer" } } },
  "503": { "retry-after": { description: "Seconds.", schema: { type: "integer" } } }
}

const problemSchema: JsonSchema = {
  type: "object",
  description: "RFC 9457. Branch on `code`; the rest is for people.",
  properties: {
    type: { type: "string", format: "uri-reference", description: "The page that explains the code." },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", enum: Object.keys(codes) },
    errors: { type: "array", items: { $ref: "#/components/schemas/Mistake" } },
    requestId: { type: "string" }
  },
  required: ["type", "title", "status", "detail", "code", "requestId"]
}

const signature = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => ({
  name,
  in: "header",
  required: true,
  schema: { type: "string" }
}))

/** What the contract's types cannot say: `metadata[key]=value`. */
const metadata: Parameter = {
  name: "metadata",
  in: "query",
  required: false,
  style: "deepObject",
  schema: {
    type: "object",
    additionalProperties: { type: "string" },
    description: "`metadata[key]=value`: only what has this value under this key."
  }
}
const ifNoneMatch: Parameter = {
  name: "if-none-match",
  in: "header",
  required: false,
  schema: { type: "string", description: "The ETag you have. If it is still that, the answer is 304." }
}
const unchanged = { "304": { description: "Still what the ETag in `If-None-Match` stands for.", headers: everywhere } }

export const document: Document = (() => {
  const made = OpenApi.fromApi(Api, {
    includeAnnotationKey: (key) => key === standsFor || key === "pattern"
  }) as unknown as Document
  const paths = Object.fromEntries(
    Object.entries(made.paths).map(([path, operations]) => [
      path,
      Object.fromEntries(
        Object.entries(operations).map(([method, operation]) => [method, completed(method, operation)])
      )
    ])
  )
  return {
    ...made,
    paths,
    webhooks: Object.fromEntries(Examples.notices.map(({ body, type }) => [type, webhook(type, body)])),
    components: {
      ...made.components,
      schemas: {
        ...Object.fromEntries(
          Object.entries(made.components.schemas).map(([name, schema]) => [
            name,
            name in Examples.schemas ? { ...schema, examples: [Examples.schemas[name]] } : schema
          ])
        ),
        Problem: problemSchema
      }
    }
  }
})()

function completed(method: string, operation: Operation): Operation {
  const cached = method === "get" && operation.security.length > 0
  const example = Examples.requests[operation.operationId]
  const json = operation.requestBody?.content["application/json"]
  return {
    ...operation,
    parameters: [
      ...operation.parameters.map(understood),
      ...operation.operationId === "invoices.list" ? [metadata] : [],
      ...cached ? [ifNoneMatch] : []
    ],
    ...json !== undefined && example !== undefined && {
      requestBody: { required: true, content: { "application/json": { ...json, example } } }
    },
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.responses).map(([status, answer]) => [status, answerOf(status, answer)])
      ),
      ...cached && unchanged
    }
  }
}

function understood(parameter: Parameter): Parameter {
  const { [standsFor]: meant, ...schema } = parameter.schema
  if (meant === undefined) return { ...parameter, schema }
  const { description } = { description: "", ...schema }
  const listed = (meant as JsonSchema)["type"] === "array"
  return { ...parameter, ...listed && { style: "form", explode: false }, schema: { ...meant, description } }
}

/** Every problem has the same shape; an operation's answer names the codes that it can have. */
function answerOf(status: string, answer: Answer): Answer {
  const headers = { ...everywhere, ...Number(status) < 500 && limited, ...ofStatus[status], ...answer.headers }
  const content = answer.content?.[problemType]
  if (content === undefined) return { ...answer, headers }
  const known = codesIn(content.schema)
  return {
    description: known.map((code) => `\`${code}\`: ${codes[code].means}`).join(" "),
    headers,
    content: {
      ...answer.content,
      [problemType]: {
        schema: { $ref: "#/components/schemas/Problem" },
        examples: Object.fromEntries(known.map((code) => [code, { value: exampleOf(code) }]))
      }
    }
  }
}

/** A name is a code if it is one: nothing else in these schemas is. */
function codesIn(schema: unknown): ReadonlyArray<Code> {
  const words = JSON.stringify(schema).match(/"[a-z_]+"/g) ?? []
  return [...new Set(words.map((word) => word.slice(1, -1)))].filter((word): word is Code => Object.hasOwn(codes, word))
}

export function exampleOf(code: Code) {
  const { _tag, headers: _headers, ...body } = new Problem(code, "req_01k3v7s2mhe1t9p5x8q4w6z0ab", {
    ...code === "invalid_request" && {
      errors: [{
        pointer: "/price/amount",
        code: "number_not_string",
        message: `Amounts are strings, so that they stay exact: "25.00", not 25.00.`
      }]
    }
  })
  return body
}

function webhook(type: string, body: string) {
  return {
    post: {
      operationId: `webhook.${type}`,
      summary: type,
      parameters: signature,
      requestBody: { required: true, content: { "application/json": { example: JSON.parse(body) as unknown } } },
      responses: {
        "2XX": { description: "Heard. Anything else, or silence for 15 seconds, is tried again for three days." }
      }
    }
  }
}
