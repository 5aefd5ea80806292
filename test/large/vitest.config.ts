import { defineConfig } from 'vitest/config'

/** `npm run test:large`: what takes long, and tells how long it took. Alone, so that nothing else decides that. */
export default defineConfig({
  test: {
    include: ['test/large/**/*.test.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
})
