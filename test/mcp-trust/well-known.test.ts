/** Documents of a lone target that pass the gateway: these, nothing else, and without anybody's credential. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  isHttp,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
} from '../mcp-lifetime/scripted-server.fixture.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { eventually } from '../support/mcp-lab.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  server = await startScripted()
})
afterEach(async () => {
  await server.close()
  await gateway.close()
})

async function run(more = ''): Promise<void> {
  gateway = await runFor([server], mcpYaml([`{name: web, mcp: {host: "${server.url}"}${more}}`]))
  server.script = ({ http }, response) => {
    if (http !== 'GET') return false
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"from":"the target"}')
    return true
  }
}

/** As no URL parser would let it through. */
async function raw(path: string, headers: readonly string[] = [], method = 'GET') {
  const { port } = new URL(gateway.url)
  const socket = connect(Number(port), '127.0.0.1')
  const head = [`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await once(socket, 'close')
  return { status: Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1]), text }
}

const ROOT = '/.well-known/oauth-protected-resource'

describe('a path beneath /.well-known', () => {
  test.each([
    ROOT,
    `${ROOT}/mcp`,
    `${ROOT}/a/b.c/mcp`,
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/tenant/v2.0',
    '/.well-known/openid-configuration',
  ])('it passes to the target: %s', async (path) => {
    await run()
    const { status, text } = await raw(`${path}?a=b`)
    expect(status).toBe(200)
    expect(text).toContain('the target')
    expect(server.seen.map(({ url }) => url)).toEqual([`${path}?a=b`])
  })

  test.each([
    '/.well-known/../admin',
    '/.well-known/%2e%2e/admin',
    '/.well-known/%2E%2E/admin',
    '/.well-known/./oauth-protected-resource',
    `${ROOT}/../../admin`,
    `${ROOT}/..`,
    `${ROOT}/.`,
    `${ROOT}/a/../../../admin`,
    `${ROOT}/%2e%2e/%2e%2e/admin`,
    `${ROOT}/%2e%2E/admin`,
    `${ROOT}/.%2e/admin`,
    `${ROOT}/..%2fadmin`,
    `${ROOT}%2f..%2fadmin`,
    `${ROOT}/..;/admin`,
    `${ROOT}/..\\admin`,
    `${ROOT}\\..\\admin`,
    `${ROOT}/%5c..%5cadmin`,
    `${ROOT}//admin`,
    `${ROOT}/%252e%252e/admin`,
    `${ROOT}x`,
    '/.well-known/jwks.json',
    '/.well-known/security.txt',
    '/.well-known/',
    '/.well-known',
    '//.well-known/oauth-protected-resource',
    '/x/.well-known/oauth-protected-resource',
    'http://localhost/.well-known/../admin',
  ])('it does not pass to the target: %s', async (path) => {
    await run()
    const { status, text } = await raw(path, ['Accept: application/json'])
    expect(status).toBeGreaterThanOrEqual(400)
    expect(text).not.toContain('the target')
    expect(server.seen).toEqual([])
  })

  test.each(['POST', 'PUT', 'DELETE', 'HEAD'])('it does not pass to the target with %s', async (method) => {
    await run()
    await raw(ROOT, [], method)
    expect(server.seen.filter(({ url }) => url.startsWith('/.well-known'))).toEqual([])
  })
})

describe('the credentials', () => {
  test.each([
    'policies: {backendAuth: {key: THE-GATEWAYS}}',
    'policies: {backendAuth: {key: {value: THE-GATEWAYS, location: {header: {name: x-api-key}}}}}',
    'policies: {requestHeaderModifier: {set: {x-secret: THE-GATEWAYS}}}',
  ])('it comes with none of them: %s', async (policies) => {
    await run(`, ${policies}`)
    const { status } = await raw(ROOT, [
      'Authorization: Bearer THE-CLIENTS',
      'Cookie: session=THE-CLIENTS',
      'Proxy-Authorization: Basic THE-CLIENTS',
      'Accept: application/json',
    ])
    expect(status).toBe(200)
    const [seen] = server.seen
    expect(seen?.headers.accept).toBe('application/json')
    expect(JSON.stringify(seen?.headers)).not.toMatch(/THE-/)
  })
})

describe('a target that does not answer', () => {
  test('it is waited for no longer than connectTimeout', async () => {
    await run(', connectTimeout: 200ms')
    server.script = isHttp('GET')
    const from = performance.now()
    expect((await raw(ROOT)).status).toBe(504)
    expect(performance.now() - from).toBeLessThan(3000)
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  })

  test('it is waited for no longer than its client waits', async () => {
    await run()
    const gone = Promise.withResolvers<void>()
    server.script = ({ http }, response) => {
      response.on('close', gone.resolve)
      return http === 'GET'
    }
    const leaving = new AbortController()
    const asked = fetch(`${gateway.url}${ROOT}`, { signal: leaving.signal }).catch(() => undefined)
    await server.arrived(isHttp('GET'))
    leaving.abort()
    await asked
    await gone.promise
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 0,
      2000,
    )
  })

  test('it is waited for no longer than connectTimeout where it stops in the middle', async () => {
    await run(', connectTimeout: 200ms')
    server.script = ({ http }, response) => {
      if (http !== 'GET') return false
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"from":')
      return true
    }
    expect((await raw(ROOT)).status).toBe(504)
  })
})
