/** How long it takes and how it ends, in more detail than the tutorial asks for. */
import { countedInRange } from './counted.ts'
import {
  BACKEND,
  bars,
  COUNT,
  graph,
  MODEL,
  NO_TRAFFIC,
  orZero,
  perSecond,
  quantiles,
  type Row,
  stat,
  TOKENS_PER_SECOND,
} from './panels.ts'

const REQUESTS = `agentgateway_requests_total{${BACKEND}}`
const PER_TOKEN = 'agentgateway_gen_ai_server_time_per_output_token'

export const latency: Row = {
  title: 'Latency',
  panels: [
    graph({
      title: 'Request duration',
      description:
        'From the head of the request to the last byte of the response, streams included. The points lead to traces of single requests. Compare with "Gateway overhead": the rest is the upstream.',
      unit: 's',
      width: 12,
      noValue: NO_TRAFFIC,
      calcs: ['mean', 'max', 'lastNotNull'],
      queries: quantiles('agentgateway_request_duration_seconds', BACKEND, { exemplarsOn: 'p95' }),
    }),
    graph({
      title: 'Model call duration',
      description:
        'Requests to models as their clients saw them, failures included. When it grows: choose single models above to find the slow one, and see whether answers got longer ("Output speed" stays).',
      unit: 's',
      width: 12,
      noValue: NO_TRAFFIC,
      calcs: ['mean', 'max', 'lastNotNull'],
      queries: quantiles('agentgateway_gen_ai_server_request_duration', MODEL, { exemplarsOn: 'p95' }),
    }),
    graph({
      title: 'Time to first token',
      description:
        'Streams only: how long a client waits until the first content. Long prompts and busy providers make it grow; retries count too.',
      unit: 's',
      width: 12,
      noValue: 'no streams yet',
      calcs: ['mean', 'max', 'lastNotNull'],
      queries: quantiles('agentgateway_gen_ai_server_time_to_first_token', MODEL, { exemplarsOn: 'p95' }),
    }),
    graph({
      title: 'Output speed',
      description:
        'Streams only: tokens per second after the first content, as the median over all and the mean of each model. A drop of one model is the provider; a drop of all may be slow readers ("Stalled streams").',
      unit: TOKENS_PER_SECOND,
      width: 12,
      noValue: 'no streams yet',
      calcs: ['mean', 'lastNotNull'],
      queries: [
        {
          expr: `1 / (histogram_quantile(0.5, sum by (le) (rate(${PER_TOKEN}_bucket{${MODEL}}[$__rate_interval]))) > 0)`,
          legend: 'p50 of all',
        },
        {
          expr: `sum by (model) (rate(${PER_TOKEN}_count{${MODEL}}[$__rate_interval])) / (sum by (model) (rate(${PER_TOKEN}_sum{${MODEL}}[$__rate_interval])) > 0)`,
          legend: '{{model}}',
        },
      ],
    }),
  ],
}

const FAILURES = `agentgateway_requests_total{${BACKEND}, error_type!="none"}`

export const outcomes: Row = {
  title: 'Outcomes',
  panels: [
    graph({
      title: 'Requests by outcome',
      description:
        'How requests ended, which the status cannot tell of streams. `upstream_…` and `timeout` are the provider, `client_abort` the client, `rejected` a policy, `shed` and `internal` this gateway.',
      unit: 'reqps',
      width: 12,
      stacked: true,
      noValue: NO_TRAFFIC,
      colors: {
        completed: 'green',
        client_abort: 'yellow',
        rejected: 'orange',
        upstream_error: 'red',
        upstream_midstream_error: 'dark-red',
        timeout: 'purple',
        shed: 'dark-orange',
        internal: 'dark-purple',
      },
      queries: [{ expr: `sum by (outcome) (rate(${REQUESTS}[$__rate_interval]))`, legend: '{{outcome}}' }],
    }),
    bars({
      title: 'Errors by type',
      description:
        'Failed requests within the time range shown. The beginning says who has to act: the caller, who wrote a policy, the provider, or who runs this gateway.',
      unit: COUNT,
      width: 12,
      noValue: 'no errors',
      // Without the types that had none in this range.
      queries: [
        {
          expr: `sort_desc(sum by (error_type) (${countedInRange(FAILURES)}) > 0)`,
          legend: '{{error_type}}',
        },
      ],
    }),
    stat({
      title: 'Providers of groups',
      description:
        'Whether each provider of a group is asked. One that fails several times in a row, or asks to be left alone, is evicted for a while; a request then tells whether it is back.',
      unit: 'short',
      width: 12,
      height: 8,
      noValue: 'no groups',
      words: { 1: { text: 'up', color: 'green' }, 0: { text: 'evicted', color: 'red' } },
      queries: [
        {
          expr: `min by (group, backend) (agentgateway_backend_up{${BACKEND}})`,
          legend: '{{group}} {{backend}}',
        },
      ],
    }),
    graph({
      title: 'Provider evictions',
      description: 'Providers of groups that were left alone for a while, per second.',
      unit: 'reqps',
      width: 12,
      noValue: 'no groups',
      queries: [
        {
          expr: `sum by (backend) (rate(agentgateway_backend_evictions_total{${BACKEND}}[$__rate_interval]))`,
          legend: '{{backend}}',
        },
      ],
    }),
    graph({
      title: 'Retries',
      description:
        'Further attempts at an upstream, per second. They hide failures from clients at the price of time and of load on the provider: a steady level asks for the provider, not for more retries.',
      unit: 'reqps',
      width: 6,
      queries: [{ expr: orZero(perSecond(`agentgateway_retries_total{${BACKEND}}`)), legend: 'retries' }],
    }),
    graph({
      title: 'Requests in flight',
      description:
        'Requests that have begun and not ended, open streams included. Growing at a steady request rate: the upstream has become slower.',
      unit: 'short',
      width: 6,
      noValue: 'gateway not scraped',
      queries: [{ expr: 'sum(agentgateway_requests_in_flight)', legend: 'in flight' }],
    }),
    graph({
      title: 'Upstream call and connect latency',
      description:
        'Per attempt: from its start to the head of the response, and opening a connection where none was free. Slow connecting is the network or DNS; a slow head is the provider.',
      unit: 's',
      width: 12,
      noValue: NO_TRAFFIC,
      calcs: ['mean', 'max', 'lastNotNull'],
      queries: [
        ...quantiles('agentgateway_upstream_call_duration_seconds', '', {
          name: 'call',
          which: ['p50', 'p95', 'p99'],
        }),
        ...quantiles('agentgateway_upstream_connect_duration_seconds', '', {
          name: 'connect',
          which: ['p50', 'p99'],
        }),
      ],
    }),
    bars({
      title: 'Prompt guard checks',
      description:
        'Guards that looked at a request or an answer within the time range shown, and what they made of it. Many rejections after a change of the rules: look at what they match.',
      unit: COUNT,
      width: 24,
      noValue: 'no guards',
      queries: [
        {
          expr: `sort_desc(sum by (phase, action) (${countedInRange('agentgateway_guardrail_checks_total')}) > 0)`,
          legend: '{{phase}} {{action}}',
        },
      ],
    }),
  ],
}
