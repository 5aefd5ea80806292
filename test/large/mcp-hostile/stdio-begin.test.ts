/** Servers behind a pipe that do not begin as they should. */
import { describe, expect, test } from 'vitest'
import { runGateway } from '../../support/gateway.ts'
import { stdioTarget } from '../../support/mcp.ts'
import { initializeRequest, openSession, post, STDIO_SERVER } from './client.fixture.ts'
import { children, gatewayFor, open } from './stdio-lab.fixture.ts'

const QUICK = ', connectTimeout: 500ms'

describe.each(['failOpen', 'failClosed'])('a lone server that does not begin, with %s', (failureMode) => {
  test.each([
    'silent',
    'noVersion',
    'numberVersion',
    'textResult',
    'wrongId',
    'error',
    'exitAtInitialize',
    'exit',
  ])('it gives %s up, and opens no session', async (mode) => {
    const gateway = await gatewayFor(mode, QUICK, `  failureMode: ${failureMode}`)
    const answer = await post(`${gateway.url}/mcp`, initializeRequest())
    expect(answer.headers['mcp-session-id']).toBeUndefined()
    expect(answer.messages).toEqual([
      { jsonrpc: '2.0', id: 'init', error: expect.objectContaining({ code: expect.any(Number) }) },
    ])
    expect([200, 500, 502, 503, 504]).toContain(answer.status)
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(0)
    expect(gateway.records()).toHaveLength(1)
    expect(JSON.stringify(answer.messages)).not.toContain(STDIO_SERVER)
    await expect.poll(children).toEqual([])
  })

  test('it says so when the command does not exist', async () => {
    const gateway = await runGateway(`
mcp:
  port: 0
  failureMode: ${failureMode}
  targets:
  - {name: one, stdio: {cmd: /nonexistent/command}}
`)
    open.push(gateway)
    const answer = await post(`${gateway.url}/mcp`, initializeRequest())
    expect([500, 503]).toContain(answer.status)
    expect(answer.messages[0]).toMatchObject({ id: 'init', error: { code: expect.any(Number) } })
    expect(answer.headers['mcp-session-id']).toBeUndefined()
    await gateway.recorded(1)
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(0)
  })
})

test.each(['silent', 'noVersion', 'wrongId', 'error', 'exitAtInitialize', 'exit'])(
  'it serves the other target when one of two is %s, with failOpen',
  async (mode) => {
    const gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: good, ${stdioTarget(STDIO_SERVER, 'well')}}
  - {name: bad, ${stdioTarget(STDIO_SERVER, mode)}, connectTimeout: 700ms}
`)
    open.push(gateway)
    const session = await openSession(gateway.url)
    expect(await session.said('good_echo', { message: 'hello' })).toBe('hello')
    const listed = await session.ask('tools/list')
    const names = ((listed.messages.at(-1)?.result?.tools ?? []) as { name: string }[]).map(
      ({ name }) => name,
    )
    expect(names).toContain('good_echo')
    expect(names.filter((name) => name.startsWith('bad_'))).toEqual([])
    const denied = await session.call('bad_echo', { message: 'hello' })
    expect(denied.messages).toHaveLength(1)
    expect(denied.messages[0]?.error).toBeDefined()
    await session.end()
  },
)

test('it reads past lines before the first answer', async () => {
  const gateway = await gatewayFor('garbageBefore')
  const session = await openSession(gateway.url)
  expect(await session.said('echo', { message: 'hello' })).toBe('hello')
})
