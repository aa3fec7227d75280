/** Why the process could not start, in a sentence for whoever typed the command: what was wrong, and what to do. */
import { Cause, Redacted } from "effect"
import type { Settings } from "./Config.ts"

/** The errors of libraries say what happened to them; which setting it was, only we know. */
export const explain = (cause: Cause.Cause<unknown>, settings: Settings): string => {
  const error = Cause.squash(cause)
  switch (tagOf(error)) {
    case "ServeError":
      return codeOf(error) === "EADDRINUSE"
        ? `Port ${settings.port} is taken. Stop what listens there, or choose another --port; 0 takes any that is free.`
        : `The server cannot listen on ${settings.host}:${settings.port} (${codeOf(error)}). See --host and --port.`
    case "SqlError":
      return `The database${hostOf(settings)} could not be used: ${
        messageOf(error)
      }. See --database-url (DATABASE_URL).`
    case "AnvilFailed":
      return settings.chainRpc === ""
        ? messageOf(error)
        : `${messageOf(error)}. Is the node of --chain-rpc (CHAIN_RPC) running, and is it a development chain?`
    default:
      return messageOf(error)
  }
}

const tagOf = (error: unknown) =>
  typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined

const messageOf = (error: unknown): string =>
  error instanceof Error && error.message !== "" ? error.message : String(error)

/** Of the error that lies at the bottom. */
const codeOf = (error: unknown): string => {
  for (let inner = error; typeof inner === "object" && inner !== null;) {
    if ("code" in inner && typeof inner.code === "string") return inner.code
    inner = "cause" in inner ? inner.cause : null
  }
  return "unknown"
}

/** Where the database is, without who may use it. */
const hostOf = ({ databaseUrl }: Settings): string => {
  const url = databaseUrl === null ? null : URL.parse(Redacted.value(databaseUrl))
  return url === null ? "" : ` at ${url.host}`
}
