/** The few drawings of the page, in its own strokes; no file to load and no font. */
import type { Method } from "./view.ts"

const strokes = {
  copy:
    "M9 9V5.5A1.5 1.5 0 0 1 10.5 4h8A1.5 1.5 0 0 1 20 5.5v8a1.5 1.5 0 0 1-1.5 1.5H15M5.5 9h8A1.5 1.5 0 0 1 15 10.5v8a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 4 18.5v-8A1.5 1.5 0 0 1 5.5 9Z",
  check: "m5 12.5 4.5 4.5L19 7.5",
  next: "m9 6 6 6-6 6",
  out: "M9 5H5.5A1.5 1.5 0 0 0 4 6.5v12A1.5 1.5 0 0 0 5.5 20h12a1.5 1.5 0 0 0 1.5-1.5V15M13 4h7v7M20 4l-9 9",
  info: "M12 11v5M12 8h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  warn:
    "M12 9.5v4M12 17h.01M10.6 4.2 2.9 17.6A1.6 1.6 0 0 0 4.3 20h15.4a1.6 1.6 0 0 0 1.4-2.4L13.4 4.2a1.6 1.6 0 0 0-2.8 0Z",
  clock: "M12 7v5.2l3.2 1.8M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  cross: "m7 7 10 10M17 7 7 17",
  back: "m9.5 7-5 5 5 5M5 12h15",
  wallet:
    "M4 7.5A2.5 2.5 0 0 1 6.5 5H17v3M4 7.5A2.5 2.5 0 0 0 6.5 10H19a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H6.5A2.5 2.5 0 0 1 4 16.5Zm12.5 7h.01",
  print:
    "M7 9V4h10v5M7 17H5a1 1 0 0 1-1-1v-5.5A1.5 1.5 0 0 1 5.5 9h13a1.5 1.5 0 0 1 1.5 1.5V16a1 1 0 0 1-1 1h-2M7 14h10v6H7Z"
} as const
export type IconName = keyof typeof strokes

export const Icon = ({ name }: { readonly name: IconName }) => (
  <svg
    class="icon"
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="1.75"
    aria-hidden="true"
    stroke-linecap="round"
    stroke-linejoin="round"
  >
    <path d={strokes[name]} />
  </svg>
)

const coins: Readonly<Record<Method["asset"], readonly [colour: string, glyph: string]>> = {
  eth: ["#4f63c9", "Ξ"],
  usdc: ["#2168b8", "$"],
  usdt: ["#157a5b", "₮"],
  dai: ["#b87700", "◈"],
  eurc: ["#1c4fa8", "€"],
  pol: ["#6f3bd1", "P"],
  bnb: ["#96700b", "B"],
  avax: ["#c9353a", "A"]
}

/** A coin with its sign. Its name always stands beside it. */
export const Coin = ({ asset }: { readonly asset: Method["asset"] }) => {
  const [colour, glyph] = coins[asset]
  return (
    <svg class="coin" viewBox="0 0 40 40" aria-hidden="true">
      <circle cx="20" cy="20" r="20" fill={colour} />
      <text x="20" y="27" text-anchor="middle" font-size="20" font-weight="600" fill="#fff">{glyph}</text>
    </svg>
  )
}

/** How far something is: `of` steps, `done` of them. */
export const Ring = ({ done, of }: { readonly done: number; readonly of: number }) => (
  <svg class="ring" viewBox="0 0 96 96" aria-hidden="true">
    <circle class="track" cx="48" cy="48" r="42" />
    <circle class="arc" cx="48" cy="48" r="42" pathLength="100" stroke-dasharray={`${(100 * done) / of} 100`} />
    <text x="48" y="55" text-anchor="middle">{`${done}/${of}`}</text>
  </svg>
)
