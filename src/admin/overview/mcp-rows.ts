/** Tools and the servers that have them. */
import {
  bars,
  counted,
  graph,
  lastLevels,
  percentiles,
  type Row,
  rate,
  ratesBy,
  standings,
  stat,
} from './panel.ts'
import { is, isNot, total, totalsBy } from './view.ts'

const COUNTERS = {
  'tool calls': 'tool_calls_total',
  'failed tool calls': 'tool_call_errors_total',
  lists: 'list_calls_total',
  'resource reads': 'read_resource_calls_total',
  prompts: 'get_prompt_calls_total',
} as const

const MESSAGES = 'agentgateway_mcp_requests_total'
const MOST = 15

export const toolCalls: Row = {
  title: 'Tool Calls (MCP)',
  panels: [
    graph(
      {
        title: 'Tool call rate',
        description:
          'MCP tools called per second, and how many of the calls failed. 0 as long as no MCP traffic passes this gateway.',
        unit: 'perSecond',
      },
      (view) => [rate(view, 'calls', 'tool_calls_total'), rate(view, 'failed', 'tool_call_errors_total')],
    ),
    bars(
      {
        title: 'MCP operation breakdown',
        description:
          'MCP operations within the time range shown. 0 as long as no MCP traffic passes this gateway. Failed calls are among the tool calls too.',
        unit: 'count',
      },
      (view) => Object.entries(COUNTERS).map(([label, counter]) => counted(view, label, counter)),
    ),
  ],
}

export const mcpServers: Row = {
  title: 'MCP servers',
  panels: [
    bars(
      {
        title: 'Most called tools',
        description: 'Calls within the time range shown, of the fifteen tools that were called most.',
        unit: 'count',
      },
      (view) =>
        totalsBy(view, 'tool_calls_total', ({ server = '', name = '' }) => `${server} ${name}`).slice(
          0,
          MOST,
        ),
    ),
    graph(
      {
        title: 'Tool call latency',
        description:
          'From the arrival of a tool call to its answer, the work of the server included. When it grows and "Gateway overhead" does not, the server is slow.',
        unit: 'seconds',
      },
      (view) =>
        percentiles(view, 'agentgateway_mcp_request_duration_seconds', { where: is('method', 'tools/call') }),
    ),
    graph(
      {
        title: 'MCP messages by method',
        description: 'Messages of clients per second, notifications included.',
        unit: 'perSecond',
      },
      (view) => ratesBy(view, MESSAGES, 'method'),
    ),
    bars(
      {
        title: 'MCP failures',
        description:
          'Messages within the time range shown that were denied or failed, by server and reason: `tool_error` is what a tool itself calls an error, `mcp_error` the answer of a server.',
        unit: 'count',
      },
      (view) =>
        totalsBy(
          view,
          MESSAGES,
          ({ server = '', error_type = '' }) => `${server} ${error_type}`,
          isNot('status', 'ok'),
        ),
    ),
    stat(
      {
        title: 'MCP targets',
        description:
          'Whether each server can be had. Of one that is down the log says why; it is tried again by itself, half a minute apart at most.',
        unit: 'text',
      },
      ({ hour }) =>
        standings(
          hour,
          'agentgateway_mcp_target_up',
          ({ backend, server }) => `${backend} ${server}`,
          'down',
        ),
    ),
    stat(
      {
        title: 'MCP sessions',
        description: 'Sessions of clients. One that nobody uses goes after `config.mcp.sessionTtl`.',
        unit: 'count',
      },
      ({ hour }) => [
        {
          label: '',
          value: lastLevels(hour, 'agentgateway_mcp_sessions_active', () => '').reduce(
            (sum, { value }) => sum + value,
            0,
          ),
        },
      ],
    ),
    stat(
      {
        title: 'MCP reconnects',
        description:
          'Connections to servers that were lost and made again within the time range shown, processes started again among them.',
        unit: 'count',
      },
      ({ range }) => {
        const value = total(range, 'agentgateway_mcp_target_restarts_total')
        return [{ label: '', value, ...(value > 0 && { tone: 'bad' as const }) }]
      },
    ),
  ],
}
