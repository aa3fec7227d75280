/** Rates, as the quotes see them. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Quotes } from "#commands/Quotes.ts"
import { Api } from "./Api.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "rates",
  Effect.fnUntraced(function*(handlers) {
    const quotes = yield* Quotes
    return handlers.handleAll({
      list: ({ query: { asset, currency = "USD" } }) =>
        Effect.map(quotes.listing(currency, asset === undefined ? undefined : [asset]), (data) => ({ data }))
    })
  })
)
