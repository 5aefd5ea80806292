/** A client may put a key anywhere: as the model, as the user, into the path. The console tells none, wherever it shows names. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogEntry } from '../../src/admin/api-types.ts'
import { chatBody } from '../support/configuration.ts'
import { callOf, openSession, post, request } from '../support/mcp-lab.ts'
import { open } from '../support/wire.ts'
import { type AdminLab, askApi, CHAT, call, startAdminLab } from './lab.fixture.ts'

/** One for each place, as the vendor would make them: nothing else marks them as secrets. */
const SECRET = {
  model: 'sk-proj-aaaaaaaaaa0123456789',
  user: 'sk-proj-bbbbbbbbbb0123456789',
  path: 'sk-proj-cccccccccc0123456789',
  userAgent: 'sk-proj-dddddddddd0123456789',
  host: 'sk-proj-eeeeeeeeee0123456789',
  tool: 'sk-proj-ffffffffff0123456789',
  resource: 'sk-proj-gggggggggg0123456789',
  method: 'sk-proj-hhhhhhhhhh0123456789',
  agentName: 'sk-proj-iiiiiiiiii0123456789',
}
const toldIn = (text: string) => Object.keys(SECRET).filter((place) => text.includes(secretOf(place)))
const secretOf = (place: string) => SECRET[place as keyof typeof SECRET]

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-secret-names-'))
let lab: AdminLab
let logs: readonly LogEntry[]

async function sendAll(): Promise<void> {
  const body = { ...chatBody({ model: SECRET.model }), user: SECRET.user }
  const headers = { 'user-agent': `x/1 Bearer ${SECRET.userAgent}`, host: `${SECRET.host}.example.com` }
  await call(lab, { path: CHAT, body, headers })
  await call(lab, { path: CHAT, body: { ...body, stream: true } })
  await call(lab, { path: CHAT, body, script: { status: 500 }, headers: { 'user-agent': SECRET.agentName } })
  await call(lab, { path: `/plain/bot/${SECRET.path}/send`, body: {} })
  await call(lab, { path: `/closed/${SECRET.path}`, body: {} })
  await call(lab, { path: `/${SECRET.path}`, body: {} })
  const url = `${lab.gateway.url}/mcp`
  const session = await openSession(url)
  await post(url, callOf(1, SECRET.tool), session)
  await post(url, request(2, 'resources/read', { uri: `memo:${SECRET.resource}` }), session)
  await post(url, request(3, SECRET.method), session)
  await lab.gateway.recorded(11)
}

beforeAll(async () => {
  lab = await startAdminLab({ database: { url: `sqlite:${join(directory, 'requests.db')}` } })
  await sendAll()
  logs = await lab.client.all()
})
afterAll(async () => {
  await lab?.close()
  rmSync(directory, { recursive: true })
})

async function told(path: string, body?: unknown): Promise<readonly string[]> {
  const reply = await askApi(lab.gateway.adminUrl, path, body)
  expect([path, reply.status]).toEqual([path, 200])
  return toldIn(reply.body)
}

test('it keeps them all, to be found by the rest of what they are', () => {
  expect(logs).toHaveLength(11)
  const plain = logs.find(({ path }) => path.startsWith('/plain'))
  expect(plain?.path).toBe('/plain/bot/[redacted]/send')
  expect(logs.some(({ genAi }) => genAi?.requestModel === '[redacted]')).toBe(true)
  expect(logs.some(({ user }) => user === '[redacted]')).toBe(true)
  expect(logs.some(({ userAgent }) => userAgent === 'x/1 Bearer [redacted]')).toBe(true)
})

test('it tells none in a list', async () => {
  expect(await told('/api/logs/search', { limit: 500, includeAttributes: true })).toEqual([])
  expect(await told('/api/traces/search', { limit: 500 })).toEqual([])
})

test('it tells none of a request that is opened, nor in its spans', async () => {
  for (const { id, traceId, operation } of logs) {
    expect([operation, await told('/api/logs/get', { id, includePayload: true })]).toEqual([operation, []])
    expect([operation, await told(`/api/traces/${traceId}`)]).toEqual([operation, []])
    expect([operation, await told(`/api/v3/traces/${traceId}`)]).toEqual([operation, []])
  }
})

test.each([
  ...[
    'provider',
    'requestModel',
    'responseModel',
    'errorType',
    'backend',
    'route',
    'target',
    'operation',
  ].map((field) => ({ field })),
  ...['agentgateway.user', 'agentgateway.key', 'user_agent.name'].map((key) => ({
    field: 'attributes',
    key,
  })),
])('it tells none in sums by %o', async (group) => {
  expect(await told('/api/logs/analytics/summary', { groupBy: [group] })).toEqual([])
})

test('it tells none on the overview', async () => {
  expect(await told('/api/overview?range=15m')).toEqual([])
})

test('it tells none to those who follow', async () => {
  const leave = new AbortController()
  const stream = await open(`${lab.gateway.adminUrl}/api/logs/tail`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ includeAttributes: true }),
    signal: leave.signal,
  })
  let text = ''
  stream.setEncoding('utf8').on('error', () => {})
  stream.on('data', (piece: string) => {
    text += piece
  })
  await sendAll()
  await expect.poll(() => text.split('event: log').length - 1, { timeout: 5000 }).toBe(11)
  leave.abort()
  expect(toldIn(text)).toEqual([])
})

test('it finds none by a search for it', async () => {
  for (const secret of Object.values(SECRET))
    expect(await lab.client.all({ filters: { text: secret } })).toEqual([])
})

test('it has none in the files of the database', async () => {
  await lab.gateway.close()
  const files = readdirSync(directory).filter((name) => name.startsWith('requests.db'))
  expect(files).toContain('requests.db')
  for (const name of files)
    expect([name, toldIn(readFileSync(join(directory, name), 'latin1'))]).toEqual([name, []])
})
