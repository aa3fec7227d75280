import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  checkUrl,
  type EgressPolicy,
  mayReach,
  type Network,
  parseAddress,
  parseNetwork,
  strict
} from "#domain/EgressPolicy.ts"

const network = (text: string): Network => {
  const parsed = parseNetwork(text)
  assert.isNotNull(parsed)
  return parsed
}
const demo: EgressPolicy = { allow: [network("127.0.0.0/8")], ports: [8080], plain: true }

const codeOf = (policy: EgressPolicy, url: string) => {
  const checked = checkUrl(policy, url)
  return checked._tag === "Failure" ? checked.failure.code : null
}

describe("94: an address that is not public", () => {
  it.each([
    "127.0.0.1",
    "127.255.255.255",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.7",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "0:0:0:0:0:ffff:a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fd00::1",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "256.1.1.1",
    "1::2::3",
    "example.com"
  ])("%s may not be reached", (address) => assert.isFalse(mayReach(strict, address)))
})

describe("a public address", () => {
  it.each(["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])(
    "%s may be reached",
    (address) => assert.isTrue(mayReach(strict, address))
  )
})

describe("an address that the operator allows", () => {
  it("may be reached in either spelling, and its neighbours may not", () => {
    assert.isTrue(mayReach(demo, "127.8.9.10"))
    assert.isTrue(mayReach(demo, "::ffff:127.0.0.1"))
    assert.isFalse(mayReach(demo, "::1"))
    assert.isFalse(mayReach(demo, "10.0.0.1"))
  })
})

describe("94: a URL that leads inside", () => {
  it.each([
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.1",
    "127.0.0.1.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[fd00::1]",
    "169.254.169.254"
  ])("https://%s/ is refused", (host) => assert.strictEqual(codeOf(strict, `https://${host}/`), "forbidden_address"))

  it.each(["localhost", "intranet", "shop.example."])(
    "https://%s/ is refused for its name",
    (host) => assert.strictEqual(codeOf(strict, `https://${host}/`), "host")
  )
})

describe("98: a URL that is no place for webhooks", () => {
  it.each([
    ["https://user@shop.example/", "userinfo"],
    ["https://user:secret@shop.example/", "userinfo"],
    ["http://shop.example/", "scheme"],
    ["file:///etc/passwd", "scheme"],
    ["gopher://shop.example/", "scheme"],
    ["javascript:alert(1)", "scheme"],
    ["https://shop.example:22/", "port"],
    ["https://shop.example:25/", "port"],
    ["https://shop.example:5432/", "port"],
    ["https://shop.example:6379/", "port"],
    ["https://shop.example:80/", "port"],
    [`https://shop.example/${"a".repeat(2000)}`, "too_long"],
    ["not a url", "malformed"],
    ["https://", "malformed"]
  ])("%s is refused: %s", (url, code) => assert.strictEqual(codeOf(strict, url), code))

  it("is any but HTTPS to a public name, on its own port", () => {
    assert.isNull(codeOf(strict, "https://shop.example/hooks?from=checkout"))
    assert.isNull(codeOf(strict, "https://shop.example:443/hooks"))
  })

  it("is what the operator says it is", () => {
    assert.isNull(codeOf(demo, "http://127.0.0.1:8080/hooks"))
    assert.isNull(codeOf(demo, "http://shop:8080/hooks"))
    assert.strictEqual(codeOf(demo, "http://127.0.0.1:9090/hooks"), "port")
  })
})

describe("a network", () => {
  it("is read with or without its length", () => {
    assert.deepStrictEqual(network("10.1.2.3/8"), network("10.0.0.0/8"))
    assert.deepStrictEqual(network("::1"), network("::1/128"))
    for (const text of ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x", "::/129", "shop/8", "10.0.0.0/8/8"]) {
      assert.isNull(parseNetwork(text), text)
    }
  })

  it("is read as the platform reads addresses", () =>
    fc.assert(fc.property(fc.ipV6(), (address) => {
      const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
      assert.strictEqual(parseAddress(address), parseAddress(canonical))
    })))
})
