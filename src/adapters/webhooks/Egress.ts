/** The policy of where we send, as it meets DNS: checked when a URL is saved, and again at every connection. */
import { Context, Effect, Layer } from "effect"
import * as dns from "node:dns"
import type { LookupFunction } from "node:net"
import { checkUrl, type EgressPolicy, mayReach, UrlRefused } from "#domain/EgressPolicy.ts"
import { Egress } from "#ports/Egress.ts"

/** All addresses of a name; rejects with a code such as ENOTFOUND. */
export type Resolve = (
  hostname: string
) => Promise<ReadonlyArray<{ readonly address: string; readonly family: number }>>

const systemResolve: Resolve = (hostname) => dns.promises.lookup(hostname, { all: true, order: "verbatim" })

/** At most this long does saving a URL wait for its name. */
const patience = "3 seconds"

/** The code of the error with which a connection to a forbidden address fails. */
export const forbidden = "EGRESS_FORBIDDEN"

/** The same policy for whoever opens connections. */
export class Gate extends Context.Service<Gate, {
  readonly policy: EgressPolicy
  /** For `net.connect`, which does not call it where the host is an address: check those first. */
  readonly lookup: LookupFunction
}>()("checkout/webhooks/Gate") {}

export const layer = (policy: EgressPolicy, resolve: Resolve = systemResolve): Layer.Layer<Egress | Gate> => {
  // A single forbidden address condemns the name: which one the connection would get is the resolver's whim.
  const condemned = (addresses: ReadonlyArray<{ readonly address: string }>) =>
    addresses.some(({ address }) => !mayReach(policy, address))

  const lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses
        if (first === undefined) callback(failure("ENOTFOUND"), "")
        else if (condemned(addresses)) callback(failure(forbidden), "")
        else if (options.all === true) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, "")
    )
  }

  const vet = Effect.fn("Egress.vet")(function*(text: string) {
    const url = yield* Effect.fromResult(checkUrl(policy, text))
    const addresses = url.hostname.startsWith("[") ? [] : yield* Effect.tryPromise(() => resolve(url.hostname)).pipe(
      Effect.timeout(patience),
      Effect.orElseSucceed(() => [])
    )
    if (condemned(addresses)) return yield* new UrlRefused({ code: "forbidden_address" })
    return url.href
  })

  return Layer.mergeAll(Layer.succeed(Egress, { vet }), Layer.succeed(Gate, { policy, lookup }))
}

const failure = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code })
