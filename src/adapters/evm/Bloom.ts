/** The filter in which a receipt says what its logs are about: whether some of them are missing, or are not its own. */
import { type Hex, keccak256 } from "viem"

export interface Log {
  readonly address: string
  readonly topics: ReadonlyArray<string>
}

/** The same contracts and topics come again and again; their bits are worth remembering, the payers' less so. */
const mostRemembered = 4_096
const remembered = new Map<string, bigint>()

/** Three of the 2048 bits, from the first three pairs of bytes of the hash. */
const bitsOf = (item: string): bigint => {
  const known = remembered.get(item)
  if (known !== undefined) return known
  const hash = keccak256(item as Hex)
  const bits = [2, 6, 10].reduce((all, at) => all | (1n << (BigInt(`0x${hash.slice(at, at + 4)}`) & 2047n)), 0n)
  if (remembered.size >= mostRemembered) remembered.clear()
  remembered.set(item, bits)
  return bits
}

/** What the filter over these logs is. */
export const bloomOf = (logs: ReadonlyArray<Log>): bigint =>
  logs.reduce(
    (all, { address, topics }) => topics.reduce((bits, topic) => bits | bitsOf(topic), all | bitsOf(address)),
    0n
  )

/** Whether all bits of the part are in the whole. */
export const within = (part: bigint, whole: bigint): boolean => (part | whole) === whole
