import { Effect, Result } from "effect"
import * as Fixed from "#adapters/rates/Fixed.ts"
import { rateSourceContract } from "./RateSource.contract.ts"

rateSourceContract("fixed", Effect.sync(() => Fixed.source(Result.getOrThrow(Fixed.parse("eth=2500,EUR=1.08")))))
