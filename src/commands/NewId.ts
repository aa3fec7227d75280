/** Ids are made here, on the server: an id made elsewhere could fall into a month that has no partition. */
import { Clock, Effect } from "effect"
import type { Aggregate } from "#domain/Aggregate.ts"
import { fromUuid, uuidEvergreen, uuidV7 } from "#domain/Id.ts"

// Asking the system for each id's bytes by themselves would cost more than all the rest of making it.
const pool = new Uint8Array(4096)
let used = pool.length
const randomBytes = Effect.sync(() => {
  if (used === pool.length) {
    crypto.getRandomValues(pool)
    used = 0
  }
  return pool.slice(used, used += 16)
})

/** A fresh id for a stream of this kind. At least 74 random bits; 112 for the evergreen ones. */
export const newId = ({ evergreen, prefix }: Pick<Aggregate<never, never>, "prefix" | "evergreen">) =>
  Effect.map(
    Effect.all([Clock.currentTimeMillis, randomBytes]),
    ([now, random]) => fromUuid(prefix, evergreen ? uuidEvergreen(random) : uuidV7(now, random))
  )
