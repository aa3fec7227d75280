/** The reference page, drawn from the OpenAPI document alone. Plain HTML: it reads the same without its script. */
import { type Answer, document, exampleOf, type JsonSchema, type Operation } from "./Document.ts"
import * as Examples from "./Examples.ts"
import { type Code, codes } from "./Problem.ts"

/** A request that an operation's examples make, on a server whose address is not known yet. */
interface ExampleRequest {
  readonly method: string
  readonly path: string
  readonly body: unknown
}

export interface Entry {
  readonly path: string
  readonly method: string
  readonly operation: Operation
  readonly request: ExampleRequest
}

export const entries: ReadonlyArray<Entry> = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({
    path,
    method: method.toUpperCase(),
    operation,
    request: requestOf(path, method.toUpperCase(), operation)
  }))
)

function requestOf(path: string, method: string, operation: Operation): ExampleRequest {
  const content = operation.requestBody?.content["application/json"]
  const filled = Object.entries(Examples.parameters).reduce(
    (path, [name, value]) =>
      name.startsWith("/") && path.startsWith(name)
        ? path.replace("{id}", value)
        : path.replace(`{${name}}`, value),
    path
  )
  const body = content === undefined ? undefined : content.example ?? exampleOfSchema(content.schema)
  return { method, path: filled, body }
}

function exampleOfSchema(schema: JsonSchema): unknown {
  const name = refOf(schema)
  return name === undefined ? {} : Examples.schemas[name] ?? {}
}

function refOf(schema: JsonSchema): string | undefined {
  const ref = schema["$ref"]
  return typeof ref === "string" ? ref.slice(ref.lastIndexOf("/") + 1) : undefined
}

const json = (value: unknown) => JSON.stringify(value, null, 2)
const indented = (text: string, by: string) => text.replaceAll("\n", `\n${by}`)

export const curlOf = ({ operation, request: { body, method, path } }: Entry, origin: string): string =>
  [
    `curl ${method === "GET" ? "" : `-X ${method} `}"${origin}${path}"`,
    ...operation.security.length > 0 ? [`-H "Authorization: Bearer $CHECKOUT_KEY"`] : [],
    ...method === "POST" ? [`-H "Idempotency-Key: $(uuidgen)"`] : [],
    ...body === undefined ? [] : [`-H "Content-Type: application/json"`, `-d '${json(body).replaceAll("'", "'\\''")}'`]
  ].join(" \\\n  ")

export const fetchOf = ({ operation, request: { body, method, path } }: Entry, origin: string): string => {
  const headers = [
    ...operation.security.length > 0 ? ["authorization: `Bearer ${process.env.CHECKOUT_KEY}`"] : [],
    ...method === "POST" ? [`"idempotency-key": crypto.randomUUID()`] : [],
    ...body === undefined ? [] : [`"content-type": "application/json"`]
  ]
  const options = [
    ...method === "GET" ? [] : [`method: "${method}"`],
    ...headers.length === 0 ? [] : [`headers: {\n    ${headers.join(",\n    ")}\n  }`],
    ...body === undefined ? [] : [`body: JSON.stringify(${indented(json(body), "  ")})`]
  ]
  const given = options.length === 0 ? "" : `, {\n  ${options.join(",\n  ")}\n}`
  const read = Object.keys(operation.responses).includes("204") ? "" : "\nconst answer = await response.json()"
  return `const response = await fetch("${origin}${path}"${given})\nif (!response.ok) throw new Error(await response.text())${read}`
}

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
/** The little Markdown that descriptions use. */
const prose = (text: string) => escaped(text).replace(/`([^`]+)`/g, "<code>$1</code>")
const code = (text: string, language: string) =>
  `<pre tabindex="0" data-language="${language}"><code>${escaped(text)}</code></pre>`
const anchor = (text: string) => text.replaceAll(/[^A-Za-z0-9_]+/g, "-").toLowerCase()

export const reference = (origin: string): string => {
  const groups = Map.groupBy(entries, ({ operation }) => operation.tags[0] ?? "")
  return page(
    "Reference",
    `<nav aria-label="Contents"><a href="/docs/errors">Error codes</a><a href="#webhooks">Webhooks</a><a href="#objects">Objects</a>` +
      [...groups].map(([group, entries]) =>
        `<b>${escaped(group)}</b>${
          entries.map(({ operation }) =>
            `<a href="#${anchor(operation.operationId)}">${escaped(operation.summary)}</a>`
          ).join("")
        }`
      ).join("") + `</nav><main><h1>Crypto Checkout</h1>${introduction}` +
      [...groups].map(([group, entries]) =>
        `<section><h2>${escaped(group)}</h2>${entries.map((entry) => operationHtml(entry, origin)).join("")}</section>`
      ).join("") + webhooksHtml + objectsHtml + `</main>`
  )
}

const introduction = `<p class="rule">Ship when <code>status</code> is <code>settled</code>, and on nothing else.</p>
<p>Every request carries <code>Authorization: Bearer ck_…</code>. A <code>ck_test_</code> key sees a world of its own, with test chains and the same API.
Amounts are strings and exact. Send an <code>Idempotency-Key</code> with every POST, and ask again whenever you are not sure: you get the same answer.
Errors are <a href="/docs/errors">problem details with a stable <code>code</code></a>. The contract as a file: <a href="/openapi.json">openapi.json</a>.</p>
<form class="key"><label>Try it here with a test key: <input type="password" name="key" placeholder="ck_test_…" autocomplete="off" spellcheck="false"></label>
<small>Stays in this page's memory, and is gone when you leave it.</small></form>`

const operationHtml = (entry: Entry, origin: string) => {
  const { method, operation, path, request } = entry
  const id = anchor(operation.operationId)
  const body = operation.requestBody?.content["application/json"]?.schema
  return `<article id="${id}"><h3><a href="#${id}">${escaped(operation.summary)}</a></h3>
<p class="route"><b>${method}</b> <code>${escaped(path)}</code></p><p>${prose(operation.description)}</p>
${parametersHtml(operation)}${body === undefined ? "" : `<h4>Body</h4>${bodyHtml(body)}`}
<h4>Answers</h4><dl>${
    Object.entries(operation.responses).map(([status, answer]) => answerHtml(status, answer)).join("")
  }</dl>
<h4>curl</h4>${code(curlOf(entry, origin), "sh")}<h4>TypeScript</h4>${code(fetchOf(entry, origin), "ts")}
<details class="try" hidden><summary>Try it</summary><form data-method="${method}">
<label>Path <input name="path" value="${escaped(request.path)}"></label>
${
    request.body === undefined
      ? ""
      : `<label>Body <textarea name="body" rows="8" spellcheck="false">${
        escaped(json(request.body))
      }</textarea></label>`
  }
<button>Send</button><output></output></form></details></article>`
}

const bodyHtml = (schema: JsonSchema) => {
  const named = document.components.schemas[refOf(schema) ?? ""]
  return named === undefined ? fieldsHtml(schema) : fieldsHtml(named)
}

const parametersHtml = ({ parameters }: Operation) =>
  parameters.length === 0 ?
    "" :
    `<h4>Parameters</h4><dl>${
      parameters.map(({ in: where, name, required, schema }) =>
        `<dt><code>${escaped(name)}</code> <small>${where}, ${typeOf(schema)}${
          required ? "" : ", optional"
        }</small></dt>` +
        `<dd>${prose(descriptionOf(schema))}</dd>`
      ).join("")
    }</dl>`

const answerHtml = (status: string, { content, description }: Answer) => {
  const schema = content?.["application/json"]?.schema
  const problems = Object.keys(content?.["application/problem+json"]?.examples ?? {})
  const said = problems.length > 0
    ? problems.map((name) => `<a href="/docs/errors#${name}"><code>${name}</code></a>`).join(" ")
    : schema === undefined
    ? prose(description)
    : typeOf(schema)
  return `<dt>${status}</dt><dd>${said}</dd>`
}

/** In words, with a link to what has a name. */
function typeOf(schema: JsonSchema): string {
  const name = refOf(schema)
  if (name !== undefined) return `<a href="#object-${anchor(name)}">${escaped(name)}</a>`
  const { anyOf, enum: values, items, type } = schema
  if (Array.isArray(values)) return values.map((value) => `<code>${escaped(JSON.stringify(value))}</code>`).join(" ")
  if (Array.isArray(anyOf)) return anyOf.map((member: JsonSchema) => typeOf(member)).join(" or ")
  if (type === "array" && typeof items === "object" && items !== null) return `list of ${typeOf(items as JsonSchema)}`
  return escaped(String(type ?? "anything"))
}

function descriptionOf(schema: JsonSchema): string {
  const { allOf, description } = schema
  const inner = Array.isArray(allOf) ? allOf.map((part: JsonSchema) => descriptionOf(part)) : []
  return [typeof description === "string" ? description : "", ...inner].filter((text) => text !== "").join(" ")
}

function fieldsHtml(schema: JsonSchema): string {
  const { properties, required } = schema
  if (typeof properties !== "object" || properties === null) return `<p>${typeOf(schema)}</p>`
  const needed = new Set(Array.isArray(required) ? required as ReadonlyArray<string> : [])
  return `<dl>${
    Object.entries(properties as Readonly<Record<string, JsonSchema>>).map(([name, field]) => {
      const type = `${typeOf(field)}${needed.has(name) ? "" : ", optional"}`
      return `<dt><code>${escaped(name)}</code> <small>${type}</small></dt><dd>${prose(descriptionOf(field))}</dd>`
    }).join("")
  }</dl>`
}

const webhooksHtml = `<section id="webhooks"><h2>Webhooks</h2>
<p>Each is a POST to your endpoint, signed by the <a href="https://www.standardwebhooks.com">Standard Webhooks</a> specification. Verify the signature over the bytes as they came,
drop what has an older <code>sequence</code> than you know, treat a <code>webhook-id</code> you have seen as done, and answer 2xx to types you do not know.</p>
${
  Examples.notices.map(({ body, type }) =>
    `<article id="webhook-${anchor(type)}"><h3><code>${type}</code></h3>${
      code(json(JSON.parse(body)), "json")
    }</article>`
  ).join("")
}</section>`

const objectsHtml = `<section id="objects"><h2>Objects</h2>${
  Object.entries(document.components.schemas).map(([name, schema]) => {
    const example = Examples.schemas[name]
    return `<article id="object-${anchor(name)}"><h3>${escaped(name)}</h3><p>${prose(descriptionOf(schema))}</p>${
      fieldsHtml(schema)
    }${
      example === undefined ? "" : `<details><summary>Example</summary>${code(json(example), "json")}</details>`
    }</article>`
  }).join("")
}</section>`

export const errors: string = page(
  "Error codes",
  `<nav aria-label="Contents"><a href="/docs">Reference</a>${
    Object.keys(codes).map((name) => `<a href="#${name}">${name}</a>`).join("")
  }</nav><main><h1>Error codes</h1><p>Every error is <code>application/problem+json</code> (RFC 9457). Branch on <code>code</code>, which never changes its meaning;
<code>title</code> and <code>detail</code> are for people. Name <code>requestId</code> when you ask us.</p>${
    Object.entries(codes).map(([name, { means, status, title }]) =>
      `<article id="${name}"><h3><a href="#${name}"><code>${name}</code></a> <small>${status}</small></h3><p><b>${
        escaped(title)
      }.</b> ${prose(means)}</p>
<details><summary>Example</summary>${code(json(exampleOf(name as Code)), "json")}</details></article>`
    ).join("")
  }</main>`
)

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>${title} · Crypto Checkout</title><style nonce="{nonce}">{style}</style></head>
<body>${body}<script type="module" nonce="{nonce}">{script}</script></body></html>`
}
