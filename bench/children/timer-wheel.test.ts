import { expect, test } from 'vitest'
import { now } from '../clock.ts'
import { timerWheel } from './timer-wheel.ts'

test('everything comes at its time, in order, and never early', async () => {
  const wheel = timerWheel()
  const begun = now()
  const order: number[] = []
  const early: number[] = []
  for (let turn = 0; turn < 2; turn++) {
    await new Promise<void>((resolve) => {
      const from = now()
      for (const ms of [9, 1, 5]) {
        wheel.at(from + ms, () => {
          order.push(ms)
          if (now() < from + ms) early.push(ms)
          if (ms === 9) resolve()
        })
      }
    })
  }
  expect(order).toEqual([1, 5, 9, 1, 5, 9])
  expect(early).toEqual([])
  expect(now() - begun).toBeGreaterThanOrEqual(18)
})

test('what is already due comes next', async () => {
  const wheel = timerWheel()
  await new Promise<void>((resolve) => wheel.at(now() - 100, resolve))
})
