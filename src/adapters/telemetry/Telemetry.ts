/** What the process says of itself: lines on standard error, and traces to a collector if there is one. */
import { Context, Layer, Logger, References, Tracer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp } from "effect/observability"

export interface Options {
  readonly level: "Debug" | "Info" | "Warn" | "Error"
  /** Base URL of an OTLP/HTTP collector; null for none. */
  readonly otlpUrl: string | null
  /** One JSON object a line, for machines; else words for people. */
  readonly json: boolean
}

/** Structured, with the trace a line belongs to: by it a log line leads to its request. */
const jsonLines = Logger.make((options) => {
  const span = Context.getOrUndefined(options.fiber.context, Tracer.ParentSpan)
  const line = { ...Logger.formatStructured.log(options), ...(span && { traceId: span.traceId, spanId: span.spanId }) }
  process.stderr.write(
    `${JSON.stringify(line, (_, value: unknown) => typeof value === "bigint" ? String(value) : value)}\n`
  )
})

/** Standard output belongs to what a person or a script asked for. */
const words = Logger.make((options) => {
  process.stderr.write(`${Logger.formatLogFmt.log(options)}\n`)
})

export const layer = ({ json, level, otlpUrl }: Options) =>
  Layer.mergeAll(
    Logger.layer([json ? jsonLines : words]),
    Layer.succeed(References.MinimumLogLevel, level),
    otlpUrl === null
      ? Layer.succeed(References.TracerEnabled, false)
      : Otlp.layerJson({ baseUrl: otlpUrl, resource: { serviceName: "crypto-checkout" } }).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
  )
