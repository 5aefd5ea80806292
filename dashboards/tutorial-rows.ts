/** The rows that the tutorial promises, by its names and in its order. */
import { countedIn5Minutes, countedInHour, countedInRange } from './counted.ts'
import {
  BACKEND,
  bars,
  COUNT,
  graph,
  MODEL,
  NO_TRAFFIC,
  orZero,
  perSecond,
  type Row,
  share,
  stat,
  TOKENS_PER_SECOND,
} from './panels.ts'

const REQUESTS = `agentgateway_requests_total{${BACKEND}}`
const requestsOf = (status: string) => `agentgateway_requests_total{${BACKEND}, ${status}}`
const TOKENS = `agentgateway_gen_ai_client_token_usage_sum{${MODEL}}`
const tokensOf = (type: string) =>
  `agentgateway_gen_ai_client_token_usage_sum{${MODEL}, token_type="${type}"}`

export const overview: Row = {
  title: 'Overview',
  panels: [
    stat({
      title: 'Request rate',
      description:
        'Requests per second over the last minute, whoever answered them. A rate needs two scrapes: the very first request shows in the total beside. A sudden 0 with clients at work: see "Scrape targets" first.',
      unit: 'reqps',
      sparkline: true,
      width: 6,
      queries: [{ expr: orZero(perSecond(REQUESTS)) }],
    }),
    stat({
      title: 'Total requests (1h)',
      description: 'Requests that ended within the last hour, to the request: also the first of their kind.',
      unit: COUNT,
      width: 6,
      queries: [{ expr: orZero(`sum(${countedInHour(REQUESTS)})`) }],
    }),
    stat({
      title: 'Error rate',
      description:
        'Share of 5xx among the requests of the last five minutes; orange from 1 %, red from 5 %. The status cannot tell all (a stream may break after its 200): "Requests by outcome" and "Errors by type" can.',
      unit: 'percentunit',
      width: 6,
      noValue: 'no traffic in 5 min',
      limits: [
        { value: 0.01, color: 'orange' },
        { value: 0.05, color: 'red' },
      ],
      queries: [
        {
          // The tutorial's 5xx / all of five minutes, but counted: to rate() the first 5xx of a kind is none.
          expr: share(
            `sum(${countedIn5Minutes(requestsOf('status=~"5.."'))})`,
            `sum(${countedIn5Minutes(REQUESTS)})`,
          ),
        },
      ],
    }),
    stat({
      title: 'Tokens used (1h)',
      description:
        'Input and output tokens of the last hour, added up; nothing is in both. "Token usage by model" shows who used them.',
      unit: 'short',
      width: 6,
      queries: [{ expr: orZero(`sum(${countedInHour(TOKENS)})`) }],
    }),
  ],
}

export const tokenUsage: Row = {
  title: 'Token Usage',
  panels: [
    graph({
      title: 'Input vs Output tokens over time',
      description:
        'Tokens per second that models read (input, cached ones included) and wrote (output, reasoning included). Counted when a request ends, so long answers come in one piece.',
      unit: TOKENS_PER_SECOND,
      width: 12,
      colors: { input: 'blue', output: 'purple' },
      calcs: ['mean', 'max', 'lastNotNull'],
      queries: ['input', 'output'].map((type) => ({
        expr: orZero(perSecond(tokensOf(type))),
        legend: type,
      })),
    }),
    bars({
      title: 'Token usage by model',
      description:
        'Input and output tokens within the time range shown, by the model that answered. `unknown` is a model that no answer named.',
      unit: 'short',
      width: 12,
      noValue: NO_TRAFFIC,
      queries: [{ expr: `sort_desc(sum by (model) (${countedInRange(TOKENS)}) > 0)`, legend: '{{model}}' }],
    }),
  ],
}

const STATUS_CLASSES = ['2xx', '4xx', '5xx'] as const

export const requests: Row = {
  title: 'Requests',
  panels: [
    graph({
      title: 'Requests by status code',
      description:
        'Requests per second by class of the status that was sent. 4xx includes 499, the client that left before an answer. Many 4xx: look at "Errors by type" for who has to act.',
      unit: 'reqps',
      width: 12,
      stacked: true,
      colors: { '2xx': 'green', '4xx': 'orange', '5xx': 'red', other: 'text' },
      queries: [
        ...STATUS_CLASSES.map((name) => ({
          expr: orZero(perSecond(requestsOf(`status=~"${name.charAt(0)}.."`))),
          legend: name,
        })),
        // Only where there is any: redirects that were passed on, and what has no status.
        { expr: perSecond(requestsOf('status!~"[245].."')), legend: 'other' },
      ],
    }),
    graph({
      title: 'Requests by backend',
      description:
        'Requests per second by the backend that they were routed to. `unknown` were refused before one was chosen, for instance without a route or a credential.',
      unit: 'reqps',
      width: 12,
      stacked: true,
      noValue: NO_TRAFFIC,
      queries: [{ expr: `sum by (backend) (rate(${REQUESTS}[$__rate_interval]))`, legend: '{{backend}}' }],
    }),
  ],
}
