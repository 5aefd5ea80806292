import { defineConfig } from 'vitest/config'

/** `npm run test:ui`: the console in a real browser, one page after the other. */
export default defineConfig({
  test: {
    include: ['test/ui/**/*.test.ts'],
    globalSetup: ['./test/ui/say-what-is-skipped.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    maxWorkers: 1,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // A machine that is busy is no failure.
    expect: { poll: { timeout: 10_000 } },
  },
})
