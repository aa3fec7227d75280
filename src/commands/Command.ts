import { type DateTime, type Result, Schema } from "effect"
import type { Aggregate } from "#domain/Aggregate.ts"

/** All that a decision may learn from outside its stream and its command. */
export interface Occasion {
  readonly now: DateTime.Utc
  /** `key_…`, `scanner`, `timer`, `operator:…`: who asks. */
  readonly actor: string
}

/** One way of asking for a change: what is asked, of which kind of stream, and the decision that answers. */
export interface Command<Fields extends Schema.Struct.Fields, State, Event, Refusal> {
  readonly tag: string
  readonly asks: Schema.Struct<Fields>
  readonly aggregate: Aggregate<State, Event>
  /** It begins a stream under an id made for it, so there is nothing to load. */
  readonly opens: boolean
  readonly decide: (
    asked: Schema.Struct<Fields>["Type"],
    occasion: Occasion
  ) => (state: State) => Result.Result<ReadonlyArray<Event>, Refusal>
}

type Definition<Fields extends Schema.Struct.Fields, State, Event, Refusal> =
  & Omit<Command<Fields, State, Event, Refusal>, "tag" | "asks" | "opens">
  & { readonly asks: Fields; readonly opens?: boolean }

export const make = <Fields extends Schema.Struct.Fields, State, Event, Refusal>(
  tag: string,
  { asks, opens = false, ...command }: Definition<Fields, State, Event, Refusal>
): Command<Fields, State, Event, Refusal> => ({ tag, asks: Schema.Struct(asks), opens, ...command })
