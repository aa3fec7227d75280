/** A QR code as one SVG path. Always dark on white, with its quiet zone: cameras need it, whatever the page's colours. */
import type { Code } from "#adapters/checkout/Snapshots.ts"

const quiet = 3

export const QrCode = ({ code, label }: { readonly code: Code; readonly label: string }) => {
  const side = code.size + quiet * 2
  return (
    <svg class="qr" viewBox={`0 0 ${side} ${side}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={side} height={side} fill="#fff" />
      <path d={pathOf(code)} fill="#0b0d12" />
    </svg>
  )
}

/** Each run of dark modules is one rectangle. */
const pathOf = ({ bits, size }: Code): string => {
  const bytes = Uint8Array.from(atob(bits), (char) => char.charCodeAt(0))
  const isDark = (x: number, y: number) => {
    const at = y * size + x
    return x < size && ((bytes[at >> 3] ?? 0) & (0x80 >> (at & 7))) !== 0
  }
  let path = ""
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (!isDark(x, y)) continue
      const start = x
      while (isDark(x, y)) x++
      path += `M${start + quiet} ${y + quiet}h${x - start}v1h${start - x}z`
    }
  }
  return path
}
