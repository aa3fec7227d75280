/** Ids are made here, on the server: an id made elsewhere could fall into a month that has no partition. */
import { Clock, Effect } from "effect"
import type { Aggregate } from "#domain/Aggregate.ts"
import { fromUuid, uuidEvergreen, uuidV7 } from "#domain/Id.ts"

const randomBytes = Effect.sync(() => crypto.getRandomValues(new Uint8Array(16)))

/** A fresh id for a stream of this kind. At least 74 random bits; 112 for the evergreen ones. */
export const newId = ({ evergreen, prefix }: Pick<Aggregate<never, never>, "prefix" | "evergreen">) =>
  Effect.map(
    Effect.all([Clock.currentTimeMillis, randomBytes]),
    ([now, random]) => fromUuid(prefix, evergreen ? uuidEvergreen(random) : uuidV7(now, random))
  )
