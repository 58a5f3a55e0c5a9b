import { defineConfig } from "vitest/config";

export default defineConfig({
  // Vitest would load graphql twice, once as ESM and once as CommonJS, and its types would not be each other's.
  resolve: { alias: { graphql: "graphql/index.js" } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 3,
    sequence: { shuffle: true },
  },
});
