import { defineConfig } from 'vitest/config'
import { componentPath } from './components.ts'

const promtool = componentPath('promtool')

/** `npm run test:stack`: one stack, driven by one file after the other; and the rules once more, by Prometheus 3. */
export default defineConfig({
  test: {
    include: ['test/stack/**/*.test.ts', ...(promtool === undefined ? [] : ['test/rules.test.ts'])],
    env: promtool === undefined ? {} : { PROMTOOL3: promtool },
    reporters: ['default', './test/support/count-reporter.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
})
