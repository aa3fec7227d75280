/** The merchant's accent colour, moved towards black or white until text in it and on it can be read. */

/** WCAG 2.2: what text of ordinary size needs (1.4.3), and what a button needs to stand out (1.4.11). */
const readable = 4.5
const visible = 3

type Rgb = readonly [number, number, number]

export interface Accent {
  /** For text and lines on the page. */
  readonly text: string
  /** For what is filled with the colour: buttons, the merchant's sign. */
  readonly fill: string
  /** For text on the fill: black or white. One of the two can be read on any colour. */
  readonly onFill: string
}

/** The accent for a page of this background, both `#rrggbb`. */
export const accentOn = (merchant: string, background: string): Accent => {
  const fill = moved(parse(merchant), parse(background), visible)
  return {
    text: write(moved(parse(merchant), parse(background), readable)),
    fill: write(fill),
    onFill: contrast(fill, [255, 255, 255]) >= readable ? "#ffffff" : "#000000"
  }
}

/** The first mixture with black or white, whichever leads away from the background, of at least this contrast. */
const moved = (colour: Rgb, background: Rgb, ratio: number): Rgb => {
  const towards: Rgb = luminance(background) > 0.5 ? [0, 0, 0] : [255, 255, 255]
  for (let step = 0; step < 40; step++) {
    const mixture = rounded(mix(colour, towards, step / 40))
    if (contrast(mixture, background) >= ratio) return mixture
  }
  return towards
}

/** WCAG's ratio between two colours, 1 to 21. */
export const contrastRatio = (a: string, b: string): number => contrast(parse(a), parse(b))

const parse = (hex: string): Rgb => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as never
const write = (rgb: Rgb) => `#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}`
const rounded = (rgb: Rgb): Rgb => rgb.map(Math.round) as never
const mix = (a: Rgb, b: Rgb, share: number): Rgb => [0, 1, 2].map((i) => a[i]! + (b[i]! - a[i]!) * share) as never

const luminance = (rgb: Rgb): number => {
  const [r, g, b] = rgb.map((part) => part / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
}

const contrast = (a: Rgb, b: Rgb): number => {
  const [darker, lighter] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (lighter! + 0.05) / (darker! + 0.05)
}
