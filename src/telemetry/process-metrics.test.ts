import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { renderMetrics } from './exposition.ts'
import { delaysOfTicks, startProcessMetrics } from './process-metrics.ts'
import { createRegistry } from './registry.ts'

function setUp() {
  const registry = createRegistry()
  const process = startProcessMetrics(registry)
  onTestFinished(() => process.close())
  return {
    process,
    value(name: string): number {
      const line = [...renderMetrics(registry, 'text')].join('').match(new RegExp(`^${name} (.*)$`, 'm'))
      return Number(line?.[1])
    },
  }
}

test('shows what the process uses', () => {
  const { value } = setUp()
  const used = value('agentgateway_heap_used_bytes')
  const total = value('agentgateway_heap_total_bytes')
  expect(used).toBeGreaterThan(1e6)
  expect(total).toBeGreaterThanOrEqual(used)
  expect(value('agentgateway_heap_limit_bytes')).toBeGreaterThan(total)
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0)
  const age = Date.now() / 1000 - value('process_start_time_seconds')
  expect(age).toBeGreaterThan(0)
  expect(age).toBeLessThan(3600)
})

test('a blocked event loop shows as delay, until closed', async () => {
  const { process, value } = setUp()
  const end = performance.now() + 300
  while (performance.now() < end);
  await sleep(20)
  expect(value('agentgateway_event_loop_delay_seconds_sum')).toBeGreaterThan(0.2)
  process.close()
  const count = value('agentgateway_event_loop_delay_seconds_count')
  await sleep(120)
  expect(value('agentgateway_event_loop_delay_seconds_count')).toBe(count)
})

test.each([
  { lateMs: -0.5, delays: [0] },
  { lateMs: 3, delays: [3] },
  { lateMs: 120, delays: [120, 70, 20] },
])('a tick late by $lateMs ms counts those missed: $delays', ({ lateMs, delays }) => {
  expect(delaysOfTicks(lateMs)).toEqual(delays)
})

test('an hour of standstill is not counted tick by tick', () => {
  expect(delaysOfTicks(3_600_000)).toHaveLength(1001)
})
