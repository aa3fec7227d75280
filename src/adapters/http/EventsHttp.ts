/** The feed, read from the notices as they were written down. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Schema } from "effect"
import { Deliveries } from "#ports/Deliveries.ts"
import { Api } from "./Api.ts"
import { Principal } from "./Conventions.ts"
import { usualLimit } from "./Paging.ts"
import { answered } from "./Problems.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "events",
  Effect.fnUntraced(function*(handlers) {
    const deliveries = yield* Deliveries
    return handlers.handleAll({
      list: ({ query: { after = null, limit = usualLimit, types } }) =>
        Effect.gen(function*() {
          const { merchantId, mode } = yield* Principal
          const { cursor, data, hasMore } = yield* deliveries.notifications({
            merchantId,
            mode,
            after,
            limit,
            ...types !== undefined && { types }
          })
          return { data: data.map(({ body }) => JSON.parse(body) as Schema.Json), hasMore, nextCursor: cursor }
        }).pipe(answered)
    })
  })
)
