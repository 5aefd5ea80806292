import { expect, test } from 'vitest'
import { createSteadyClock } from './steady-clock.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

test.each([
  { name: 'passes with the time', steps: [[MINUTE_MS, 0]], behind: [0] },
  {
    name: 'follows a step of minutes, and any step back',
    steps: [
      [MINUTE_MS, 5 * MINUTE_MS],
      [MINUTE_MS, -9 * DAY_MS],
    ],
    behind: [0, 0],
  },
  {
    name: 'does not believe a leap',
    steps: [
      [MINUTE_MS, 3 * DAY_MS],
      [MINUTE_MS, 0],
    ],
    behind: [3 * DAY_MS, 3 * DAY_MS],
  },
  {
    name: 'forgets a leap that was taken back',
    steps: [
      [MINUTE_MS, 400 * DAY_MS],
      [MINUTE_MS, -400 * DAY_MS],
    ],
    behind: [400 * DAY_MS, 0],
  },
  {
    name: 'believes a leap that lasts a day',
    steps: [
      [MINUTE_MS, 3 * DAY_MS],
      [DAY_MS, 0],
      [MINUTE_MS, 0],
    ],
    behind: [3 * DAY_MS, 0, 0],
  },
])('a steady clock $name', ({ steps, behind }) => {
  let wall = 1e12
  let passed = 0
  const now = createSteadyClock({ now: () => wall, passed: () => passed })
  const found = steps.map(([passing = 0, leap = 0]) => {
    passed += passing
    wall += passing + leap
    return wall - now()
  })
  expect(found).toEqual(behind)
})
