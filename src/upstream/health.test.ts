import { describe, expect, test } from 'vitest'
import { createHealths, Health } from './health.ts'

const GROUP = { key: 'route', label: 'group' }

function failing(health: Health, times: number, now = 0): void {
  for (let time = 0; time < times; time += 1) {
    health.fail(health.begin(now), now)
  }
}

describe('eviction', () => {
  test('comes with the third failure in a row, and lasts three seconds', () => {
    const health = new Health()
    failing(health, 2)
    health.succeed(health.begin(0), 5)
    failing(health, 2)
    expect(health.isAvailable(0)).toBe(true)
    failing(health, 1)
    expect([0, 2999, 3000].map((now) => health.isAvailable(now))).toEqual([false, false, true])
  })

  test('is as it is configured', () => {
    const health = new Health()
    health.configure({ eviction: { consecutiveFailures: 1, duration: 500 } })
    failing(health, 1)
    expect([499, 500].map((now) => health.isAvailable(now))).toEqual([false, true])
  })

  test('lets one request at a time find out whether it is over', () => {
    const health = new Health()
    failing(health, 3)
    const probe = health.begin(3000)
    expect(health.isAvailable(3000)).toBe(false)
    health.abandon(probe)
    expect(health.isAvailable(3000)).toBe(true)
    health.succeed(health.begin(3000), 1)
    health.begin(3000)
    expect(health.isAvailable(3000)).toBe(true)
  })

  test('is over for the one that finds that out, and for no other that ends meanwhile', () => {
    const health = new Health()
    const stragglers = [health.begin(0), health.begin(0)] as const
    failing(health, 3)
    const early = health.begin(2000)
    expect(health.isAvailable(3000)).toBe(true)
    const probe = health.begin(3000)
    health.abandon(stragglers[0])
    health.fail(stragglers[1], 3100)
    health.fail(early, 3100)
    expect(health.isAvailable(3100)).toBe(false)
    health.abandon(probe)
    expect(health.isAvailable(3100)).toBe(true)
  })

  test('has been found out about once there is an answer, which may be a long one', () => {
    const health = new Health()
    failing(health, 3)
    const probe = health.begin(3000)
    health.shown(probe)
    expect(health.isAvailable(3000)).toBe(true)
    const next = health.begin(3100)
    health.succeed(probe, 1)
    expect(health.isAvailable(3100)).toBe(true)
    health.abandon(next)
  })

  test('is the longer for a probe’s answer that breaks', () => {
    const health = new Health()
    failing(health, 3)
    const probes = [3000, 3100].map((now) => {
      const probe = health.begin(now)
      health.shown(probe)
      return probe
    })
    for (const probe of probes) health.fail(probe, 3200)
    expect(health.evictedUntil).toBe(3200 + 6000)
  })

  test('is not over for what was asked before it, and was long on its way', () => {
    const health = new Health()
    const long = health.begin(0)
    failing(health, 3, 1000)
    health.succeed(long, 5)
    expect(health.isAvailable(1000)).toBe(false)
    health.succeed(health.begin(1500), 5)
    expect(health.isAvailable(1500)).toBe(true)
  })

  test('is found out about by another one each time', () => {
    const health = new Health()
    failing(health, 3)
    health.begin(3000)
    health.succeed(health.begin(3000), 1)
    failing(health, 3, 4000)
    expect(health.isAvailable(7000)).toBe(true)
  })

  test('doubles each time, up to five minutes, and begins anew after a success', () => {
    const health = new Health()
    failing(health, 3)
    const durations = Array.from({ length: 9 }, () => {
      const before = health.evictedUntil
      failing(health, 1, before)
      return health.evictedUntil - before
    })
    expect(durations).toEqual([6000, 12_000, 24_000, 48_000, 96_000, 192_000, 300_000, 300_000, 300_000])
    health.succeed(health.begin(1e6), 1)
    failing(health, 3, 1e6)
    expect(health.evictedUntil).toBe(1e6 + 3000)
  })

  test('is one, however many were under way when it came, or were asked in spite of it', () => {
    const evicted: number[] = []
    const health = new Health({ up() {}, evicted: () => evicted.push(0), gone() {} })
    const many = Array.from({ length: 100 }, () => health.begin(0))
    for (const [time, asked] of many.entries()) health.fail(asked, time)
    expect(health.evictedUntil).toBe(2 + 3000)
    expect(evicted).toHaveLength(1)
    health.fail(health.begin(1500), 2000, 60_000)
    expect([evicted.length, health.evictedUntil]).toEqual([1, 62_000])
    health.fail(health.begin(62_000), 62_000)
    expect([evicted.length, health.evictedUntil]).toEqual([2, 62_000 + 6000])
  })

  test('comes at once to whoever asks to be left alone, for as long', () => {
    const health = new Health()
    health.fail(health.begin(0), 0, 60_000)
    expect([59_999, 60_000].map((now) => health.isAvailable(now))).toEqual([false, true])
  })
})

describe('the score', () => {
  const fast = new Health()
  const slow = new Health()
  const shaky = new Health()
  for (let time = 0; time < 20; time += 1) {
    for (const [health, ms] of [
      [fast, 10],
      [slow, 1000],
      [shaky, 10],
    ] as const) {
      const asked = health.begin(0)
      if (health === shaky && time % 2 === 0) health.fail(asked, 0)
      else health.succeed(asked, ms)
    }
  }

  test('is better for who is faster, and for who fails less', () => {
    expect(fast.score).toBeGreaterThan(slow.score)
    expect(fast.score).toBeGreaterThan(shaky.score)
  })

  test('falls with what is under way', () => {
    const before = fast.score
    for (let time = 0; time < 20; time += 1) fast.begin(0)
    expect(fast.score).toBeLessThan(before / 2)
  })
})

test('what is known of an upstream outlives a reload', () => {
  const healths = createHealths()
  const a = healths.at(GROUP, 'a', {})
  failing(a, 3)
  expect(healths.at(GROUP, 'a', { eviction: { duration: 1 } })).toBe(a)
  expect(a.isAvailable(0)).toBe(false)
  expect(healths.at(GROUP, 'b', {}).isAvailable(0)).toBe(true)
})

test('a configuration is in force once it is retained, and not when it was read', () => {
  const healths = createHealths()
  const health = healths.at(GROUP, 'a', {})
  healths.at(GROUP, 'a', { eviction: { consecutiveFailures: 1 } })
  failing(health, 1)
  expect(health.isAvailable(0)).toBe(true)
  healths.retain([health])
  failing(health, 1)
  expect(health.isAvailable(0)).toBe(false)
})

test('its watch is told when it is evicted, when it is back, and when it is gone', () => {
  const told: string[] = []
  const healths = createHealths((group, backend) => ({
    up: () => told.push(`${group} ${backend} up`),
    evicted: () => told.push(`${group} ${backend} evicted`),
    gone: () => told.push(`${group} ${backend} gone`),
  }))
  const a = healths.at({ key: 'route', label: 'g' }, 'a', {})
  const b = healths.at({ key: 'route', label: 'g' }, 'b', {})
  failing(a, 3)
  a.succeed(a.begin(0), 1)
  a.succeed(a.begin(0), 1)
  healths.retain([b])
  expect(told).toEqual(['g a up', 'g b up', 'g a evicted', 'g a up', 'g a gone'])
})

test('groups of the same label fare apart, and are watched together', () => {
  const told: string[] = []
  const healths = createHealths((group, backend) => ({
    up: () => told.push(`${group} ${backend} up`),
    evicted: () => told.push(`${group} ${backend} evicted`),
    gone: () => told.push(`${group} ${backend} gone`),
  }))
  const [one, other] = ['one', 'other'].map((key) => healths.at({ key, label: 'ai' }, 'a', {}))
  if (one === undefined || other === undefined) expect.fail()
  const since = () => told.splice(0)
  since()
  failing(one, 3)
  expect([one, other].map((health) => health.isAvailable(0))).toEqual([false, true])
  failing(other, 3)
  expect(since()).toEqual(['ai a evicted', 'ai a evicted'])
  one.succeed(one.begin(0), 1)
  expect(since()).toEqual([])
  const third = healths.at({ key: 'third', label: 'ai' }, 'a', {})
  expect(since()).toEqual([])
  healths.retain([one, third])
  expect(since()).toEqual(['ai a up'])
  healths.retain([third])
  expect(since()).toEqual([])
  healths.retain([])
  expect(since()).toEqual(['ai a gone'])
})
