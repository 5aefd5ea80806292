import './test/support/compile-cache.ts'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src', 'test', 'dashboards', 'bench', 'ui'].map((folder) => `${folder}/**/*.test.ts`),
    // They have runs of their own: `npm run test:stack`, `test:ui`, `test:large`.
    exclude: ['test/stack/**', 'test/ui/**', 'test/large/**'],
    reporters: ['default', './test/support/count-reporter.ts'],
    // Two cores are what the smallest machines have; most of a test's time is waiting.
    maxWorkers: 2,
    testTimeout: 60_000,
    // A machine that is busy is no failure.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 120_000,
  },
})
