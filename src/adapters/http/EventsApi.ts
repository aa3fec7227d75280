/** The feed part of the contract: every notice of a merchant, in order, to be read again at will. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Answered, Asked, Authenticated, NeedsScope } from "./Conventions.ts"
import { NoticeTypes } from "./Forms.ts"
import { limit } from "./Paging.ts"
import { problems } from "./Problem.ts"

const EventPage = Schema.Struct({
  data: Schema.Array(Schema.Json).annotate({
    description: "The same bodies that webhooks carry, under the same ids (see the webhook catalogue)."
  }),
  hasMore: Schema.Boolean,
  nextCursor: Schema.NullOr(Schema.String).annotate({
    description: "Where to go on from. Keep it even where there is no more now."
  })
}).annotate({ identifier: "EventPage" })

export class EventsApi extends HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("list", "/", {
    query: {
      after: Schema.optionalKey(Schema.String.pipe(Schema.check(Schema.isMaxLength(200)))).annotateKey({
        description: "The `nextCursor` of an earlier answer. Default: from the beginning."
      }),
      types: Schema.optionalKey(NoticeTypes),
      limit
    },
    success: EventPage,
    error: problems("invalid_request", "unavailable")
  }).annotate(NeedsScope, "webhooks:read").annotateMerge(OpenApi.annotations({
    summary: "Read the feed",
    description:
      "Oldest first, in the order in which things became visible. Whoever reads it to the end has missed nothing, " +
      "whatever became of the webhooks."
  }))
).middleware(Asked).middleware(Authenticated).middleware(Answered).prefix("/v1/events") {}
