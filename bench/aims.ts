/** What we set out to reach, whether a run reached it, and where nginx is ahead. */
import type { Results } from './results.ts'
import type { CellName } from './settings.ts'
import { number } from './table.ts'

export interface Aim {
  readonly aim: string
  /** Undefined when the run could not tell, for want of nginx. */
  readonly value: number | undefined
  readonly holds: boolean | undefined
}

const SHARE_OF_NGINX = 0.4
const ADDED_BY_STORE = 0.05
const ADDED_FIRST_CONTENT_MS = 0.5
const ADDED_CALL_MS = 1
const SESSIONS_MB = 100

/** Of the cells that the run had. */
export function aims(results: Results): readonly Aim[] {
  const found: readonly (Aim & { readonly cell: CellName })[] = [...chatAims(results), ...mcpAims(results)]
  return found.filter(({ cell }) => results.settings.cells.includes(cell)).map(({ cell: _, ...aim }) => aim)
}

function chatAims({ saturation, streams }: Results) {
  const rate = (name: string) => saturation?.rows.find((row) => row.name === name)?.requestsPerSecond.median
  const gateway = rate('gateway')
  const nginx = rate('nginx')
  const share = gateway === undefined || nginx === undefined ? undefined : gateway / nginx
  const ofThread = (name: string) =>
    saturation?.rows.find((row) => row.name === name)?.mainMicrosPerRequest?.median
  const [withStore, storeOff] = [ofThread('gateway'), ofThread('gateway, store off')]
  const added = withStore === undefined || storeOff === undefined ? undefined : withStore / storeOff - 1
  const addedToFirst = streams?.find(({ name }) => name === 'gateway')?.addedP50Ms?.median
  return [
    {
      cell: 'saturation' as const,
      aim: `at least ${SHARE_OF_NGINX} of nginx's requests per second, telemetry on`,
      value: share,
      holds: share === undefined ? undefined : share >= SHARE_OF_NGINX,
    },
    {
      cell: 'saturation' as const,
      aim: `less than ${ADDED_BY_STORE} more time of the requests' own thread with the request store`,
      value: added,
      holds: added === undefined ? undefined : added < ADDED_BY_STORE,
    },
    {
      cell: 'streams' as const,
      aim: `less than ${ADDED_FIRST_CONTENT_MS} ms added to the first content of a stream (p50)`,
      value: addedToFirst,
      holds: addedToFirst === undefined ? undefined : addedToFirst < ADDED_FIRST_CONTENT_MS,
    },
  ]
}

/** The dearest of the variants has to reach it. */
function mcpAims({ mcpLatency, mcpMemory }: Results) {
  const added = most(mcpLatency?.map(({ addedP50Ms }) => addedP50Ms?.median))
  const megabytes = most(mcpMemory?.map(({ addedBytes }) => addedBytes / 1e6))
  const sessions = mcpMemory?.[0]?.held.at(-1)?.sessions ?? 1000
  return [
    {
      cell: 'mcp-latency' as const,
      aim: `less than ${ADDED_CALL_MS} ms added to an MCP tool call (p50)`,
      value: added,
      holds: added === undefined ? undefined : added < ADDED_CALL_MS,
    },
    {
      cell: 'mcp-memory' as const,
      aim: `less than ${SESSIONS_MB} MB for ${sessions} idle MCP sessions`,
      value: megabytes,
      holds: megabytes === undefined ? undefined : megabytes < SESSIONS_MB,
    },
  ]
}

function most(values: readonly (number | undefined)[] = []): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

/** Sentences; empty without nginx. */
export function losses({ saturation, latency, streams }: Results): readonly string[] {
  const found: string[] = []
  const compare = (what: string, ours: number | undefined, theirs: number | undefined, unit: string) => {
    if (ours === undefined || theirs === undefined || ours <= theirs) return
    const digits = unit === 'ms' ? 3 : 1
    found.push(`${what}: ${number(ours, digits)} ${unit} against nginx's ${number(theirs, digits)} ${unit}`)
  }
  const row = (name: string) => saturation?.rows.find((one) => one.name === name)
  const cpu = (name: string) => row(name)?.cpuMicrosPerRequest?.median
  compare('CPU time per request', cpu('gateway'), cpu('nginx'), 'us')
  compare('CPU time per request, telemetry off', cpu('gateway, telemetry off'), cpu('nginx'), 'us')

  for (const ours of latency?.filter(({ name }) => name === 'gateway') ?? []) {
    const theirs = latency?.find(({ name, rate }) => name === 'nginx' && rate === ours.rate)
    compare(`added at ${ours.rate}/s, p50`, ours.addedP50Ms?.median, theirs?.addedP50Ms?.median, 'ms')
    compare(`added at ${ours.rate}/s, p99`, ours.addedP99Ms?.median, theirs?.addedP99Ms?.median, 'ms')
  }
  const stream = (name: string) => streams?.find((one) => one.name === name)
  const [ours, theirs] = [stream('gateway'), stream('nginx')]
  compare('added to first content, p50', ours?.addedP50Ms?.median, theirs?.addedP50Ms?.median, 'ms')
  compare('CPU time per chunk', ours?.cpuMicrosPerChunk?.median, theirs?.cpuMicrosPerChunk?.median, 'us')
  return found
}
