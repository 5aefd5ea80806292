/** What we set out to reach, whether a run reached it, and where nginx is ahead. */
import type { Results } from './results.ts'
import { number } from './table.ts'

export interface Aim {
  readonly aim: string
  /** Undefined when the run could not tell, for want of nginx. */
  readonly value: number | undefined
  readonly holds: boolean | undefined
}

const SHARE_OF_NGINX = 0.4
const ADDED_FIRST_CONTENT_MS = 0.5

export function aims({ saturation, streams }: Results): readonly Aim[] {
  const rate = (name: string) => saturation.rows.find((row) => row.name === name)?.requestsPerSecond.median
  const gateway = rate('gateway')
  const nginx = rate('nginx')
  const share = gateway === undefined || nginx === undefined ? undefined : gateway / nginx
  const added = streams.find(({ name }) => name === 'gateway')?.addedP50Ms?.median
  return [
    {
      aim: `at least ${SHARE_OF_NGINX} of nginx's requests per second, telemetry on`,
      value: share,
      holds: share === undefined ? undefined : share >= SHARE_OF_NGINX,
    },
    {
      aim: `less than ${ADDED_FIRST_CONTENT_MS} ms added to the first content of a stream (p50)`,
      value: added,
      holds: added === undefined ? undefined : added < ADDED_FIRST_CONTENT_MS,
    },
  ]
}

/** Sentences; empty without nginx. */
export function losses({ saturation, latency, streams }: Results): readonly string[] {
  const found: string[] = []
  const compare = (what: string, ours: number | undefined, theirs: number | undefined, unit: string) => {
    if (ours === undefined || theirs === undefined || ours <= theirs) return
    const digits = unit === 'ms' ? 3 : 1
    found.push(`${what}: ${number(ours, digits)} ${unit} against nginx's ${number(theirs, digits)} ${unit}`)
  }
  const row = (name: string) => saturation.rows.find((one) => one.name === name)
  const cpu = (name: string) => row(name)?.cpuMicrosPerRequest?.median
  compare('CPU time per request', cpu('gateway'), cpu('nginx'), 'us')
  compare('CPU time per request, telemetry off', cpu('gateway, telemetry off'), cpu('nginx'), 'us')

  for (const ours of latency.filter(({ name }) => name === 'gateway')) {
    const theirs = latency.find(({ name, rate }) => name === 'nginx' && rate === ours.rate)
    compare(`added at ${ours.rate}/s, p50`, ours.addedP50Ms?.median, theirs?.addedP50Ms?.median, 'ms')
    compare(`added at ${ours.rate}/s, p99`, ours.addedP99Ms?.median, theirs?.addedP99Ms?.median, 'ms')
  }
  const stream = (name: string) => streams.find((one) => one.name === name)
  const [ours, theirs] = [stream('gateway'), stream('nginx')]
  compare('added to first content, p50', ours?.addedP50Ms?.median, theirs?.addedP50Ms?.median, 'ms')
  compare('CPU time per chunk', ours?.cpuMicrosPerChunk?.median, theirs?.cpuMicrosPerChunk?.median, 'us')
  return found
}
