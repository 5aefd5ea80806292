import { describe, expect, test } from 'vitest'
import { targetHealth } from './health.ts'

function lab() {
  let now = 0
  const changes: boolean[] = []
  const health = targetHealth({ now: () => now, random: () => 1, onChange: (isUp) => changes.push(isUp) })
  return { health, changes, pass: (ms: number) => (now += ms) }
}

describe('a target that fails again and again', () => {
  test('it is tried at once, then after times that double, half a minute at most', () => {
    const { health, pass } = lab()
    const waits: number[] = []
    for (let failures = 0; failures < 10; failures++) {
      health.failed('refused')
      waits.push(health.waitMs())
      pass(health.waitMs())
    }
    expect(waits).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  test('it counts once what many sessions see at the same time', () => {
    const { health } = lab()
    for (let session = 0; session < 100; session++) health.failed('refused')
    expect(health.waitMs()).toBe(500)
  })

  test('it tells each change once', () => {
    const { health, changes } = lab()
    for (const step of ['succeeded', 'succeeded', 'failed', 'failed', 'succeeded'] as const) {
      if (step === 'failed') health.failed('refused')
      else health.succeeded()
    }
    expect(changes).toEqual([true, false, true])
    expect(health.lastError()).toBe('refused')
  })
})

test('a target that was up for a while may be started anew at once', () => {
  const { health, pass } = lab()
  for (let crash = 0; crash < 5; crash++) {
    health.succeeded()
    pass(60_000)
    health.failed('it died')
    expect(health.waitMs()).toBe(0)
  }
})

test('one that dies as soon as it is up is suspected', () => {
  const { health, pass } = lab()
  const waits: number[] = []
  for (let crash = 0; crash < 4; crash++) {
    health.succeeded()
    pass(100)
    health.failed('it died')
    waits.push(health.waitMs())
    pass(health.waitMs())
  }
  expect(waits).toEqual([0, 500, 1000, 2000])
})

test('who waits for it is woken once, and not after taking it back', () => {
  const { health } = lab()
  let woken = 0
  health.whenUp(() => woken++)
  const takeBack = health.whenUp(() => woken++)
  takeBack()
  health.failed('refused')
  health.succeeded()
  health.failed('refused')
  health.succeeded()
  expect(woken).toBe(1)
})
