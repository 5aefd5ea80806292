/** Servers behind a pipe that do not want to end. */
import { describe, expect, test } from 'vitest'
import { runGateway } from '../../support/gateway.ts'
import { initializeRequest, openSession, post, request, STDIO_SERVER } from './client.fixture.ts'
import { children, gatewayFor, open } from './stdio-lab.fixture.ts'

describe('environment', () => {
  test('it hands over only `env` with clearEnv', async () => {
    const gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - name: one
    stdio:
      cmd: ${JSON.stringify(process.execPath)}
      args: [${JSON.stringify(STDIO_SERVER)}]
      env: {ONLY: this}
      clearEnv: true
`)
    open.push(gateway)
    const session = await openSession(gateway.url)
    expect(JSON.parse(await session.said('environment'))).toEqual({ ONLY: 'this' })
  })
})

describe('a server that does not want to end', () => {
  test('it is killed when its session ends', async () => {
    const gateway = await gatewayFor('stubborn')
    const session = await openSession(gateway.url)
    await session.end()
    await expect.poll(children, { timeout: 15_000 }).toEqual([])
  })

  test.each(['well', 'stubborn', 'silent'])(
    'it has ended when the gateway is closed that has just begun to look at it: %s',
    async (mode) => {
      const gateway = await gatewayFor(mode)
      await expect.poll(children).toHaveLength(1)
      await gateway.close()
      expect(children()).toEqual([])
    },
  )

  test('it is killed when the gateway closes', async () => {
    const gateway = await gatewayFor('stubborn')
    await openSession(gateway.url)
    await gateway.close()
    expect(children()).toEqual([])
  })

  test('it is killed when the gateway closes in mid-call', async () => {
    const gateway = await gatewayFor('stubborn')
    const session = await openSession(gateway.url)
    const call = session.call('never').catch((error: unknown) => error)
    await expect.poll(() => session.said('report')).toContain('tools/call')
    await gateway.close()
    expect(children()).toEqual([])
    await call
    expect(
      gateway.records().filter((record) => record['mcp.method.name'] === 'tools/call').length,
    ).toBeGreaterThan(1)
  })
})

test('it keeps the sessions of those who stay when others leave while their server starts', async () => {
  // Twenty sessions at once, of which fifteen are left before they began.
  const gateway = await gatewayFor('well')
  const leaving = Array.from({ length: 15 }, async () => {
    const abort = new AbortController()
    const asked = fetch(`${gateway.url}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify(initializeRequest()),
      signal: abort.signal,
    })
    setImmediate(() => abort.abort())
    await expect(asked).rejects.toThrow()
  })
  const staying = await Promise.all(Array.from({ length: 5 }, () => openSession(gateway.url)))
  await Promise.all(leaving)
  for (const session of staying) expect(await session.said('echo', { message: 'x' })).toBe('x')
  await expect.poll(() => gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  await expect.poll(() => gateway.metric('agentgateway_mcp_sessions_active')).toBe(5)
  await expect.poll(() => children().length).toBe(5)
  expect((await post(`${gateway.url}/mcp`, request(1, 'ping'))).status).toBe(400)
})
