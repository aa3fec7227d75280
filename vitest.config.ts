import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/slow/**"],
    pool: "threads",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Journeys wait for real browsers, chains and databases. On a machine that is busy with something else one may be
    // too late; what fails three times in a row is broken.
    retry: process.env["CI"] === undefined ? 0 : 2,
    globalSetup: ["test/support/globalSetup.ts"]
  }
})
