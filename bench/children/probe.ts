/**
 * Loaded into a gateway before its own code, where a cell wants to know of its event loop: answers on the port that
 * its own URL names, in HTTP, with what happened since it was asked last.
 */
import { createServer } from 'node:http'
import { performance } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const TICK_MS = 10

if (isMainThread) start()

function start(): void {
  const { port } = Object.fromEntries(new URL(import.meta.url).searchParams)
  let delaysMs: number[] = []
  let since = performance.eventLoopUtilization()
  let expectedAt = performance.now() + TICK_MS
  const timer = setInterval(() => {
    const at = performance.now()
    // A loop that is blocked misses ticks: what they would have waited counts, too.
    for (let lateMs = at - expectedAt; lateMs >= 0; lateMs -= TICK_MS) delaysMs.push(lateMs)
    expectedAt = at + TICK_MS
  }, TICK_MS)
  timer.unref()
  const server = createServer((_, response) => {
    const { active, idle } = performance.eventLoopUtilization(since)
    response.end(JSON.stringify({ activeMs: active, idleMs: idle, delaysMs }))
    since = performance.eventLoopUtilization()
    delaysMs = []
  })
  server.listen(Number(port), '127.0.0.1')
  server.unref()
}
