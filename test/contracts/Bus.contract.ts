/** What every Bus owes its callers. Run it once per implementation. */
import { assert, layer as describeWith } from "@effect/vitest"
import { Context, DateTime, Deferred, Effect, Exit, type Layer, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { Bus, type Group, HandlerFailed, type Message } from "#ports/Bus.ts"
import { StoreUnavailable } from "#ports/EventStore.ts"
import { until } from "../support/until.ts"

/** How messages get onto the bus under test. */
export class Writing extends Context.Service<Writing, {
  readonly publish: (messages: ReadonlyArray<Message>) => Effect.Effect<void, StoreUnavailable>
}>()("checkout/test/Writing") {}

/** A group of its own, messages that are its own, and what it heard. Other tests' messages pass it by. */
export const aGroup = Effect.gen(function*() {
  const { consume, parked, tail } = yield* Bus
  const { publish } = yield* Writing
  const run = randomUUID()
  const group = (over: Partial<Group> = {}): Group => ({
    name: run,
    topic: "notifications",
    consumers: 2,
    batch: 10,
    tries: 3,
    ...over
  })
  const message = (key: string, n: number, type = "Noted"): Message => ({
    topic: "notifications",
    key: `${run}:${key}`,
    id: `${run}:${key}:${n}`,
    type,
    schemaVersion: 1,
    body: { n },
    headers: { tenant: "t" },
    recordedAt: DateTime.makeUnsafe("2026-03-14T15:09:26.535Z")
  })
  const ours = (messages: ReadonlyArray<Message>) => messages.filter(({ key }) => key.startsWith(run))
  /** Names a message by its key and number: `a:1`. */
  const short = ({ id }: Message) => id.slice(run.length + 1)

  const heard: Array<string> = []
  const hears = (messages: ReadonlyArray<Message>) => Effect.sync(() => void heard.push(...ours(messages).map(short)))

  type Handler = (messages: ReadonlyArray<Message>) => Effect.Effect<void, HandlerFailed | StoreUnavailable>
  const start = (handle: Handler = hears, over: Partial<Group> = {}) =>
    consume(group(over), (messages) => ours(messages).length === 0 ? Effect.void : handle(ours(messages)))

  return { group, heard, hears, message, parked, publish, run, short, start, tail }
})

const refuses = (retry: boolean) => new HandlerFailed({ reason: "it is poisonous", retry })
const away = new StoreUnavailable({ reason: "away", retryAfterSeconds: 1 })
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const ofKey = (heard: ReadonlyArray<string>, key: string) =>
  heard.filter((short) => short.startsWith(`${key}:`)).map((short) => Number(short.slice(key.length + 1)))

export const busContract = <E>(name: string, layer: Layer.Layer<Bus | Writing, E>) =>
  describeWith(layer, { excludeTestServices: true })(`Bus: ${name}`, (it) => {
    it.effect("hands every message over as it was written", () =>
      Effect.gen(function*() {
        const { message, publish, start } = yield* aGroup
        const heard: Array<Message> = []
        yield* start((messages) => Effect.sync(() => void heard.push(...messages)))
        yield* publish([message("a", 1)])
        yield* until("it is heard", () => heard.length === 1)
        assert.deepStrictEqual(heard, [message("a", 1)])
      }))

    it.effect("begins a group that nobody knew with the oldest message", () =>
      Effect.gen(function*() {
        const { heard, message, publish, start } = yield* aGroup
        yield* publish([message("a", 1), message("a", 2)])
        yield* start()
        yield* until("both are heard", () => heard.length === 2)
        assert.deepStrictEqual(heard, ["a:1", "a:2"])
      }))

    it.effect("keeps the order of every key with several consumers side by side", () =>
      Effect.gen(function*() {
        const { heard, hears, message, publish, start } = yield* aGroup
        const keys = numbers(20).map((key) => `k${key}`)
        const slowly = (messages: ReadonlyArray<Message>) =>
          Effect.andThen(Effect.sleep(messages.length % 3), hears(messages))
        yield* start(slowly, { consumers: 4, batch: 7 })
        for (const n of numbers(20)) yield* publish(keys.map((key) => message(key, n)))
        yield* until("all are heard", () => heard.length === 400)
        for (const key of keys) assert.deepStrictEqual(ofKey(heard, key), numbers(20))
      }))

    it.effect("hands over again what a killed consumer had not finished", () =>
      Effect.gen(function*() {
        const { heard, message, publish, start } = yield* aGroup
        yield* publish(numbers(25).map((n) => message("a", n)))
        const struck = yield* Deferred.make<void>()
        const scope = yield* Scope.make()
        yield* start(() => Effect.andThen(Deferred.succeed(struck, undefined), Effect.never)).pipe(Scope.provide(scope))
        yield* Deferred.await(struck)
        yield* Scope.close(scope, Exit.void)
        yield* start()
        yield* until("all are heard", () => heard.length === 25)
        assert.deepStrictEqual(ofKey(heard, "a"), numbers(25))
      }))

    it.effect("goes on behind the last finished batch", () =>
      Effect.gen(function*() {
        const { heard, message, publish, start } = yield* aGroup
        const scope = yield* Scope.make()
        yield* Scope.provide(start(), scope)
        yield* publish([message("a", 1)])
        yield* until("it is heard", () => heard.length === 1)
        // The checkpoint of the first is written before the second is handed over.
        yield* publish([message("a", 2)])
        yield* until("the second is heard", () => heard.length === 2)
        yield* Scope.close(scope, Exit.void)
        yield* publish([message("a", 3)])
        yield* start()
        yield* until("the third is heard", () => heard.includes("a:3"))
        assert.strictEqual(heard.filter((short) => short === "a:1").length, 1)
      }))

    it.effect("143: parks a poisonous message after its tries, and its key goes on", () =>
      Effect.gen(function*() {
        const { group, heard, hears, message, parked, publish, start } = yield* aGroup
        yield* start((messages) => messages.some(({ type }) => type === "Poison") ? refuses(true) : hears(messages))
        yield* publish([message("a", 1), message("a", 2, "Poison"), message("a", 3), message("b", 1)])
        yield* until("the others are heard", () => heard.length === 3)
        assert.deepStrictEqual(ofKey(heard, "a"), [1, 3])
        const [only, ...more] = yield* parked(group().name)
        assert.deepStrictEqual(more, [])
        assert.deepStrictEqual(only?.message, message("a", 2, "Poison"))
        assert.deepStrictEqual([only?.reason, only?.attempts], ["it is poisonous", 3])
      }))

    it.effect("parks at once what the handler says need not be tried again", () =>
      Effect.gen(function*() {
        const { group, heard, hears, message, parked, publish, start } = yield* aGroup
        yield* start(
          (messages) => messages.some(({ type }) => type === "Poison") ? refuses(false) : hears(messages),
          { tries: 100 }
        )
        yield* publish([message("a", 1, "Poison"), message("a", 2)])
        yield* until("the other is heard", () => heard.length === 1)
        assert.deepStrictEqual((yield* parked(group().name)).map(({ attempts }) => attempts), [1])
      }))

    it.effect("parks what the handler breaks on", () =>
      Effect.gen(function*() {
        const { group, heard, hears, message, parked, publish, start } = yield* aGroup
        yield* start(
          (messages) => messages.some(({ type }) => type === "Poison") ? Effect.die(new Error("oh")) : hears(messages),
          { tries: 2 }
        )
        yield* publish([message("a", 1, "Poison"), message("a", 2)])
        yield* until("the other is heard", () => heard.length === 1)
        assert.deepStrictEqual((yield* parked(group().name)).map(({ reason }) => reason), ["Error: oh"])
      }))

    it.effect("tries a message again that fails for a while", () =>
      Effect.gen(function*() {
        const { group, heard, hears, message, parked, publish, start } = yield* aGroup
        let failures = 2
        yield* start((messages) => failures-- > 0 ? refuses(true) : hears(messages))
        yield* publish([message("a", 1)])
        yield* until("it is heard", () => heard.length === 1)
        assert.deepStrictEqual(yield* parked(group().name), [])
      }))

    it.effect("waits for a store that is away, however many times", () =>
      Effect.gen(function*() {
        const { group, heard, hears, message, parked, publish, start } = yield* aGroup
        let outages = 5
        yield* start((messages) => outages-- > 0 ? away : hears(messages), { tries: 1 })
        yield* publish([message("a", 1)])
        yield* until("it is heard", () => heard.length === 1)
        assert.deepStrictEqual(yield* parked(group().name), [])
      }))

    it.effect("keeps groups apart: one that hangs does not hold another up", () =>
      Effect.gen(function*() {
        const { heard, message, publish, run, start } = yield* aGroup
        yield* start(() => Effect.never, { name: `${run}-hanging`, consumers: 1 })
        yield* start()
        yield* publish(numbers(30).map((n) => message("a", n)))
        yield* until("all are heard", () => heard.length === 30)
        assert.deepStrictEqual(ofKey(heard, "a"), numbers(30))
      }))

    it.effect("shares a group among processes, and the living take over from the ones that leave", () =>
      Effect.gen(function*() {
        const { heard, hears, message, publish, start } = yield* aGroup
        const keys = numbers(32).map((key) => `k${key}`)
        const scope = yield* Scope.make()
        yield* Scope.provide(start(), scope)
        yield* start((messages) => Effect.andThen(Effect.sleep(1), hears(messages)))
        for (const n of numbers(10)) yield* publish(keys.map((key) => message(key, n)))
        yield* until("all are heard", () => heard.length === 320)
        yield* Scope.close(scope, Exit.void)
        for (const n of numbers(10)) yield* publish(keys.map((key) => message(key, n + 10)))
        yield* until("all are heard", () => new Set(heard).size === 640)
        for (const key of keys) assert.deepStrictEqual([...new Set(ofKey(heard, key))], numbers(20))
      }))

    it.effect("lets a tail hear only what is new", () =>
      Effect.gen(function*() {
        const { heard, hears, message, publish, tail } = yield* aGroup
        yield* publish([message("a", 1)])
        yield* tail("notifications", hears)
        yield* publish([message("a", 2), message("a", 3), message("b", 1)])
        yield* until("they are heard", () => heard.length === 3)
        assert.deepStrictEqual(ofKey(heard, "a"), [2, 3])
      }))

    it.effect("keeps topics apart", () =>
      Effect.gen(function*() {
        const { heard, hears, message, publish, start, tail } = yield* aGroup
        yield* tail("analytics", hears)
        yield* start(hears, { topic: "analytics" })
        yield* publish([message("a", 1), { ...message("a", 2), topic: "analytics" }])
        yield* until("it is heard by both", () => heard.length === 2)
        assert.deepStrictEqual(heard, ["a:2", "a:2"])
      }))
  })
