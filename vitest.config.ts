import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'dashboards/**/*.test.ts'],
    // The real stack has a run of its own: `npm run test:stack`.
    exclude: ['test/stack/**'],
    reporters: ['default', './test/support/count-reporter.ts'],
    // Two cores are what the smallest machines have; most of a test's time is waiting.
    maxWorkers: 2,
    testTimeout: 30_000,
    // A machine that is busy is no failure.
    expect: { poll: { timeout: 5000 } },
    hookTimeout: 60_000,
  },
})
