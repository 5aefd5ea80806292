/** Requests, tokens, cost, latency and how it ends: the rows of the Grafana dashboard, with its names. */
import type { Labels } from '../../core/labels.ts'
import {
  bars,
  graph,
  lastLevels,
  level,
  percentiles,
  type Row,
  rate,
  ratesBy,
  share,
  standings,
  stat,
} from './panel.ts'
import { is, isNot, sums, total, totalsBy, type View } from './view.ts'

const REQUESTS = 'agentgateway_requests_total'
const TOKENS = 'agentgateway_gen_ai_client_token_usage_sum'
const TOKEN_PARTS = 'agentgateway_gen_ai_client_token_details_total'
const COST = 'agentgateway_gen_ai_client_cost_usd_total'
const PRICES = 'agentgateway_cost_catalog_lookups_total'
const USAGE_SOURCE = 'agentgateway_gen_ai_client_usage_source_total'
const PER_TOKEN = 'agentgateway_gen_ai_server_time_per_output_token'

const statusClass = (first: string) => (labels: Labels) => labels.status?.startsWith(first) === true
const isOther = (labels: Labels) => !/^[245]/.test(labels.status ?? '')

/** What was counted in the last so many steps of ten seconds. */
const lately = (view: View, steps: number, name: string, where?: (labels: Labels) => boolean) =>
  sums(view, name, where)
    .slice(-steps)
    .reduce((sum, value) => sum + value, 0)

const MINUTE = 6
const FIVE_MINUTES = 30

function errorRate(hour: View): { label: string; value: number | null; tone?: 'bad' } {
  const all = lately(hour, FIVE_MINUTES, REQUESTS)
  if (all === 0) return { label: '', value: null }
  const value = lately(hour, FIVE_MINUTES, REQUESTS, statusClass('5')) / all
  return { label: '', value, ...(value >= 0.01 && { tone: 'bad' }) }
}

export const overview: Row = {
  title: 'Overview',
  panels: [
    stat(
      {
        title: 'Request rate',
        description: 'Requests per second over the last minute, whoever answered them.',
        unit: 'perSecond',
      },
      ({ hour }) => [{ label: '', value: lately(hour, MINUTE, REQUESTS) / 60 }],
    ),
    stat(
      {
        title: 'Total requests (1h)',
        description: 'Requests that ended within the last hour, to the request.',
        unit: 'count',
      },
      ({ hour }) => [{ label: '', value: total(hour, REQUESTS) }],
    ),
    stat(
      {
        title: 'Error rate',
        description:
          'Share of 5xx among the requests of the last five minutes. The status cannot tell all (a stream may break after its 200): "Requests by outcome" and "Errors by type" can.',
        unit: 'share',
      },
      ({ hour }) => [errorRate(hour)],
    ),
    stat(
      {
        title: 'Tokens used (1h)',
        description: 'Input and output tokens of the last hour, added up; nothing is in both.',
        unit: 'count',
      },
      ({ hour }) => [{ label: '', value: total(hour, TOKENS) }],
    ),
  ],
}

export const tokenUsage: Row = {
  title: 'Token Usage',
  panels: [
    graph(
      {
        title: 'Input vs Output tokens over time',
        description:
          'Tokens per second that models read (input, cached ones included) and wrote (output, reasoning included). Counted when a request ends, so long answers come in one piece.',
        unit: 'tokensPerSecond',
      },
      (view) =>
        (['input', 'output'] as const).map((type) => rate(view, type, TOKENS, is('token_type', type))),
    ),
    bars(
      {
        title: 'Token usage by model',
        description:
          'Input and output tokens within the time range shown, by the model that answered. `unknown` is a model that no answer named.',
        unit: 'count',
      },
      (view) => totalsBy(view, TOKENS, ({ model = 'unknown' }) => model),
    ),
  ],
}

export const requests: Row = {
  title: 'Requests',
  panels: [
    graph(
      {
        title: 'Requests by status code',
        description:
          'Requests per second by class of the status that was sent. 4xx includes 499, the client that left before an answer. Many 4xx: look at "Errors by type" for who has to act.',
        unit: 'perSecond',
      },
      (view) => [
        ...['2', '4', '5'].map((first) => rate(view, `${first}xx`, REQUESTS, statusClass(first))),
        ...(total(view, REQUESTS, isOther) > 0 ? [rate(view, 'other', REQUESTS, isOther)] : []),
      ],
    ),
    graph(
      {
        title: 'Requests by backend',
        description:
          'Requests per second by the backend that they were routed to. `unknown` were refused before one was chosen, for instance without a route or a credential.',
        unit: 'perSecond',
      },
      (view) => ratesBy(view, REQUESTS, 'backend'),
    ),
  ],
}

export const latency: Row = {
  title: 'Latency',
  panels: [
    graph(
      {
        title: 'Request duration',
        description:
          'From the head of the request to the last byte of the response, streams included. Compare with "Gateway overhead": the rest is the upstream.',
        unit: 'seconds',
      },
      (view) => percentiles(view, 'agentgateway_request_duration_seconds'),
    ),
    graph(
      {
        title: 'Model call duration',
        description:
          'Requests to models as their clients saw them, failures included. When it grows, see whether answers got longer ("Output speed" stays).',
        unit: 'seconds',
      },
      (view) => percentiles(view, 'agentgateway_gen_ai_server_request_duration'),
    ),
    graph(
      {
        title: 'Time to first token',
        description:
          'Streams only: how long a client waits until the first content. Long prompts and busy providers make it grow; retries count too.',
        unit: 'seconds',
      },
      (view) => percentiles(view, 'agentgateway_gen_ai_server_time_to_first_token'),
    ),
    graph(
      {
        title: 'Output speed',
        description:
          'Streams only: tokens per second after the first content, as the median over all and the mean of each model. A drop of one model is the provider; a drop of all may be slow readers ("Stalled streams").',
        unit: 'tokensPerSecond',
      },
      outputSpeed,
    ),
  ],
}

function outputSpeed(view: View) {
  const [median] = percentiles(view, PER_TOKEN, { which: ['p50'] })
  const models = totalsBy(view, `${PER_TOKEN}_count`, ({ model = 'unknown' }) => model)
  return [
    {
      label: 'p50 of all',
      points: (median?.points ?? []).map((value) => (value === null || value === 0 ? null : 1 / value)),
    },
    ...models.map(({ label }) =>
      share(
        label,
        sums(view, `${PER_TOKEN}_count`, is('model', label)),
        sums(view, `${PER_TOKEN}_sum`, is('model', label)),
      ),
    ),
  ]
}

/** Of gateways that share their budgets each has both figures, so that they cancel out. */
function budgetShares(hour: View) {
  const nameOf = ({ budget = '', unit = '' }) => `${budget} ${unit}`
  const limits = new Map(
    lastLevels(hour, 'agentgateway_budget_limit', nameOf).map(({ label, value }) => [label, value]),
  )
  return lastLevels(hour, 'agentgateway_budget_used', nameOf)
    .map(({ label, value }) => ({
      label: label.split(' ')[0] ?? '',
      value: value / (limits.get(label) ?? Infinity),
    }))
    .sort((a, b) => b.value - a.value)
}

export const cost: Row = {
  title: 'Cost',
  panels: [
    graph(
      {
        title: 'Cost per hour by model',
        description:
          'What an hour would cost at the present pace, in US dollars, of the requests whose price is known. Compare with "Unpriced requests", which cost nothing here.',
        unit: 'usdPerHour',
      },
      (view) => ratesBy(view, COST, 'model', 3600),
    ),
    stat(
      {
        title: 'Total cost',
        description: 'US dollars within the time range shown, of the requests whose price is known.',
        unit: 'usd',
      },
      ({ range }) => [{ label: '', value: total(range, COST) }],
    ),
    bars(
      {
        title: 'Unpriced requests',
        description:
          'Requests within the time range shown that no price was found for, by model and reason: they are missing from the cost. Add the model to the catalog.',
        unit: 'count',
      },
      (view) =>
        totalsBy(
          view,
          PRICES,
          ({ model = '', status = '' }) => `${model} (${status})`,
          isNot('status', 'Exact'),
        ),
    ),
    bars(
      {
        title: 'Budgets',
        description:
          'How much of each budget is spent in its present window; of one with keys, by the key that has spent the most.',
        unit: 'share',
      },
      (_, { hour }) => budgetShares(hour),
    ),
    bars(
      {
        title: 'Taken from budgets',
        description: 'Within the time range shown, of all keys together: US dollars or tokens.',
        unit: 'count',
      },
      (view) =>
        totalsBy(
          view,
          'agentgateway_budget_spent_total',
          ({ budget = '', unit = '' }) => `${budget} (${unit})`,
        ),
    ),
    bars(
      {
        title: 'Requests beyond budgets',
        description:
          'Requests within the time range shown that came when a budget was spent, and what its action was: refused, or let through with a warning.',
        unit: 'count',
      },
      (view) =>
        totalsBy(
          view,
          'agentgateway_budget_exceeded_total',
          ({ budget = '', action = '' }) => `${budget} (${action})`,
        ),
    ),
    graph(
      {
        title: 'Cached-token share',
        description:
          'Share of the input tokens that came from a cache of the provider, which is cheaper. A drop after a release: the beginnings of the prompts vary now.',
        unit: 'share',
      },
      (view) => [
        share(
          'read from cache',
          sums(view, TOKEN_PARTS, is('token_type', 'input_cache_read')),
          sums(view, TOKENS, is('token_type', 'input')),
        ),
      ],
    ),
    graph(
      {
        title: "Requests without the provider's token count",
        description:
          'Share of requests whose tokens are a lower bound (the stream was cut), an estimate, or unknown (mostly failures). The higher, the rougher are tokens and cost.',
        unit: 'share',
      },
      (view) =>
        ['partial', 'estimated', 'none'].map((source) =>
          share(source, sums(view, USAGE_SOURCE, is('usage_source', source)), sums(view, USAGE_SOURCE)),
        ),
    ),
  ],
}

export const outcomes: Row = {
  title: 'Outcomes',
  panels: [
    graph(
      {
        title: 'Requests by outcome',
        description:
          'How requests ended, which the status cannot tell of streams. `upstream_…` and `timeout` are the provider, `client_abort` the client, `rejected` a policy, `shed` and `internal` this gateway.',
        unit: 'perSecond',
      },
      (view) => ratesBy(view, REQUESTS, 'outcome'),
    ),
    bars(
      {
        title: 'Errors by type',
        description:
          'Failed requests within the time range shown. The beginning says who has to act: the caller, who wrote a policy, the provider, or who runs this gateway.',
        unit: 'count',
      },
      (view) => totalsBy(view, REQUESTS, (labels) => labels.error_type ?? '', isNot('error_type', 'none')),
    ),
    stat(
      {
        title: 'Providers of groups',
        description:
          'Whether each provider of a group is asked. One that fails several times in a row, or asks to be left alone, is evicted for a while; a request then tells whether it is back.',
        unit: 'text',
      },
      ({ hour }) =>
        standings(hour, 'agentgateway_backend_up', ({ group, backend }) => `${group} ${backend}`, 'evicted'),
    ),
    graph(
      {
        title: 'Provider evictions',
        description: 'Providers of groups that were left alone for a while, per second.',
        unit: 'perSecond',
      },
      (view) => ratesBy(view, 'agentgateway_backend_evictions_total', 'backend'),
    ),
    graph(
      {
        title: 'Retries',
        description:
          'Further attempts at an upstream, per second. They hide failures from clients at the price of time and of load on the provider.',
        unit: 'perSecond',
      },
      (view) => [rate(view, 'retries', 'agentgateway_retries_total')],
    ),
    graph(
      {
        title: 'Requests in flight',
        description:
          'Requests that have begun and not ended, open streams included. Growing at a steady request rate: the upstream has become slower.',
        unit: 'count',
      },
      (view) => [level(view, 'in flight', 'agentgateway_requests_in_flight')],
    ),
    graph(
      {
        title: 'Upstream call and connect latency',
        description:
          'Per attempt: from its start to the head of the response, and opening a connection where none was free. Slow connecting is the network or DNS; a slow head is the provider.',
        unit: 'seconds',
      },
      (view) => [
        ...percentiles(view, 'agentgateway_upstream_call_duration_seconds', { name: 'call' }),
        ...percentiles(view, 'agentgateway_upstream_connect_duration_seconds', {
          name: 'connect',
          which: ['p50', 'p99'],
        }),
      ],
    ),
    bars(
      {
        title: 'Prompt guard checks',
        description:
          'Guards that looked at a request or an answer within the time range shown, and what they made of it. Many rejections after a change of the rules: look at what they match.',
        unit: 'count',
      },
      (view) =>
        totalsBy(view, 'agentgateway_guardrail_checks_total', ({ phase, action }) => `${phase} ${action}`),
    ),
  ],
}
