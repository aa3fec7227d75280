/** Where our server may send what a merchant asks it to send: public addresses, and what the operator allows besides. */
import { Result, Schema } from "effect"

/** Why a URL is none that we send to. `code` is stable and travels to the API. */
export class UrlRefused extends Schema.TaggedError<UrlRefused>()("UrlRefused", {
  code: Schema.Literals(["malformed", "too_long", "scheme", "userinfo", "port", "host", "forbidden_address"])
}) {}

/** A block of addresses, as IPv6: IPv4 is the block ::ffff:0:0/96 of it. */
export interface Network {
  readonly first: bigint
  readonly last: bigint
}

export interface EgressPolicy {
  /** Networks that may be reached although they are not public: a shop in the same rack, the demo on this machine. */
  readonly allow: ReadonlyArray<Network>
  /** Ports besides that of the scheme; `any` only where everything stays on one machine. */
  readonly ports: ReadonlyArray<number> | "any"
  /** Whether `http:` will do. For development. */
  readonly plain: boolean
}

/** Public addresses over TLS, and nothing else. */
export const strict: EgressPolicy = { allow: [], ports: [], plain: false }

/** Longer URLs are refused. */
export const maxUrlLength = 1024

/** The rules that need no network; the answer is the URL in the form that browsers give it. */
export const checkUrl = (policy: EgressPolicy, text: string): Result.Result<URL, UrlRefused> => {
  const refuse = (code: UrlRefused["code"]) => Result.fail(new UrlRefused({ code }))
  if (text.length > maxUrlLength) return refuse("too_long")
  const url = URL.parse(text)
  if (url === null) return refuse("malformed")
  if (url.protocol !== "https:" && !(url.protocol === "http:" && policy.plain)) return refuse("scheme")
  if (url.username !== "" || url.password !== "") return refuse("userinfo")
  // The parser leaves the scheme's own port empty.
  const usual = url.port === "" || policy.ports === "any"
  if (!usual && !policy.ports.includes(Number(url.port))) return refuse("port")
  // The parser has turned every spelling of an IPv4 address (2130706433, 0x7f.1, 127.1.) into four decimals by now.
  const literal = literalOf(url)
  if (literal !== null) return mayReach(policy, literal) ? Result.succeed(url) : refuse("forbidden_address")
  // A name without a dot means something on a private network only, which the operator may have allowed.
  const local = !url.hostname.includes(".") && policy.allow.length === 0
  return local || url.hostname.endsWith(".") ? refuse("host") : Result.succeed(url)
}

/** The address, where a URL names one instead of a host: no resolver is asked for those. */
const literalOf = ({ hostname }: URL): string | null => {
  const address = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname
  return parseAddress(address) === null ? null : address
}

/** Whether a connection to this address is allowed. What is no address is not. */
export const mayReach = ({ allow }: EgressPolicy, address: string): boolean => {
  const value = parseAddress(address)
  if (value === null) return false
  if (allow.some((network) => contains(network, value))) return true
  const target = translated.some((network) => contains(network, value)) ? v4 | (value & 0xffff_ffffn) : value
  return reachable.some((network) => contains(network, target)) && !special.some((network) => contains(network, target))
}

const contains = ({ first, last }: Network, address: bigint) => address >= first && address <= last

const v4 = 0xffffn << 32n

/** Any textual address as a number of 128 bits, IPv4 as its mapped form; null for what is none. */
export const parseAddress = (text: string): bigint | null => {
  const plain = text.split("%", 1)[0] ?? ""
  if (!plain.includes(":")) {
    const value = quad(plain)
    return value === null ? null : v4 | value
  }
  const dotted = /^(.*:)([\d.]+\.[\d.]+)$/.exec(plain)
  const tail = dotted === null ? null : quad(dotted[2] ?? "")
  if (dotted !== null && tail === null) return null
  const hex = tail === null ? plain : `${dotted?.[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`
  const halves = hex.split("::")
  if (halves.length > 2) return null
  const [head = [], rest = []] = halves.map((half) => half === "" ? [] : half.split(":"))
  const missing = 8 - head.length - rest.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...rest]
  return groups.every((group) => /^[\da-f]{1,4}$/i.test(group))
    ? groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)
    : null
}

const quad = (text: string): bigint | null => {
  const parts = text.split(".")
  // No leading zeros: some read them as octal.
  const valid = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
  return valid ? parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n) : null
}

/** "10.0.0.0/8", "fd00::/8", or a single address. Null for what is none of these. */
export const parseNetwork = (text: string): Network | null => {
  const [address = "", length, ...more] = text.trim().split("/")
  const value = parseAddress(address)
  const width = address.includes(":") ? 128 : 32
  const bits = length === undefined ? width : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (value === null || more.length > 0 || !(bits <= width)) return null
  const size = 1n << BigInt(width - bits)
  const first = value & ~(size - 1n)
  return { first, last: first + size - 1n }
}

const network = (text: string): Network => {
  const parsed = parseNetwork(text)
  if (parsed === null) throw new Error(`not a network: ${text}`)
  return parsed
}

/** Global unicast; all else is loopback, link-local, private or multicast. */
const reachable = ["::ffff:0:0/96", "2000::/3"].map(network)

/** NAT64: the IPv4 address in it is what is reached. */
const translated = ["64:ff9b::/96"].map(network)

/** From IANA's registries of special-purpose addresses. 6to4 and Teredo carry an IPv4 address, and nobody needs them. */
const special = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20"
].map(network)
