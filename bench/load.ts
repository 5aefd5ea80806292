/**
 * A closed loop: every connection sends its next request when the last answer is whole.
 *
 * Such a loop slows down with what it measures, so its latencies tell nothing about a fixed rate: see `open-loop.ts`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { now } from './clock.ts'
import { type Connection, connectAll } from './connection.ts'
import { durations } from './histogram.ts'
import type { Stage } from './processes.ts'
import { chatUrl, JSON_BODY, jsonRequest, REQUEST_HEADERS, type Site } from './requests.ts'

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Broken connections, and answers that are no success. */
  readonly errors: number
}

export type Load = (site: Site, connections: number, seconds: number) => Promise<LoadResult>

export async function ownLoad(site: Site, count: number, seconds: number): Promise<LoadResult> {
  const connections = await connectAll(site, count)
  const request = jsonRequest(site)
  const latencies = durations()
  let errors = 0
  const begun = now()
  const end = begun + seconds * 1000

  async function work(connection: Connection): Promise<void> {
    try {
      for (let sent = now(); sent < end; sent = now()) {
        const status = await connection.request(request)
        latencies.record(now() - sent)
        if (status !== 200) errors++
      }
    } catch {
      errors++
    }
    connection.close()
  }

  await Promise.all(connections.map(work))
  return {
    requests: latencies.count(),
    seconds: (now() - begun) / 1000,
    p50Ms: latencies.percentileMs(0.5),
    p99Ms: latencies.percentileMs(0.99),
    errors,
  }
}

const summarySchema = z.object({
  requests: z.number(),
  micros: z.number(),
  p50: z.number(),
  p99: z.number(),
  errors: z.number(),
})

export function wrkLoad(stage: Stage, wrk: string): Load {
  const script = join(stage.directory, 'post.lua')
  const headers = Object.entries(REQUEST_HEADERS).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  )
  // The long brackets: JSON holds quotes and backslashes, and no `]==]`.
  const lines = [
    'wrk.method = "POST"',
    `wrk.body = [==[${JSON_BODY}]==]`,
    ...headers,
    'done = function(summary, latency)',
    '  local e = summary.errors',
    '  io.write(string.format(\'\\nsummary {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"errors":%d}\\n\',',
    '    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),',
    '    e.connect + e.read + e.write + e.status + e.timeout))',
    'end',
  ]
  writeFileSync(script, lines.join('\n'))

  return async (site, connections, seconds) => {
    const duration = Math.max(Math.round(seconds), 1)
    const options = ['-t1', `-c${connections}`, `-d${duration}s`, '-s', script]
    const command = [wrk, ...options, chatUrl(site)] as const
    const stdout = await stage.start({ name: 'wrk', command, on: 'load' }).output()
    const text: unknown = JSON.parse(/^summary (.*)$/m.exec(stdout)?.[1] ?? 'null')
    const { requests, micros, p50, p99, errors } = summarySchema.parse(text)
    return { requests, seconds: micros / 1e6, p50Ms: p50 / 1000, p99Ms: p99 / 1000, errors }
  }
}
