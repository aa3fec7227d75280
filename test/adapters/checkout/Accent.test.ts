import { assert, describe, it } from "@effect/vitest"
import { accentOn, contrastRatio } from "#adapters/checkout/Accent.ts"
import { backgrounds } from "#adapters/checkout/Page.ts"

const accents = ["#2f5bea", "#ffffff", "#000000", "#ffe600", "#777777", "#00ff88", "#8b0000", "#f5f6f8", "#15171c"]

describe("the merchant's accent", () => {
  for (const [theme, background] of Object.entries(backgrounds)) {
    for (const accent of accents) {
      it(`${accent} can be read on the ${theme} page, and text can be read on it`, () => {
        const { fill, onFill, text } = accentOn(accent, background)
        assert.isAtLeast(contrastRatio(text, background), 4.5)
        assert.isAtLeast(contrastRatio(fill, onFill), 4.5)
        assert.isAtLeast(contrastRatio(fill, background), 3)
      })
    }
  }

  it("is left as it is where it can be read already", () =>
    assert.deepStrictEqual(accentOn("#2f5bea", "#ffffff"), { text: "#2f5bea", fill: "#2f5bea", onFill: "#ffffff" }))
})
