/** `statefulMode: stateless`: every request stands alone. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, stdioTarget } from '../support/mcp.ts'
import { callOf, FIXTURE, initialize, type Lab, post, request, startLab, textOf } from '../support/mcp-lab.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-stateless-'))
const starts = join(directory, 'starts')
let lab: Lab
let gateway: RunningGateway
let url: string
beforeAll(async () => {
  lab = await startLab({ name: 'web' })
  gateway = await runGateway(`
mcp:
  port: 0
  statefulMode: stateless
  targets:
  - {name: pipe, ${stdioTarget(FIXTURE, 'pipe', starts)}}
  - {name: web, mcp: {host: "${lab.url}"}}
`)
  url = `${gateway.url}/mcp`
})
afterAll(async () => {
  await gateway?.close()
  await lab?.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('it gives no session id', async () => {
  const { status, headers, messages } = await post(url, initialize())
  expect(status).toBe(200)
  expect(headers.get('mcp-session-id')).toBeNull()
  expect(messages).toMatchObject([{ id: 0, result: { serverInfo: { name: 'agentgateway' } } }])
})

test.each(['GET', 'DELETE'])('it answers %s with 405', async (method) => {
  const response = await fetch(url, { method, headers: { accept: 'text/event-stream' } })
  await response.body?.cancel()
  expect(response.status).toBe(405)
})

test.each([
  ['tools/call of a process', callOf(1, 'pipe_echo', { message: 'x' }), 'pipe says x'],
  ['tools/call of a server', callOf(1, 'web_echo', { message: 'x' }), 'web says x'],
  ['tools/list', request(1, 'tools/list'), 'web_echo'],
  ['prompts/get', request(1, 'prompts/get', { name: 'pipe_greet' }), 'pipe greet'],
  ['resources/read', request(1, 'resources/read', { uri: 'web+memo:x' }), 'web has memo:x'],
])('it answers %s without an initialize before it', async (_, message, expected) => {
  const { status, messages } = await post(url, message)
  expect(status).toBe(200)
  expect(messages.at(-1)).toMatchObject({ id: 1, result: {} })
  expect(JSON.stringify(messages)).toContain(expected)
})

test('it does not start a process for every call', async () => {
  const client = await connectClient(gateway.url)
  const pids = new Set<string>()
  for (let index = 0; index < 5; index++)
    pids.add(textOf(await client.callTool({ name: 'pipe_whoami', arguments: {} })))
  await Promise.all(
    Array.from({ length: 5 }, async () =>
      pids.add(textOf(await client.callTool({ name: 'pipe_whoami', arguments: {} }))),
    ),
  )
  await client.close()
  expect(pids.size).toBe(1)
  expect(readFileSync(starts, 'utf8').match(/started/g)?.length).toBeLessThanOrEqual(2)
})

test('it asks only the server that a call is for', async () => {
  const from = lab.received.length
  await post(url, callOf(1, 'pipe_echo', { message: 'x' }))
  expect(lab.received.slice(from)).toEqual([])
})

test('it keeps concurrent calls of clients with the same ids apart', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      post(url, callOf(1, index % 2 ? 'pipe_echo' : 'web_echo', { message: `m${index}` })),
    ),
  )
  for (const [index, { messages }] of answers.entries())
    expect(messages).toMatchObject([
      { id: 1, result: { content: [{ text: `${index % 2 ? 'pipe' : 'web'} says m${index}` }] } },
    ])
})

test('it carries progress to the call that it is of', async () => {
  lab.release('a')
  lab.release('b')
  const [a, b] = await Promise.all(
    ['a', 'b'].map((label) => post(url, callOf(1, 'web_steps', { label }, { progressToken: 1 }))),
  )
  for (const [label, answer] of [['a', a] as const, ['b', b] as const])
    expect(answer?.messages).toMatchObject([
      { method: 'notifications/progress', params: { progressToken: 1, message: `web ${label}` } },
      { method: 'notifications/progress', params: { progressToken: 1, message: `web ${label}` } },
      { id: 1, result: {} },
    ])
})

test('it leaves no sessions behind', async () => {
  expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(0)
})
