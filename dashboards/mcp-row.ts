/** The tutorial's row of MCP, and a row of what its two panels cannot tell: which tools, how slow, what failed, who is away. */
import { countedInRange } from './counted.ts'
import {
  BACKEND,
  bars,
  COUNT,
  graph,
  NO_TRAFFIC,
  orZero,
  perSecond,
  quantiles,
  type Row,
  stat,
} from './panels.ts'

const COUNTERS = {
  'tool calls': 'tool_calls_total',
  'failed tool calls': 'tool_call_errors_total',
  lists: 'list_calls_total',
  'resource reads': 'read_resource_calls_total',
  prompts: 'get_prompt_calls_total',
} as const

const MESSAGES = `agentgateway_mcp_requests_total{${BACKEND}}`
const FAILED = `agentgateway_mcp_requests_total{${BACKEND}, status!="ok"}`

const tutorials = [
  graph({
    title: 'Tool call rate',
    description:
      'MCP tools called per second, and how many of the calls failed. 0 as long as no MCP traffic passes this gateway.',
    unit: 'cps',
    width: 12,
    colors: { calls: 'blue', failed: 'red' },
    queries: [
      { expr: orZero(perSecond('tool_calls_total')), legend: 'calls' },
      { expr: orZero(perSecond('tool_call_errors_total')), legend: 'failed' },
    ],
  }),
  bars({
    title: 'MCP operation breakdown',
    description:
      'MCP operations within the time range shown. 0 as long as no MCP traffic passes this gateway. Failed calls are among the tool calls too.',
    unit: COUNT,
    width: 12,
    queries: Object.entries(COUNTERS).map(([legend, counter]) => ({
      expr: orZero(`sum(${countedInRange(counter)})`),
      legend,
    })),
  }),
]

const beyond = [
  bars({
    title: 'Most called tools',
    description: 'Calls within the time range shown, of the fifteen tools that were called most.',
    unit: COUNT,
    width: 12,
    noValue: NO_TRAFFIC,
    queries: [
      {
        expr: `topk(15, sum by (server, name) (${countedInRange('tool_calls_total')}) > 0)`,
        legend: '{{server}} {{name}}',
      },
    ],
  }),
  graph({
    title: 'Tool call latency',
    description:
      'From the arrival of a tool call to its answer, the work of the server included. When it grows and "Gateway overhead" does not, the server is slow.',
    unit: 's',
    width: 12,
    noValue: NO_TRAFFIC,
    calcs: ['mean', 'max', 'lastNotNull'],
    queries: quantiles('agentgateway_mcp_request_duration_seconds', `${BACKEND}, method="tools/call"`, {
      exemplarsOn: 'p99',
    }),
  }),
  graph({
    title: 'MCP messages by method',
    description: 'Messages of clients per second, notifications included.',
    unit: 'cps',
    width: 12,
    stacked: true,
    noValue: NO_TRAFFIC,
    queries: [{ expr: `sum by (method) (rate(${MESSAGES}[$__rate_interval]))`, legend: '{{method}}' }],
  }),
  bars({
    title: 'MCP failures',
    description:
      'Messages within the time range shown that were denied or failed, by server and reason: `tool_error` is what a tool itself calls an error, `mcp_error` the answer of a server, the rest is told in docs/mcp.md.',
    unit: COUNT,
    width: 12,
    noValue: 'none in this range',
    queries: [
      {
        expr: `sum by (server, error_type) (${countedInRange(FAILED)}) > 0`,
        legend: '{{server}} {{error_type}}',
      },
    ],
  }),
  stat({
    title: 'MCP targets',
    description:
      'Whether each server can be had. Of one that is down the log says why; it is tried again by itself, half a minute apart at most.',
    unit: 'short',
    width: 12,
    noValue: 'no MCP targets',
    words: { 1: { text: 'up', color: 'green' }, 0: { text: 'down', color: 'red' } },
    queries: [
      {
        expr: `min by (backend, server) (agentgateway_mcp_target_up{${BACKEND}})`,
        legend: '{{backend}} {{server}}',
      },
    ],
  }),
  stat({
    title: 'MCP sessions',
    description: 'Sessions of clients. One that nobody uses goes after `config.mcp.sessionTtl`.',
    unit: COUNT,
    width: 6,
    sparkline: true,
    queries: [{ expr: orZero(`sum(agentgateway_mcp_sessions_active{${BACKEND}})`) }],
  }),
  stat({
    title: 'MCP reconnects',
    description:
      'Connections to servers that were lost and made again within the time range shown, processes started again among them.',
    unit: COUNT,
    width: 6,
    limits: [{ value: 1, color: 'orange' }],
    queries: [
      { expr: orZero(`sum(${countedInRange(`agentgateway_mcp_target_restarts_total{${BACKEND}}`)})`) },
    ],
  }),
]

export const toolCalls: Row = { title: 'Tool Calls (MCP)', panels: tutorials }
export const mcpServers: Row = { title: 'MCP servers', panels: beyond }
