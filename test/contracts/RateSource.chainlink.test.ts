import { Effect } from "effect"
import * as Chainlink from "#adapters/rates/Chainlink.ts"
import { furnished } from "../support/anvil.ts"
import { rateSourceContract } from "./RateSource.contract.ts"

rateSourceContract(
  "chainlink",
  Effect.map(furnished, ({ contracts, url }) =>
    Chainlink.source({
      name: "chainlink:dev",
      url,
      feeds: [{ currency: "eth", address: contracts.ethUsd }, { currency: "EUR", address: contracts.eurUsd }]
    }))
)
