/**
 * The process itself: event loop, garbage collection, memory, CPU.
 *
 * The loop's delay is a histogram of our own timer rather than the percentiles of `monitorEventLoopDelay`: those
 * cover the time since their last reset, so two scrapers spoil each other's; percentiles of instances cannot be
 * added up; and a block of one second, in which the timer cannot fire, counts as one sample of many. Here the ticks
 * that were missed are counted as well, so the histogram is what events that come at any time had to wait.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Registry } from './registry.ts'
import type { Histogram } from './registry-series.ts'

const TICK_MS = 50
/** A process that was stopped for an hour has missed more ticks than are worth counting. */
const MAX_MISSED_TICKS = 1000
const LOOP_DELAY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const GC_BUCKETS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]
const GC_KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak_callbacks'],
])

/** Measures until closed; keeps no process alive. */
export function startProcessMetrics(registry: Registry): { close(): void } {
  registerProcess(registry)
  registerHeap(registry)
  const stopLoop = watchLoop(
    registry.histogram({
      name: 'agentgateway_event_loop_delay_seconds',
      help: 'How late a timer fired: what any event waited for the event loop.',
      unit: 'seconds',
      buckets: LOOP_DELAY_BUCKETS,
    }),
  )
  const stopGc = watchGc(
    registry.histogram({
      name: 'agentgateway_gc_duration_seconds',
      help: 'Pauses for garbage collection.',
      unit: 'seconds',
      labels: ['kind'],
      buckets: GC_BUCKETS,
    }),
  )
  return {
    close() {
      stopLoop()
      stopGc()
    },
  }
}

function registerProcess(registry: Registry): void {
  const startedAt = Date.now() / 1000 - process.uptime()
  registry.counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time spent, user and system.',
    unit: 'seconds',
    collect: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    },
  })
  registry.gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory that the process holds in RAM.',
    unit: 'bytes',
    collect: () => process.memoryUsage.rss(),
  })
  registry.gauge({
    name: 'process_start_time_seconds',
    help: 'When the process started, in seconds since 1970.',
    unit: 'seconds',
    merge: 'own',
    collect: () => startedAt,
  })
}

/** Each process has a heap of its own: with several the fullest is shown. */
function registerHeap(registry: Registry): void {
  registry.gauge({
    name: 'agentgateway_heap_used_bytes',
    help: 'Memory that JavaScript objects take.',
    unit: 'bytes',
    merge: 'max',
    collect: () => getHeapStatistics().used_heap_size,
  })
  registry.gauge({
    name: 'agentgateway_heap_total_bytes',
    help: 'Memory reserved for JavaScript objects.',
    unit: 'bytes',
    merge: 'max',
    collect: () => getHeapStatistics().total_heap_size,
  })
  registry.gauge({
    name: 'agentgateway_heap_limit_bytes',
    help: 'The most that JavaScript objects may take before the process ends.',
    unit: 'bytes',
    merge: 'max',
    collect: () => getHeapStatistics().heap_size_limit,
  })
}

interface HistogramOf<Labels extends readonly string[]> {
  child(...labels: Labels): Histogram
}

function watchLoop(delays: HistogramOf<[]>): () => void {
  const delay = delays.child()
  let expectedAt = performance.now() + TICK_MS
  const timer = setInterval(() => {
    const now = performance.now()
    for (const lateMs of delaysOfTicks(now - expectedAt)) delay.observe(lateMs / 1000)
    expectedAt = now + TICK_MS
  }, TICK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** The delay of a tick that came late and of those that should have come meanwhile, in milliseconds. */
export function delaysOfTicks(lateMs: number): readonly number[] {
  const missed = Math.min(MAX_MISSED_TICKS, Math.max(0, Math.floor(lateMs / TICK_MS)))
  return Array.from({ length: missed + 1 }, (_, tick) => Math.max(0, lateMs - tick * TICK_MS))
}

function watchGc(pauses: HistogramOf<[kind: string]>): () => void {
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      pauses.child(gcKind(entry)).observe(entry.duration / 1000)
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => observer.disconnect()
}

/** The types of Node know nothing of a GC entry's detail. */
function gcKind(entry: object): string {
  const detail = 'detail' in entry ? entry.detail : undefined
  const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined
  return (typeof kind === 'number' ? GC_KINDS.get(kind) : undefined) ?? 'other'
}
