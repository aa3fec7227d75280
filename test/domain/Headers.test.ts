import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { finalHeight, type Header, linked, place, sureUpTo } from "#domain/Headers.ts"

const header = (number: number, branch = "", parentBranch = branch): Header => ({
  number,
  hash: `${number}${branch}`,
  parentHash: `${number - 1}${parentBranch}`,
  time: DateTime.makeUnsafe(number * 2_000)
})
const tip = header(10)

describe("a node's head", () => {
  it("is the same when it is our tip", () => assert.strictEqual(place(header(10), tip, header(10)), "same"))
  it("is ahead when it is higher, on whatever branch", () => {
    assert.strictEqual(place(header(11), tip, null), "ahead")
    assert.strictEqual(place(header(15, "b"), tip, null), "ahead")
  })
  it("is behind when it is a block of ours below our tip", () =>
    assert.strictEqual(place(header(8), tip, header(8)), "behind"))
  it("is behind when it is below all we remember", () => assert.strictEqual(place(header(2, "b"), tip, null), "behind"))
  it("is on a fork when we have another block at its height", () => {
    assert.strictEqual(place(header(10, "b"), tip, header(10)), "fork")
    assert.strictEqual(place(header(8, "b"), tip, header(8)), "fork")
  })
})

describe("blocks that are to follow a tip", () => {
  it("all do when each names the one before", () => {
    const blocks = [header(11), header(12), header(13)]
    assert.deepStrictEqual(linked(tip, blocks), blocks)
  })
  it("do up to the first that names another", () =>
    assert.deepStrictEqual(linked(tip, [header(11), header(12, "b"), header(13, "b")]), [header(11)]))
  it("do not at all when the first is of another branch", () =>
    assert.deepStrictEqual(linked(tip, [header(11, "b"), header(12, "b")]), []))
})

describe("the finalized height", () => {
  it("is what the node says", () => assert.strictEqual(finalHeight(5, 8, 20, 64), 8))
  it("never falls", () => assert.strictEqual(finalHeight(5, 3, 20, 64), 5))
  it("goes by depth where the node has no notion of it", () => assert.strictEqual(finalHeight(0, null, 100, 64), 36))
  it("goes by depth where the node's word has not moved for that long", () =>
    assert.strictEqual(finalHeight(10, 10, 100, 64), 36))
})

describe("the heights up to which a transfer is sure", () => {
  const depths = { small: 2, default: 12 }
  it("go by depth, counting the transfer's own block", () =>
    assert.deepStrictEqual(sureUpTo(100, 36, depths), { small: 99, default: 89, final: 36 }))
  it("are at least what is final", () =>
    assert.deepStrictEqual(sureUpTo(100, 95, depths), { small: 99, default: 95, final: 95 }))
  it("are never above the tip", () =>
    assert.deepStrictEqual(sureUpTo(100, 150, depths), { small: 100, default: 100, final: 100 }))
})
