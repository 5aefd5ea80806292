/** 2026-07-28 on either side: the official client of that revision, servers of both kinds, and a server that asks. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, inputRequired, type McpHttpHandler, McpServer } from '@modelcontextprotocol/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, EVERYTHING, stdioTarget } from '../support/mcp.ts'

const FORM = {
  type: 'object' as const,
  properties: { colour: { type: 'string' as const } },
  required: ['colour'],
}

/** A server that knows nothing before 2026-07-28. */
function modernServer(): McpServer {
  const server = new McpServer(
    { name: 'modern', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } },
  )
  server.registerTool('greet', { inputSchema: z.object({ name: z.string() }) }, ({ name }) => ({
    content: [{ type: 'text', text: `Hello, ${name}` }],
  }))
  server.registerTool('paint', { inputSchema: z.object({}) }, (_args, context) => {
    const answers = context.mcpReq.inputResponses
    const answer = answers?.colour
    if (typeof answer !== 'object' || answer === null || !('content' in answer))
      return inputRequired({
        inputRequests: {
          colour: {
            method: 'elicitation/create',
            params: { mode: 'form', message: 'Which?', requestedSchema: FORM },
          },
        },
      })
    return { content: [{ type: 'text', text: `painted ${JSON.stringify(answer.content)}` }] }
  })
  server.registerResource('note', 'memo://note', { mimeType: 'text/plain' }, (uri) => ({
    contents: [{ uri: uri.href, text: 'remember' }],
  }))
  return server
}

async function modernClient(url: string): Promise<Client> {
  const client = new Client(
    { name: 'modern-test', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: {} }, sampling: {} },
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    },
  )
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { colour: 'blue' } }))
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'test',
    content: { type: 'text', text: 'sampled' },
  }))
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)))
  return client
}

let handler: McpHttpHandler
let http: Server
let gateway: RunningGateway

beforeAll(async () => {
  handler = createMcpHandler(modernServer, { legacy: 'reject' })
  http = createServer(toNodeHandler(handler))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: pipe, ${stdioTarget(EVERYTHING, 'stdio')}}
  - {name: new, mcp: {host: "http://127.0.0.1:${port}/mcp"}}
`)
})
afterAll(async () => {
  await gateway.close()
  await handler.close()
  http.closeAllConnections()
  await new Promise((resolve) => http.close(resolve))
})

describe('a client of 2026-07-28', () => {
  test('it discovers what all targets can', async () => {
    const client = await modernClient(gateway.url)
    expect(client.getServerVersion()).toMatchObject({ name: 'agentgateway' })
    expect(client.getServerCapabilities()).toMatchObject({ tools: {}, resources: {}, prompts: {} })
    const { tools } = await client.listTools()
    const names = tools.map(({ name }) => name)
    expect(names).toContain('pipe_echo')
    expect(names).toContain('new_greet')
    await client.close()
  })

  test.each([
    { tool: 'pipe_echo', args: { message: 'hi' }, text: 'Echo: hi' },
    { tool: 'new_greet', args: { name: 'Ada' }, text: 'Hello, Ada' },
  ])('it calls $tool', async ({ tool, args, text }) => {
    const client = await modernClient(gateway.url)
    const result = await client.callTool({ name: tool, arguments: args })
    expect(result.content).toEqual([{ type: 'text', text }])
    await client.close()
  })

  test('it is asked by a server that knows sessions, and by one that does not', async () => {
    const client = await modernClient(gateway.url)
    const painted = await client.callTool({ name: 'new_paint', arguments: {} })
    expect(painted.content).toEqual([{ type: 'text', text: 'painted {"colour":"blue"}' }])
    const sampled = await client.callTool({
      name: 'pipe_trigger-sampling-request',
      arguments: { prompt: 'x', maxTokens: 5 },
    })
    expect(JSON.stringify(sampled.content)).toContain('sampled')
    await client.close()
  })

  test('it hears of progress', async () => {
    const client = await modernClient(gateway.url)
    const progress: number[] = []
    await client.callTool(
      { name: 'pipe_trigger-long-running-operation', arguments: { duration: 0.5, steps: 2 } },
      { onprogress: (one) => progress.push(one.progress) },
    )
    expect(progress).toEqual([1, 2])
    await client.close()
  })

  test('it reads a resource by its prefixed URI', async () => {
    const client = await modernClient(gateway.url)
    const { contents } = await client.readResource({ uri: 'new+memo://note' })
    expect(contents).toEqual([{ uri: 'new+memo://note', text: 'remember' }])
    await client.close()
  })

  test('it listens for changes', async () => {
    const client = await modernClient(gateway.url)
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler('notifications/tools/list_changed', () => resolve())
    })
    const subscription = await client.listen({ toolsListChanged: true })
    // The gateway has its own subscription at the server by now, or gets it in a moment: tell until it is heard.
    const timer = setInterval(() => handler.notify.toolsChanged(), 50)
    await changed
    clearInterval(timer)
    await subscription.close()
    await client.close()
  })
})

describe('a client with a session', () => {
  test('it uses a server without, and is asked by it', async () => {
    const client = await connectClient(gateway.url, 'streamable', { capabilities: { elicitation: {} } })
    const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js')
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { colour: 'red' } }))
    const painted = await client.callTool({ name: 'new_paint', arguments: {} })
    expect(painted.content).toEqual([{ type: 'text', text: 'painted {"colour":"red"}' }])
    await client.close()
  })
})

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

describe('a request that contradicts itself', () => {
  const base = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'pipe_echo', arguments: {}, _meta: META },
  }
  const right = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'pipe_echo' }

  test.each([
    {
      name: 'no version header',
      headers: { ...right, 'mcp-protocol-version': '' },
      status: 400,
      code: -32020,
    },
    {
      name: 'another version',
      headers: { ...right, 'mcp-protocol-version': '2025-11-25' },
      status: 400,
      code: -32020,
    },
    { name: 'another method', headers: { ...right, 'mcp-method': 'tools/list' }, status: 400, code: -32020 },
    { name: 'another name', headers: { ...right, 'mcp-name': 'other' }, status: 400, code: -32020 },
    { name: 'no name', headers: { ...right, 'mcp-name': '' }, status: 400, code: -32020 },
    { name: 'a session', headers: { ...right, 'mcp-session-id': 'x' }, status: 400, code: -32600 },
    {
      name: 'a removed method',
      headers: { ...right, 'mcp-method': 'ping' },
      body: { ...base, method: 'ping', params: { _meta: META } },
      status: 404,
      code: -32601,
    },
    {
      name: 'a version that nobody knows',
      headers: { ...right, 'mcp-protocol-version': '2099-01-01' },
      body: {
        ...base,
        params: {
          ...base.params,
          _meta: { ...META, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' },
        },
      },
      status: 400,
      code: -32022,
    },
    {
      name: 'a wrapped name',
      headers: { ...right, 'mcp-name': '=?base64?cGlwZV9lY2hv?=' },
      status: 200,
      code: undefined,
    },
  ])('$name: $status', async ({ headers, body = base, status, code }) => {
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''))
    const response = await fetch(`${gateway.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...given,
      },
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(status)
    // A process that is only now being started makes the answer a stream.
    const text = await response.text()
    const event = text.split('\n').findLast((line) => line.startsWith('data: {'))
    const answer = JSON.parse(event?.slice('data: '.length) ?? text) as { error?: { code: number } }
    expect(answer.error?.code).toBe(code)
  })
})
