/** A server that asks for tokens itself, behind a gateway that does not. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runGateway } from '../support/gateway.ts'

const seen: string[] = []
const server = createServer((request, response) => {
  seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`)
  if (request.url?.startsWith('/.well-known/'))
    response
      .writeHead(200, { 'content-type': 'application/json', 'x-from': 'server' })
      .end('{"resource":"r"}')
  else
    response
      .writeHead(401, { 'www-authenticate': 'Bearer resource_metadata="https://id.example/m"' })
      .end('who are you?')
})
const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`

beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
afterAll(() => new Promise<unknown>((resolve) => server.close(resolve)))

const initialize = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
  }),
}

test('its challenge and its metadata reach the client', async () => {
  const gateway = await runGateway(`mcp: {port: 0, targets: [{name: one, mcp: {host: "${url()}"}}]}`)
  const refused = await fetch(`${gateway.url}/mcp`, initialize)
  expect(refused.status).toBe(401)
  expect(refused.headers.get('www-authenticate')).toBe('Bearer resource_metadata="https://id.example/m"')
  const metadata = await fetch(`${gateway.url}/.well-known/oauth-protected-resource/mcp?a=1`)
  expect(metadata.headers.get('x-from')).toBe('server')
  expect(await metadata.json()).toEqual({ resource: 'r' })
  expect(seen).toContain('GET /.well-known/oauth-protected-resource/mcp?a=1 -')
  // Whoever asks for a token is there.
  expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'one' })).toBe(1)
  await gateway.close()
})

test('with a second server nobody could say whose metadata it is', async () => {
  const target = (name: string) => `{name: ${name}, mcp: {host: "${url()}"}}`
  const gateway = await runGateway(`mcp: {port: 0, targets: [${target('one')}, ${target('two')}]}`)
  const metadata = await fetch(`${gateway.url}/.well-known/oauth-protected-resource/mcp`)
  expect(metadata.status).toBe(400)
  await gateway.close()
})
