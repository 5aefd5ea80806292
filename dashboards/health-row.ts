/** How the gateway itself is, and what observes it: for those who run it. */
import { countedInRange } from './counted.ts'
import { BACKEND, COUNT, graph, NO_TRAFFIC, orZero, perSecond, quantiles, type Row, stat } from './panels.ts'

/** Prometheus and the collector have process metrics of the same names. */
const ofGateways = (expr: string) => `${expr} and on (job, instance) agentgateway_build_info`

const MEMORY = {
  RSS: ofGateways('process_resident_memory_bytes'),
  'heap used': 'agentgateway_heap_used_bytes',
  'heap reserved': 'agentgateway_heap_total_bytes',
  'heap limit': 'agentgateway_heap_limit_bytes',
} as const

/** The collector's counters have `_total` or not, depending on its version and settings. */
const collectorRate = (counter: string) => perSecond(`{__name__=~"otelcol_${counter}(_total)?"}`)

const glance = [
  stat({
    title: 'Scrape targets',
    description:
      'Whether Prometheus reaches what it scrapes. What is down tells nothing, so other panels may look calm: repair this first.',
    unit: 'short',
    width: 12,
    noValue: 'no targets',
    words: { 1: { text: 'up', color: 'green' }, 0: { text: 'down', color: 'red' } },
    queries: [{ expr: 'min by (job, instance) (up)', legend: '{{job}} {{instance}}' }],
  }),
  stat({
    title: 'Configuration',
    description:
      'Whether every gateway runs the latest configuration. After a reload that failed the old one stays in use; the log names what is wrong.',
    unit: 'short',
    width: 4,
    noValue: 'gateway not scraped',
    words: { 1: { text: 'in sync', color: 'green' }, 0: { text: 'reload failed', color: 'red' } },
    queries: [{ expr: 'min(agentgateway_config_synchronized)' }],
  }),
  stat({
    title: 'Version',
    description:
      'Running versions of the gateway. More than one beyond a rollout: an instance was forgotten.',
    unit: 'short',
    width: 4,
    noValue: 'gateway not scraped',
    namesOnly: true,
    queries: [{ expr: 'count by (version) (agentgateway_build_info)', legend: '{{version}}' }],
  }),
  stat({
    title: 'Time since start',
    description: 'Of the gateway that started last. Unexpectedly short: it was restarted or it crashed.',
    unit: 's',
    width: 4,
    noValue: 'gateway not scraped',
    queries: [{ expr: `time() - max(${ofGateways('process_start_time_seconds')})` }],
  }),
  stat({
    title: 'Dropped telemetry',
    description:
      'Spans, log lines and metrics given up within the time range shown so that no request waited for them. Not 0: the collector or the log reader is slow or gone.',
    unit: COUNT,
    width: 8,
    noValue: 'gateway not scraped',
    limits: [{ value: 1, color: 'orange' }],
    queries: [
      {
        expr: `sum by (signal) (${countedInRange('agentgateway_telemetry_dropped_total')})`,
        legend: '{{signal}}',
      },
    ],
  }),
  stat({
    title: 'Series overflow',
    description:
      'Observations within the time range shown that had to share a series because their family has too many label sets, or a label of the configuration too many values. Not 0: a label takes more values than it should.',
    unit: COUNT,
    width: 8,
    limits: [{ value: 1, color: 'orange' }],
    queries: [
      {
        expr: ['agentgateway_metric_overflow_total', 'agentgateway_metric_label_overflow_total']
          .map((name) => `(${orZero(`sum(${countedInRange(name)})`)})`)
          .join(' + '),
      },
    ],
  }),
  stat({
    title: 'Configuration reloads',
    description:
      'Reloads within the time range shown. After a failed one the gateway goes on with the configuration that it had.',
    unit: COUNT,
    width: 8,
    noValue: 'gateway not scraped',
    queries: [
      {
        expr: `sum by (result) (${countedInRange('agentgateway_config_reloads_total')})`,
        legend: '{{result}}',
      },
    ],
  }),
]

const streams = [
  graph({
    title: 'Gateway overhead',
    description:
      'What the gateway itself added to requests that called an upstream, and its two parts. When it grows, so does "Event-loop delay" as a rule: the process needs more CPU.',
    unit: 's',
    width: 12,
    noValue: NO_TRAFFIC,
    calcs: ['mean', 'max', 'lastNotNull'],
    queries: [
      ...quantiles('agentgateway_overhead_seconds', BACKEND, { which: ['p50', 'p99'], name: 'both' }),
      ...quantiles('agentgateway_request_processing_seconds', BACKEND, {
        which: ['p99'],
        name: 'request',
      }),
      ...quantiles('agentgateway_response_processing_seconds', BACKEND, {
        which: ['p99'],
        name: 'response',
      }),
    ],
  }),
  graph({
    title: 'Stream chunk delay',
    description:
      "From a chunk's arrival to its hand-over to the client's socket. Beyond some milliseconds: the event loop is busy, or clients read slowly.",
    unit: 's',
    width: 6,
    noValue: 'no streams yet',
    queries: quantiles('agentgateway_stream_chunk_delay_seconds', BACKEND, { which: ['p50', 'p99'] }),
  }),
  graph({
    title: 'Stalled streams',
    description:
      'How many streams stood still at a time, on average, because their clients read slowly. Their upstreams wait meanwhile; no other stream does.',
    unit: 'short',
    width: 6,
    queries: [
      { expr: orZero(perSecond(`agentgateway_stream_stalled_seconds_total{${BACKEND}}`)), legend: 'stalled' },
    ],
  }),
]

const process = [
  graph({
    title: 'Event-loop delay',
    description:
      'How long any event had to wait for the one thread. Tens of milliseconds at p99 are felt in every stream: give the process more CPU, or run more of them.',
    unit: 's',
    width: 6,
    noValue: 'gateway not scraped',
    queries: quantiles('agentgateway_event_loop_delay_seconds', '', { which: ['p50', 'p99'] }),
  }),
  graph({
    title: 'Memory',
    description:
      'By instance. "heap used" coming near "heap limit" ends the process; RSS growing while the heap does not is buffers, mostly of open streams.',
    unit: 'bytes',
    width: 6,
    noValue: 'gateway not scraped',
    queries: Object.entries(MEMORY).map(([name, expr]) => ({ expr, legend: `${name} {{instance}}` })),
  }),
  graph({
    title: 'CPU',
    description:
      'Cores in use, by instance. JavaScript runs on one thread: at 100 % it is saturated, and what is above is garbage collection and compression.',
    unit: 'percentunit',
    width: 6,
    noValue: 'gateway not scraped',
    queries: [
      {
        expr: ofGateways('rate(process_cpu_seconds_total[$__rate_interval])'),
        legend: '{{instance}}',
      },
    ],
  }),
  graph({
    title: 'Garbage-collection pauses',
    description:
      'Share of the time in which nothing ran but garbage collection, by kind. Many major ones: the heap is nearly full ("Memory").',
    unit: 'percentunit',
    width: 6,
    stacked: true,
    // A gateway at rest collects no garbage for minutes.
    noValue: 'none yet',
    queries: [
      {
        expr: 'avg by (kind) (rate(agentgateway_gc_duration_seconds_sum[$__rate_interval]))',
        legend: '{{kind}}',
      },
    ],
  }),
]

const wires = [
  graph({
    title: 'Client connections',
    description:
      'Connections from clients: open ones, and new ones per second. As many new ones as requests: clients do not reuse them.',
    unit: 'short',
    width: 8,
    queries: [
      { expr: orZero('sum(agentgateway_downstream_connections_active)'), legend: 'open' },
      { expr: orZero(perSecond('agentgateway_downstream_connections_total')), legend: 'new per second' },
    ],
  }),
  graph({
    title: 'Bytes sent to clients',
    description: 'Bodies of responses per second, by backend.',
    unit: 'Bps',
    width: 8,
    stacked: true,
    noValue: NO_TRAFFIC,
    queries: [
      {
        expr: `sum by (backend) (rate(agentgateway_response_bytes_total{${BACKEND}}[$__rate_interval]))`,
        legend: '{{backend}}',
      },
    ],
  }),
  graph({
    title: 'Trace collector',
    description:
      "The OpenTelemetry Collector's own account: spans per second that it took, refused, passed on and failed to pass on, and batches that wait. Failed or waiting: Jaeger is slow or down.",
    unit: 'short',
    width: 8,
    noValue: 'no collector scraped, or no spans yet',
    colors: { refused: 'orange', failed: 'red' },
    queries: [
      { expr: collectorRate('receiver_accepted_spans'), legend: 'accepted' },
      { expr: collectorRate('receiver_refused_spans'), legend: 'refused' },
      { expr: collectorRate('exporter_sent_spans'), legend: 'sent' },
      { expr: collectorRate('exporter_send_failed_spans'), legend: 'failed' },
      { expr: 'sum(otelcol_exporter_queue_size)', legend: 'waiting' },
    ],
  }),
  graph({
    title: 'Worker processes',
    description:
      'Worker processes that serve requests, 0 where there is only the one process, and how many took the place of one that ended. Not 0: the log says why.',
    unit: 'short',
    width: 24,
    queries: [
      { expr: orZero('sum(agentgateway_workers)'), legend: 'serving' },
      { expr: orZero(perSecond('agentgateway_worker_restarts_total')), legend: 'replaced per second' },
    ],
  }),
]

export const gatewayHealth: Row = {
  title: 'Gateway health',
  panels: [...glance, ...streams, ...process, ...wires],
}
