import '../support/compile-cache.ts'
import { defineConfig } from 'vitest/config'

/**
 * `npm run test:large`: what takes long. A large store, a long load, the doctor before a stack that is broken in every
 * way, MCP's conformance suite and its hostile servers and clients. One file after the other, so that nothing else decides how long it takes.
 */
export default defineConfig({
  test: {
    include: ['test/large/**/*.test.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
})
