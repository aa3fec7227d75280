/** What things cost now: the market as all sources see it, and the quotes that invoices are opened with. */
import { Context, DateTime, Effect, Latch, Layer, Result, Schedule } from "effect"
import { AssetId, type Level, type Method, tokenOf } from "#domain/Chain.ts"
import { Currency, dueFor, type Fiat, fiat, legible, type Price, type Quote } from "#domain/Money.ts"
import * as Rates from "#domain/Rates.ts"
import { RateSourceFailed, RateSources, type RateSourceShape } from "#ports/RateSource.ts"

export interface Settings extends Rates.Rules {
  /** Added to the market price wherever it can move, in hundredths of a percent. */
  readonly spreadBasisPoints: number
  /** How often the sources are asked. */
  readonly refreshSeconds: number
  /** How long one of them may take to answer. */
  readonly timeoutSeconds: number
}

export const defaults: Settings = {
  maxAgeSeconds: 5400,
  maxDeviationBasisPoints: 200,
  maxDepegBasisPoints: 200,
  quorum: 2,
  spreadBasisPoints: 0,
  refreshSeconds: 30,
  timeoutSeconds: 5
}

/** A way to pay that cannot be offered now, and why. */
interface LeftOut {
  readonly method: Method
  readonly reason: Rates.Reason
}

/** An asset's price in a currency, for showing. */
interface Listed {
  readonly asset: AssetId
  readonly currency: Currency
  /** A decimal; null while there is none, for the `reason` given. */
  readonly rate: string | null
  readonly sources: ReadonlyArray<string>
  readonly takenAt: DateTime.Utc | null
  readonly reason: Rates.Reason | null
  readonly stale: boolean
}

interface WorkedOut {
  readonly answers: Rates.Answers
  readonly second: number
  readonly worth: Result.Result<Rates.Worth, Rates.NotPriced>
}

const currencies: ReadonlyArray<Currency> = [...Object.keys(fiat) as ReadonlyArray<Fiat>, ...AssetId.literals]

/**
 * The sources are asked in the background, once per interval for everybody, so that nobody who opens an invoice waits
 * for one of them.
 */
export class Quotes extends Context.Service<Quotes>()("checkout/commands/Quotes", {
  make: Effect.fnUntraced(function*(settings: Settings) {
    const sources = yield* RateSources
    // Who configures a single source has decided to believe it.
    const rules: Rates.Rules = { ...settings, quorum: Math.min(settings.quorum, sources.length) }
    const { latest: known } = yield* watch(sources, settings)

    // Worked out once a second at the most: a thousand invoices a second ask for the same few.
    const workedOut = new Map<string, WorkedOut>()
    const marketRate = Effect.fnUntraced(function*(asset: AssetId, currency: Currency) {
      const answers = yield* known
      const now = yield* DateTime.now
      const second = Math.floor(now.epochMilliseconds / 1000)
      const pair = `${asset}/${currency}`
      const before = workedOut.get(pair)
      if (before?.answers === answers && before.second === second) return before.worth
      const worth = Rates.marketRate(asset, currency, answers, now, rules)
      workedOut.set(pair, { answers, second, worth })
      return worth
    })

    const quote = Effect.fnUntraced(function*(method: Method, price: Price, lockedUntil: DateTime.Utc) {
      const { asset, chain } = method
      const now = yield* DateTime.now
      const token = tokenOf(method)
      if (token === undefined) return Result.fail(new Rates.NotPriced({ currency: asset, reason: "no_source" }))
      const market = yield* marketRate(asset, price.currency)
      const spreadBasisPoints = Rates.moves(asset, price.currency) ? settings.spreadBasisPoints : 0
      return Result.map(market, ({ rate: fair, sources }): Quote => {
        const rate = Rates.withSpread(fair, spreadBasisPoints)
        return {
          chain,
          asset,
          decimals: token.decimals,
          due: price.amount === null
            ? null
            : legible(
              dueFor(price.amount, price.currency, token.decimals, rate),
              token.decimals,
              asset,
              price.currency
            ),
          rate,
          sources,
          quotedAt: now,
          lockedUntil,
          spreadBasisPoints
        }
      })
    })

    return {
      /** What one whole unit of the asset is worth, without spread. */
      marketRate,

      /** A quote for each method that has a price now, and the others with the reason why not. */
      quotes: Effect.fn("Quotes.quotes")(function*(
        price: Price,
        methods: ReadonlyArray<Method>,
        lockedUntil: DateTime.Utc
      ) {
        const quotes: Array<Quote> = []
        const leftOut: Array<LeftOut> = []
        for (const method of methods) {
          const result = yield* quote(method, price, lockedUntil)
          if (Result.isSuccess(result)) quotes.push(result.success)
          else leftOut.push({ method, reason: result.failure.reason })
        }
        return { quotes, leftOut }
      }),

      /** What the asset would be quoted at this moment, for money that came late or unasked; null while unknown. */
      market: Effect.fnUntraced(function*(method: Method, currency: Currency) {
        const now = yield* DateTime.now
        return Result.getOrNull(yield* quote(method, { amount: null, currency }, now))
      }),

      /** How sure payments of this price must be. What is not known to be small is treated as large. */
      level: Effect.fnUntraced(function*({ amount, currency }: Price) {
        if (amount === null) return "default" as Level
        const worth = Rates.dollarsFor(currency, yield* known, yield* DateTime.now, rules)
        return Result.isFailure(worth)
          ? "final"
          : Rates.levelFor(Rates.centsOf(amount, currency, worth.success.rate))
      }),

      /** The rate of each asset in a currency, also of those that have none now. */
      listing: Effect.fnUntraced(function*(currency: Currency, only: ReadonlyArray<AssetId> = AssetId.literals) {
        return yield* Effect.forEach(only, (asset) =>
          Effect.map(
            marketRate(asset, currency),
            Result.match({
              onSuccess: ({ rate, sources, takenAt }): Listed => ({
                asset,
                currency,
                rate: Rates.decimalOf(rate),
                sources,
                takenAt,
                reason: null,
                stale: false
              }),
              onFailure: ({ reason }): Listed => ({
                asset,
                currency,
                rate: null,
                sources: [],
                takenAt: null,
                reason,
                stale: reason === "stale"
              })
            })
          ))
      })
    }
  })
}) {
  /** Needs `RateSources`. */
  static readonly layer = (settings: Partial<Settings> = {}) =>
    Layer.effect(this, this.make({ ...defaults, ...settings }))
}

/** Asks every source again and again; answers with the latest word of each, once all were asked for the first time. */
const watch = Effect.fnUntraced(function*(sources: ReadonlyArray<RateSourceShape>, settings: Settings) {
  /** By source. What a source falls silent on stays until it is stale. */
  const said = new Map(sources.map(({ name }) => [name, new Map<Currency, Rates.Answer>()]))
  const failing = new Set<string>()
  const asked = yield* Latch.make(false)
  let answers: Rates.Answers = new Map()

  const ask = Effect.fnUntraced(function*(source: RateSourceShape) {
    const prices = yield* source.prices(currencies)
    for (const [currency, price] of prices) said.get(source.name)?.set(currency, { source: source.name, ...price })
    if (failing.delete(source.name)) yield* Effect.logInfo("a rate source is back", { source: source.name })
  })

  // Said once per outage: a source that is away for a day would fill the log.
  const lament = ({ reason, source }: RateSourceFailed) =>
    Effect.suspend(() => {
      if (failing.has(source)) return Effect.void
      failing.add(source)
      return Effect.logWarning("a rate source does not answer", { source, reason })
    })

  const round = Effect.forEach(sources, (source) =>
    ask(source).pipe(
      Effect.timeoutOrElse({
        duration: `${settings.timeoutSeconds} seconds`,
        orElse: () => Effect.fail(new RateSourceFailed({ source: source.name, reason: "timeout" }))
      }),
      Effect.catchTag("RateSourceFailed", lament)
    ), { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Effect.sync(() => {
        answers = new Map(currencies.map((currency) => [
          currency,
          [...said.values()].flatMap((of) => of.get(currency) ?? [])
        ]))
      })),
      Effect.andThen(asked.open)
    )

  const rounds = Effect.repeat(round, Schedule.spaced(`${settings.refreshSeconds} seconds`))
  yield* Effect.forkScoped(Effect.tapCause(rounds, (cause) => Effect.logError("rates are no longer watched", cause)))
  return { latest: Effect.map(asked.await, () => answers) }
})
