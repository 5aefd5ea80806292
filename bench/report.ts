/** The results as text. */
import { aims, losses } from './aims.ts'
import type { ColdStart } from './cold-start.ts'
import type { LatencyRow } from './latency.ts'
import { CALLS_PER_SECOND, type McpLatencyRow } from './mcp-latency.ts'
import type { SessionMemory } from './mcp-memory.ts'
import type { Memory } from './memory.ts'
import type { Results } from './results.ts'
import type { Saturation } from './saturation.ts'
import { CHUNK_DELAY_MS, CHUNKS, STREAMS, type StreamRow } from './streams.ts'
import { NONE, number, percent, ratios, spreadText, table } from './table.ts'

export function report(results: Results): string {
  const { cells } = results.settings
  return [
    machine(results),
    ...when(results.saturation, saturation),
    ...when(results.latency, latency),
    ...when(results.streams, streams),
    ...(cells.includes('memory') ? [memory(results.memory)] : []),
    ...when(results.coldStart, coldStart),
    ...when(results.mcpLatency, mcpLatency),
    ...(cells.includes('mcp-memory') ? [mcpMemory(results.mcpMemory)] : []),
    verdict(results),
  ].join('\n')
}

const when = <T>(found: T | undefined, show: (found: T) => string) =>
  found === undefined ? [] : [show(found)]

/** More than this share of the CPUs in other hands, and queues in front of them decide the latencies. */
const MUCH = 0.05

function machine({ machine: on, settings, tookSeconds, othersShare }: Results): string {
  const { pinned } = on
  const places =
    pinned === undefined
      ? 'nothing is pinned: proxy, load generator and upstream compete'
      : `proxy alone on CPU ${pinned.proxy}, load generator on ${pinned.load}, upstream on ${pinned.upstream}`
  const rows = [
    ['machine', `${on.cores} cores, ${on.cpu}, ${on.memoryGiB} GiB, ${on.system}`],
    [
      'others',
      `load average before: ${number(on.loadAverage, 2)}; other programs took ${percent(othersShare)} of these CPUs`,
    ],
    [
      'versions',
      `agentgateway ${on.gateway}, Node ${on.node}, nginx ${on.nginx ?? NONE}, wrk ${on.wrk ?? NONE}`,
    ],
    ['places', places],
    [
      'settings',
      `${settings.seconds} s per measurement, ${settings.rounds} rounds in shuffled order; took ${number(tookSeconds)} s`,
    ],
    ['figures', 'median of the rounds (min to max); "to nginx": by medians / by the best rounds'],
  ]
  const width = Math.max(...rows.map(([name = '']) => name.length))
  const lines = rows.map(([name = '', text = '']) => `${name.padEnd(width)}  ${text}\n`)
  if ((othersShare ?? 0) > MUCH)
    lines.push('NOT ALONE: other programs ran too; of these figures only the best CPU times mean anything\n')
  if (settings.quick) lines.push('--quick: shows that it runs; the figures are no measurement\n')
  return lines.join('')
}

function saturation({ rows, generator, upstream, connections, answerBytes }: Saturation): string {
  const nginx = rows.find(({ name }) => name === 'nginx')
  const head = [
    '',
    'requests/s',
    'to nginx',
    'CPU us/request',
    'to nginx',
    'its main thread',
    'proxy busy',
    'others',
    'p50 ms',
    'p99 ms',
    'errors',
    'dropped',
  ]
  const body = rows.map((row) => [
    row.name,
    spreadText(row.requestsPerSecond),
    ratios(row.requestsPerSecond, nginx?.requestsPerSecond, 'max'),
    spreadText(row.cpuMicrosPerRequest, 1),
    ratios(row.cpuMicrosPerRequest, nginx?.cpuMicrosPerRequest, 'min'),
    spreadText(row.mainMicrosPerRequest, 1),
    percent(row.busyShare?.median),
    percent(row.othersShare?.median),
    number(row.p50Ms.median, 2),
    number(row.p99Ms.median, 2),
    String(row.errors),
    String(row.droppedTelemetry),
  ])
  const about = `${connections} connections, closed loop; ${answerBytes}-byte answers from ${upstream}; generator: ${generator}`
  return `1  Saturation (${about})\n${table([head, ...body])}`
}

function latency(rows: readonly LatencyRow[]): string {
  const head = [
    'rate, through',
    'p50 ms',
    'p99 ms',
    'p99.9',
    'added p50 ms',
    'added p99 ms',
    'added p99.9',
    'CPU us/request',
    'generator lag p50/p99',
    'errors',
  ]
  const body = rows.map((row) => [
    `${row.rate}/s ${row.name}`,
    spreadText(row.p50Ms, 3),
    spreadText(row.p99Ms, 2),
    number(row.p999Ms, 2),
    spreadText(row.addedP50Ms, 3),
    spreadText(row.addedP99Ms, 2),
    number(row.addedP999Ms, 2),
    number(row.cpuMicrosPerRequest?.median, 1),
    `${number(row.generatorLagP50Ms, 2)}/${number(row.generatorLagP99Ms, 2)}`,
    String(row.errors),
  ])
  return `2  Latency at a fixed rate (open loop, from when a request was due; upstream: the simulated provider)\n${table([head, ...body])}`
}

function streams(rows: readonly StreamRow[]): string {
  const nginx = rows.find(({ name }) => name === 'nginx')
  const head = [
    '',
    'first content p50 ms',
    'p99',
    'added p50 ms',
    'added p99',
    'CPU us/chunk',
    'to nginx',
    'streams',
    'unchanged',
  ]
  const body = rows.map((row) => [
    row.name,
    spreadText(row.firstP50Ms, 3),
    number(row.firstP99Ms, 2),
    spreadText(row.addedP50Ms, 3),
    number(row.addedP99Ms, 2),
    spreadText(row.cpuMicrosPerChunk, 1),
    ratios(row.cpuMicrosPerChunk, nginx?.cpuMicrosPerChunk, 'min'),
    String(row.streams),
    percent(row.faithful / row.streams),
  ])
  const about = `${STREAMS} at a time, ${CHUNKS} chunks, ${CHUNK_DELAY_MS} ms before each`
  return `3  Event streams (${about})\n${table([head, ...body])}`
}

const MIB = 2 ** 20

function memory(found: Memory | undefined): string {
  if (found === undefined) return '4  Memory: not counted on this system\n'
  const rows = [
    ['idle, no request yet', `${number(found.idleBytes / MIB, 1)} MiB`],
    ['after the first answer', `${number(found.afterFirstAnswerBytes / MIB, 1)} MiB`],
    ...found.held.map(({ streams: count, bytes }) => [
      `${count} streams held${count === 0 ? ', tokenizer loaded' : ''}`,
      `${number(bytes / MIB, 1)} MiB`,
    ]),
    ['per held stream (slope)', `${number(found.bytesPerStream / 1024, 1)} KiB`],
    ['streams that broke', String(found.broken)],
  ]
  return `4  Memory of the gateway (resident; one chunk a second on each stream)\n${table(rows)}`
}

function coldStart({ firstAnswerMs, emptyNodeMs }: ColdStart): string {
  const rows = [
    ['spawn to first proxied answer', `${spreadText(firstAnswerMs)} ms`],
    ['an empty Node process, start to end', `${spreadText(emptyNodeMs)} ms`],
  ]
  return `5  Cold start of the gateway\n${table(rows)}`
}

function mcpLatency(rows: readonly McpLatencyRow[]): string {
  const head = [
    'server, through',
    'p50 ms',
    'p99',
    'added p50 ms',
    'added p99',
    'CPU us/call',
    'calls',
    'errors',
  ]
  const body = rows.map((row) => [
    `${row.variant}: ${row.name}`,
    spreadText(row.p50Ms, 3),
    number(row.p99Ms, 2),
    spreadText(row.addedP50Ms, 3),
    number(row.addedP99Ms, 2),
    number(row.cpuMicrosPerCall?.median, 1),
    String(row.calls),
    String(row.errors),
  ])
  const about = `streamable HTTP, ${CALLS_PER_SECOND} calls/s, open loop, from when a call was due; 1 KB in, 1 KB out`
  return `6  MCP tool calls (${about})\n${table([head, ...body])}`
}

function mcpMemory(found: readonly SessionMemory[] | undefined): string {
  const [first] = found ?? []
  if (found === undefined || first === undefined)
    return '7  Memory of MCP sessions: not counted on this system\n'
  const mib = (bytes: number | undefined) => `${number((bytes ?? Number.NaN) / MIB, 1)} MiB`
  const row = (name: string, cell: (one: SessionMemory) => string) => [name, ...found.map(cell)]
  const rows = [
    row('', ({ listening }) => (listening ? 'with a stream each' : 'without a stream')),
    row('idle, no request yet', ({ idleBytes }) => mib(idleBytes)),
    ...first.held.map(({ sessions }, step) =>
      row(`${sessions} sessions`, ({ held }) => mib(held[step]?.bytes)),
    ),
    row('added to idle by all of them', ({ addedBytes }) => mib(addedBytes)),
    row('per session (slope)', ({ bytesPerSession }) => `${number(bytesPerSession / 1024, 1)} KiB`),
    row('streams that broke', ({ broken, listening }) => (listening ? String(broken) : NONE)),
  ]
  return `7  Memory of the gateway with idle MCP sessions (resident; a target over streamable HTTP)\n${table(rows)}`
}

function verdict(results: Results): string {
  const reached = aims(results).map(({ aim, value, holds }) => {
    const word = holds === undefined ? 'unknown' : holds ? 'holds' : 'MISSED'
    return `  ${word.padEnd(7)}  ${aim}: ${number(value, 3)}\n`
  })
  const lost = losses(results).map((loss) => `  ${loss}\n`)
  return [
    `Aims\n${reached.join('')}`,
    lost.length === 0 ? '' : `\nWhere nginx is ahead\n${lost.join('')}`,
  ].join('')
}
