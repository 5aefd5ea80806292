/** Several servers behind one endpoint, seen by the official client. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import {
  type ClientTransport,
  connectClient,
  EVERYTHING,
  everythingOverHttp,
  type McpServer,
  stdioTarget,
} from '../support/mcp.ts'

describe.each<ClientTransport>(['streamable', 'sse'])('over %s to the client', (transport) => {
  let streamable: McpServer
  let sse: McpServer
  let gateway: RunningGateway

  beforeAll(async () => {
    ;[streamable, sse] = await Promise.all([everythingOverHttp('streamableHttp'), everythingOverHttp('sse')])
    gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: pipe, ${stdioTarget(EVERYTHING, 'stdio')}}
  - {name: web, mcp: {host: "${streamable.url}"}}
  - {name: old, sse: {host: "${sse.url}"}}
`)
  })
  afterAll(async () => {
    await gateway.close()
    await Promise.all([streamable.stop(), sse.stop()])
  })

  test.each(['pipe', 'web', 'old'])('a tool of %s is called by its prefixed name', async (target) => {
    const client = await connectClient(gateway.url, transport)
    const result = await client.callTool({ name: `${target}_echo`, arguments: { message: 'hello' } })
    expect(result.content).toEqual([{ type: 'text', text: 'Echo: hello' }])
    await client.close()
  })
})
