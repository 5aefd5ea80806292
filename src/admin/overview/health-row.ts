/** How the gateway itself is: for those who run it. */
import { graph, lastLevels, level, percentiles, type Row, rate, ratesBy, stat, type Views } from './panel.ts'
import { total, totalsBy } from './view.ts'

const CONFIGURATION = 'agentgateway_config_synchronized'

function configuration({ hour }: Views) {
  const stands = lastLevels(hour, CONFIGURATION, () => '').map(({ value }) => value)
  if (stands.length === 0) return []
  const isSynchronized = Math.min(...stands) >= 1
  return [
    {
      label: '',
      value: isSynchronized ? 'in sync' : 'reload failed',
      tone: isSynchronized ? ('good' as const) : ('bad' as const),
    },
  ]
}

const glance = [
  stat(
    {
      title: 'Configuration',
      description:
        'Whether every gateway runs the latest configuration. After a reload that failed the old one stays in use; the page Configuration says what is wrong.',
      unit: 'text',
    },
    configuration,
  ),
  stat(
    {
      title: 'Version',
      description: 'Versions of the gateway that were seen in the last hour.',
      unit: 'text',
    },
    ({ hour }) =>
      [
        ...new Set(
          lastLevels(hour, 'agentgateway_build_info', ({ version = '' }) => version).map(
            ({ label }) => label,
          ),
        ),
      ].map((version) => ({ label: '', value: version })),
  ),
  stat(
    {
      title: 'Time since start',
      description: 'Of the gateway that started last. Unexpectedly short: it was restarted or it crashed.',
      unit: 'seconds',
    },
    () => [{ label: '', value: Math.round(process.uptime()) }],
  ),
  stat(
    {
      title: 'Dropped telemetry',
      description:
        'Spans, log lines and kept requests given up within the time range shown so that no request waited for them. Not 0: the collector, the log reader or the disk is slow or gone.',
      unit: 'count',
    },
    ({ range }) =>
      ['traces', 'logs', 'metrics', 'requests'].map((signal) => {
        const value = total(
          range,
          'agentgateway_telemetry_dropped_total',
          (labels) => labels.signal === signal,
        )
        return { label: signal, value, ...(value > 0 && { tone: 'bad' as const }) }
      }),
  ),
  stat(
    {
      title: 'Series overflow',
      description:
        'Observations within the time range shown that had to share a series because their family has too many label sets, or a label of the configuration too many values. Not 0: a label takes more values than it should.',
      unit: 'count',
    },
    ({ range }) => {
      const value =
        total(range, 'agentgateway_metric_overflow_total') +
        total(range, 'agentgateway_metric_label_overflow_total')
      return [{ label: '', value, ...(value > 0 && { tone: 'bad' as const }) }]
    },
  ),
  stat(
    {
      title: 'Configuration reloads',
      description:
        'Reloads within the time range shown. After a failed one the gateway goes on with the configuration that it had.',
      unit: 'count',
    },
    ({ range }) => {
      const found = totalsBy(range, 'agentgateway_config_reloads_total', ({ result = '' }) => result)
      return ['success', 'failure'].map((label) => ({
        label,
        value: found.find((one) => one.label === label)?.value ?? 0,
      }))
    },
  ),
]

const streams = [
  graph(
    {
      title: 'Gateway overhead',
      description:
        'What the gateway itself added to requests that called an upstream, and its two parts. When it grows, so does "Event-loop delay" as a rule: the process needs more CPU.',
      unit: 'seconds',
    },
    (view) => [
      ...percentiles(view, 'agentgateway_overhead_seconds', { which: ['p50', 'p99'], name: 'both' }),
      ...percentiles(view, 'agentgateway_request_processing_seconds', { which: ['p99'], name: 'request' }),
      ...percentiles(view, 'agentgateway_response_processing_seconds', { which: ['p99'], name: 'response' }),
    ],
  ),
  graph(
    {
      title: 'Stream chunk delay',
      description:
        "From a chunk's arrival to its hand-over to the client's socket. Beyond some milliseconds: the event loop is busy, or clients read slowly.",
      unit: 'seconds',
    },
    (view) => percentiles(view, 'agentgateway_stream_chunk_delay_seconds', { which: ['p50', 'p99'] }),
  ),
  graph(
    {
      title: 'Stalled streams',
      description:
        'How many streams stood still at a time, on average, because their clients read slowly. Their upstreams wait meanwhile; no other stream does.',
      unit: 'count',
    },
    (view) => [rate(view, 'stalled', 'agentgateway_stream_stalled_seconds_total')],
  ),
]

const MEMORY = {
  RSS: 'process_resident_memory_bytes',
  'heap used': 'agentgateway_heap_used_bytes',
  'heap reserved': 'agentgateway_heap_total_bytes',
  'heap limit': 'agentgateway_heap_limit_bytes',
} as const

const machine = [
  graph(
    {
      title: 'Event-loop delay',
      description:
        'How long any event had to wait for the one thread. Tens of milliseconds at p99 are felt in every stream: give the process more CPU, or run more of them.',
      unit: 'seconds',
    },
    (view) => percentiles(view, 'agentgateway_event_loop_delay_seconds', { which: ['p50', 'p99'] }),
  ),
  graph(
    {
      title: 'Memory',
      description:
        '"heap used" coming near "heap limit" ends the process; RSS growing while the heap does not is buffers, mostly of open streams.',
      unit: 'bytes',
    },
    (view) => Object.entries(MEMORY).map(([label, name]) => level(view, label, name)),
  ),
  graph(
    {
      title: 'CPU',
      description:
        'Cores in use. JavaScript runs on one thread: at 100 % it is saturated, and what is above is garbage collection, compression and the request store.',
      unit: 'share',
    },
    (view) => [rate(view, 'CPU', 'process_cpu_seconds_total')],
  ),
  graph(
    {
      title: 'Garbage-collection pauses',
      description:
        'Share of the time in which nothing ran but garbage collection, by kind. Many major ones: the heap is nearly full ("Memory").',
      unit: 'share',
    },
    (view) => ratesBy(view, 'agentgateway_gc_duration_seconds_sum', 'kind'),
  ),
  graph(
    {
      title: 'Client connections',
      description:
        'Connections from clients: open ones, and new ones per second. As many new ones as requests: clients do not reuse them.',
      unit: 'count',
    },
    (view) => [
      level(view, 'open', 'agentgateway_downstream_connections_active'),
      rate(view, 'new per second', 'agentgateway_downstream_connections_total'),
    ],
  ),
  graph(
    {
      title: 'Bytes sent to clients',
      description: 'Bodies of responses per second, by backend.',
      unit: 'bytesPerSecond',
    },
    (view) => ratesBy(view, 'agentgateway_response_bytes_total', 'backend'),
  ),
  graph(
    {
      title: 'Worker processes',
      description:
        'Worker processes that serve requests, 0 where there is only the one process, and how many took the place of one that ended. Not 0: the log says why.',
      unit: 'count',
    },
    (view) => [
      level(view, 'serving', 'agentgateway_workers'),
      rate(view, 'replaced per second', 'agentgateway_worker_restarts_total'),
    ],
  ),
]

export const gatewayHealth: Row = {
  title: 'Gateway health',
  panels: [...glance, ...streams, ...machine],
}
