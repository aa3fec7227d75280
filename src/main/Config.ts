/** Every setting, once: a flag, the environment variable of the same name, its default, and a sentence. */
import { Config, Effect, Redacted, Result, Schema } from "effect"
import { Flag } from "effect/cli"
import { ChainId } from "#domain/Chain.ts"

const env = (flag: string) => flag.toUpperCase().replaceAll("-", "_")
const described = <A>(flag: Flag.Flag<A>, name: string, sentence: string) =>
  Flag.withDescription(flag, `${sentence} [${env(name)}]`)

const text = (name: string, fallback: string, sentence: string) =>
  described(Flag.String(name), name, sentence).pipe(
    Flag.withFallbackConfig(Config.String(env(name))),
    Flag.withDefault(fallback)
  )
const secret = (name: string, sentence: string): Flag.Flag<Redacted.Redacted<string> | null> =>
  described(Flag.Redacted(name), name, sentence).pipe(
    Flag.withFallbackConfig(Config.Redacted(env(name))),
    Flag.withDefault(null)
  )
const whole = (name: string, fallback: number, range: { minimum: number; maximum: number }, sentence: string) =>
  described(Flag.Int(name), name, `${sentence} Default ${fallback}.`).pipe(
    Flag.withFallbackConfig(Config.Int(env(name))),
    Flag.withDefault(fallback),
    Flag.withSchema(Schema.Int.pipe(Schema.check(Schema.isBetween(range))))
  )
const yesNo = (name: string, sentence: string) =>
  described(Flag.Boolean(name), name, sentence).pipe(
    Flag.withFallbackConfig(Config.Boolean(env(name))),
    Flag.withDefault(false)
  )

export const flags = {
  demo: yesNo("demo", "Try it out: a development chain, a demo merchant, and a wallet that pays."),
  json: yesNo("json", "Print one line of JSON when ready, for scripts."),
  dataDir: text("data-dir", ".data", "Folder for everything this instance keeps. Default .data."),
  host: text("host", "127.0.0.1", "Address to listen on. Default 127.0.0.1."),
  port: whole("port", 3000, { minimum: 0, maximum: 65535 }, "Port to listen on; 0 takes any that is free."),
  publicUrl: text("public-url", "", "How the outside reaches this server, for links. Default: where it listens."),
  databaseUrl: secret("database-url", "Postgres 15 or newer. Default: an embedded one in the data folder."),
  databasePool: whole("database-pool", 24, { minimum: 8, maximum: 200 }, "Connections to Postgres at the most."),
  chainRpc: text(
    "chain-rpc",
    "",
    "Nodes to watch chains through: `base=https://…,ethereum=https://…`. A URL alone means the development chain."
  ),
  fixedRates: text("fixed-rates", "", "Dollar prices that never change, for tests: `eth=2500,usdc=1,EUR=1.08`."),
  rateFeeds: text("rate-feeds", "", "Chainlink feeds in dollars: `eth=ethereum:0x…,EUR=ethereum:0x…`."),
  rateMaxAge: whole("rate-max-age", 5400, { minimum: 10, maximum: 172_800 }, "Seconds after which a price is stale."),
  spread: whole("spread", 0, { minimum: 0, maximum: 1000 }, "Added to market prices, in hundredths of a percent."),
  secretKey: secret(
    "secret-key",
    "32 bytes in base64 that seal secrets at rest. Default: made once, in the data folder."
  ),
  webhookNetworks: text(
    "webhook-networks",
    "",
    "Private networks webhooks may reach all the same, as CIDR: `10.1.0.0/16`. Default: none."
  ),
  webhookPorts: text("webhook-ports", "443", "Ports webhooks may reach, or `any`. Default 443."),
  webhookHttp: yesNo("webhook-http", "Let webhooks go unencrypted, too. Only for networks of your own."),
  rateLimit: whole("rate-limit", 6000, { minimum: 1, maximum: 10_000_000 }, "Requests a minute for one API key."),
  otlpUrl: text("otlp-url", "", "OTLP/HTTP collector that traces go to, like http://127.0.0.1:4318. Default: none."),
  logs: described(
    Flag.Literals("logs", ["debug", "info", "warn", "error"]),
    "logs",
    "The least that is worth a line. Default warn."
  ).pipe(
    Flag.withFallbackConfig(Config.Literals(["debug", "info", "warn", "error"], "LOGS")),
    Flag.withDefault("warn" as const)
  )
}

export type Settings = {
  readonly [Name in keyof typeof flags]: (typeof flags)[Name] extends Flag.Flag<infer A> ? A : never
}

/** A setting that says something it cannot mean. The text is for the person who wrote it. */
export class SettingInvalid extends Schema.TaggedError<SettingInvalid>()("SettingInvalid", {
  setting: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `--${this.setting} (or ${env(this.setting)}): ${this.reason}`
  }
}

/** `a=1,b=2` → pairs, each part trimmed; empty text → none. */
export const pairs = (setting: string, written: string) =>
  Effect.forEach(written.split(",").map((part) => part.trim()).filter((part) => part !== ""), (part) => {
    const at = part.indexOf("=")
    return at > 0
      ? Effect.succeed([part.slice(0, at).trim(), part.slice(at + 1).trim()] as const)
      : Effect.fail(new SettingInvalid({ setting, reason: `«${part}» is not of the form name=value` }))
  })

/** The chains to watch, each with its node's URL. */
export const chainRpcs = Effect.fnUntraced(function*(written: string) {
  if (/^https?:\/\//.test(written)) return [["dev", written]] as ReadonlyArray<readonly [ChainId, string]>
  return yield* Effect.forEach(yield* pairs("chain-rpc", written), ([name, url]) => {
    const chain = Schema.decodeUnknownResult(ChainId)(name)
    if (Result.isFailure(chain)) {
      const known = ChainId.literals.join(", ")
      return Effect.fail(new SettingInvalid({ setting: "chain-rpc", reason: `no chain «${name}». Known: ${known}` }))
    }
    return URL.canParse(url)
      ? Effect.succeed([chain.success, url] as const)
      : Effect.fail(new SettingInvalid({ setting: "chain-rpc", reason: `the URL of ${name} is not one` }))
  })
})

/** A setting that has to be a URL of the web. */
export const webUrl = (setting: string, written: string) =>
  /^https?:$/.test(URL.parse(written)?.protocol ?? "")
    ? Effect.succeed(written.replace(/\/+$/, ""))
    : Effect.fail(new SettingInvalid({ setting, reason: `«${written}» is not a URL like https://pay.example` }))

/** A key that is not as long as it must be would protect less than it promises. The text is not repeated. */
export const secretKeyOf = (written: Redacted.Redacted<string>) =>
  Buffer.from(Redacted.value(written), "base64").length === 32
    ? Effect.succeed(written)
    : Effect.fail(
      new SettingInvalid({
        setting: "secret-key",
        reason: "not 32 bytes in base64. Make one with: openssl rand -base64 32"
      })
    )
