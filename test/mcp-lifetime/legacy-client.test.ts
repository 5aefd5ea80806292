/** Clients with a session at a lone server of 2026-07-28, which has none. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { createMcpHandler, inputRequired, type McpHttpHandler, McpServer } from '@modelcontextprotocol/server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { type ClientTransport, connectClient } from '../support/mcp.ts'
import { textOf } from '../support/mcp-lab.ts'

function modernServer(): McpServer {
  const server = new McpServer(
    { name: 'modern', version: '3.2.1' },
    { capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } },
  )
  server.registerTool('greet', { inputSchema: z.object({ name: z.string() }) }, ({ name }) => ({
    content: [{ type: 'text', text: `Hello, ${name}` }],
  }))
  server.registerTool('paint', { inputSchema: z.object({}) }, (_args, { mcpReq }) => {
    const answer = mcpReq.inputResponses?.colour
    if (typeof answer === 'object' && answer !== null && 'content' in answer)
      return { content: [{ type: 'text', text: JSON.stringify(answer.content) }] }
    const requestedSchema = {
      type: 'object' as const,
      properties: { colour: { type: 'string' as const } },
      required: ['colour'],
    }
    return inputRequired({
      inputRequests: {
        colour: {
          method: 'elicitation/create',
          params: { mode: 'form', message: 'Which?', requestedSchema },
        },
      },
    })
  })
  server.registerResource('note', 'memo://note', { mimeType: 'text/plain' }, ({ href }) => ({
    contents: [{ uri: href, text: 'remember' }],
  }))
  return server
}

let handler: McpHttpHandler
let http: Server
let gateway: RunningGateway
beforeAll(async () => {
  handler = createMcpHandler(modernServer, { legacy: 'reject' })
  http = createServer(toNodeHandler(handler))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  gateway = await runGateway(
    `mcp: {port: 0, targets: [{name: new, mcp: {host: "http://127.0.0.1:${port}/mcp"}}]}`,
  )
})
afterAll(async () => {
  await gateway.close()
  await handler.close()
  http.closeAllConnections()
  await new Promise((resolve) => http.close(resolve))
})

test.each<ClientTransport>(['streamable', 'sse'])('it serves a client over %s', async (transport) => {
  const client = await connectClient(gateway.url, transport, { capabilities: { elicitation: {} } })
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { colour: 'red' } }))
  expect(client.getServerCapabilities()).toMatchObject({ tools: {}, resources: {} })
  expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(['greet', 'paint'])
  expect(textOf(await client.callTool({ name: 'greet', arguments: { name: 'Ada' } }))).toBe('Hello, Ada')
  expect(textOf(await client.callTool({ name: 'paint', arguments: {} }))).toBe('{"colour":"red"}')
  const { contents } = await client.readResource({ uri: 'memo://note' })
  expect(contents).toEqual([{ uri: 'memo://note', text: 'remember' }])
  expect(await client.ping()).toEqual({})
  await client.subscribeResource({ uri: 'memo://note' })
  await client.close()
})

test('it tells such a client of changes', async () => {
  const client = await connectClient(gateway.url)
  const changed = new Promise<void>((resolve) => {
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve())
  })
  // The way from the server is being opened: tell until it is heard.
  const timer = setInterval(() => handler.notify.toolsChanged(), 50)
  await changed
  clearInterval(timer)
  await client.close()
})
