import { defineConfig } from 'vitest/config'

/** `npm run test:stack`: one stack, driven by one file after the other. */
export default defineConfig({
  test: {
    include: ['test/stack/**/*.test.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
})
