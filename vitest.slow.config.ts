/** What takes minutes: `npm run test:slow`. Same rules as `vitest.config.ts`, more patience. */
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/slow/**/*.test.ts"],
    pool: "threads",
    maxWorkers: 2,
    testTimeout: 900_000,
    hookTimeout: 60_000,
    globalSetup: ["test/support/globalSetup.ts"]
  }
})
