/** What is counted, after calls that the test knows. */
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient } from '../support/mcp.ts'
import { eventually, type Lab, startLab } from '../support/mcp-lab.ts'

let one: Lab
let two: Lab
let gateway: RunningGateway
let active: number
beforeAll(async () => {
  one = await startLab({ name: 'one' })
  two = await startLab({ name: 'two' })
  gateway = await runGateway(`
mcp:
  port: 0
  policies:
    mcpAuthorization:
      rules:
      - {deny: 'mcp.tool.name == "roots"'}
  targets:
  - {name: one, mcp: {host: "${one.url}"}}
  - {name: two, mcp: {host: "${two.url}"}, requestTimeout: 300ms}
  - {name: dead, mcp: {host: "http://127.0.0.1:${await freePort()}/mcp"}}
`)
  const client = await connectClient(gateway.url)
  const call = (name: string) => client.callTool({ name, arguments: { message: 'x' } }).catch(() => {})
  await client.listTools()
  await client.listTools()
  await call('one_echo')
  await call('one_echo')
  await call('two_echo')
  await call('one_fail')
  await call('one_throw')
  await call('two_hang')
  await call('one_roots')
  await client.listResources()
  await client.listResourceTemplates()
  await client.listPrompts()
  await client.readResource({ uri: 'one+memo:status' })
  await client.readResource({ uri: 'two+memo:status' })
  await client.readResource({ uri: 'two+memo:status' })
  await client.getPrompt({ name: 'two_greet' })
  await client.ping()
  active = await gateway.metric('agentgateway_mcp_sessions_active')
  await client.transport?.close()
  const second = await connectClient(gateway.url, 'sse')
  await second.callTool({ name: 'one_echo', arguments: {} })
  await second.close()
})
afterAll(async () => {
  await gateway?.close()
  await Promise.all([one?.stop(), two?.stop()])
})

describe.each<[string, [Record<string, string>, number][]]>([
  [
    'tool_calls_total',
    [
      [{ server: 'one', name: 'echo' }, 3],
      [{ server: 'two', name: 'echo' }, 1],
      [{ server: 'one', name: 'fail' }, 1],
      [{ server: 'one', name: 'throw' }, 1],
      [{ server: 'two', name: 'hang' }, 1],
      // A call that was denied never was one.
      [{ server: 'one', name: 'roots' }, 0],
    ],
  ],
  [
    'tool_call_errors_total',
    [
      [{ server: 'one', name: 'fail', error_type: 'tool_error' }, 1],
      [{ server: 'one', name: 'throw', error_type: 'mcp_error' }, 1],
      [{ server: 'two', name: 'hang', error_type: 'timeout' }, 1],
      [{ name: 'echo' }, 0],
      [{}, 3],
    ],
  ],
  [
    'list_calls_total',
    [
      [{ resource_type: 'tool' }, 2],
      [{ resource_type: 'resource' }, 1],
      [{ resource_type: 'resource_template' }, 1],
      [{ resource_type: 'prompt' }, 1],
    ],
  ],
  [
    'read_resource_calls_total',
    [
      [{ server: 'one', uri: 'memo:status' }, 1],
      [{ server: 'two', uri: 'memo:status' }, 2],
    ],
  ],
  ['get_prompt_calls_total', [[{ server: 'two', name: 'greet' }, 1]]],
  [
    'agentgateway_mcp_requests_total',
    [
      [{ method: 'initialize', status: 'ok', server: 'unknown' }, 2],
      [{ method: 'notifications/initialized' }, 2],
      [{ method: 'tools/list', status: 'ok', resource_type: 'unknown' }, 2],
      [{ method: 'ping', status: 'ok' }, 1],
      [{ method: 'tools/call', resource_type: 'tool', server: 'one', resource: 'echo', status: 'ok' }, 3],
      [
        { method: 'tools/call', server: 'one', resource: 'fail', status: 'error', error_type: 'tool_error' },
        1,
      ],
      [
        { method: 'tools/call', server: 'one', resource: 'throw', status: 'error', error_type: 'mcp_error' },
        1,
      ],
      [{ method: 'tools/call', server: 'two', resource: 'hang', status: 'error', error_type: 'timeout' }, 1],
      [{ method: 'tools/call', status: 'denied' }, 1],
      [{ method: 'tools/call' }, 8],
      [{ method: 'resources/read', resource_type: 'resource', server: 'two', resource: 'memo:status' }, 2],
      [{ method: 'prompts/get', resource_type: 'prompt', server: 'two', resource: 'greet' }, 1],
    ],
  ],
  [
    'agentgateway_mcp_target_up',
    [
      [{ server: 'one' }, 1],
      [{ server: 'two' }, 1],
      [{ server: 'dead' }, 0],
    ],
  ],
])('%s', (name, samples) => {
  test.each(samples)('it counts %o as %i', async (labels, value) => {
    expect(await gateway.metric(name, labels)).toBe(value)
  })
})

test('it times every request', async () => {
  expect(
    await gateway.metric('agentgateway_mcp_request_duration_seconds_count', { method: 'tools/call' }),
  ).toBe(8)
})

test('it has labels that the scrape of a target that never worked shows too', async () => {
  expect(await gateway.metrics()).toMatch(/^agentgateway_mcp_target_up\{[^}]*server="dead"[^}]*\} 0$/m)
})

test('it counts the sessions that are open, and none when clients have gone', async () => {
  expect(active).toBe(1)
  const other = await runGateway(`mcp: {port: 0, targets: [{name: one, mcp: {host: "${one.url}"}}]}`)
  const [first, second] = [await connectClient(other.url), await connectClient(other.url)]
  const third = await connectClient(other.url, 'sse')
  expect(await other.metric('agentgateway_mcp_sessions_active')).toBe(3)
  for (const client of [first, second]) {
    await (client.transport as StreamableHTTPClientTransport).terminateSession()
    await client.close()
  }
  expect(await other.metric('agentgateway_mcp_sessions_active')).toBe(1)
  await third.close()
  await eventually(
    () => other.metric('agentgateway_mcp_sessions_active'),
    (count) => count === 0,
  )
  await other.close()
})

test('it counts a tool that fails by its name, also when the client never listed tools', async () => {
  const other = await runGateway(
    `mcp: {port: 0, targets: [{name: one, mcp: {host: "${one.url}"}}, {name: two, mcp: {host: "${two.url}"}}]}`,
  )
  const client = await connectClient(other.url)
  await client.callTool({ name: 'one_fail', arguments: {} })
  expect(await other.metric('tool_call_errors_total', { server: 'one', name: 'fail' })).toBe(1)
  await client.close()
  await other.close()
})

test('it does not let clients make up series', async () => {
  const client = await connectClient(gateway.url)
  for (let index = 0; index < 30; index++)
    await client.callTool({ name: `one_made_up_${index}`, arguments: {} }).catch(() => {})
  const text = await gateway.metrics()
  expect(text.match(/^tool_calls_total\{.*made_up/gm) ?? []).toEqual([])
  expect(text.match(/^agentgateway_mcp_requests_total\{.*made_up/gm) ?? []).toEqual([])
  await client.close()
})

test('it writes an access line with method, target and tool', async () => {
  const line = gateway.records().find((record) => record['gen_ai.tool.name'] === 'throw')
  expect(line).toMatchObject({ 'mcp.method.name': 'tools/call', 'mcp.target': 'one', protocol: 'mcp' })
})
