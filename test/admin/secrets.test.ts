/** Canaries in everything that may hold a key; then every byte that the admin port gives, and the database, without one. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import { type Script, scriptHeader } from '../../src/demo/script.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from '../support/configuration.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { callOf, type Lab as McpLab, openSession, post, startLab } from '../support/mcp-lab.ts'
import { open, send, sendBytes } from '../support/wire.ts'
import { askApi, type Client, clientOf } from './lab.fixture.ts'

/** Shaped like no vendor's keys: a pattern for `sk-…` must not be what saves us. */
const CANARY = {
  bearer: 'canary-1Hn4bearer',
  apiKey: 'canary-3Rc6apikey',
  cookie: 'canary-8Vf1cookie',
  query: 'canary-5Lp7query',
  otherQuery: 'canary-4Tt2plainquery',
  proxy: 'canary-0Gs9proxy',
  backend: 'canary-4Kd9backend',
  mcpBackend: 'canary-2Jq7mcpbackend',
  setHeader: 'canary-6Mt3setheader',
  admin: 'canary-7Zx5admintoken',
  matched: 'canary-9Pd1matchedheader',
  collector: 'canary-9Wz5collector',
  arguments: 'canary-6Yu3toolargument',
  prompt: 'canary-8Io4prompt',
}

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-admin-secrets-'))
const database = join(directory, 'requests.db')
let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let mcp: McpLab
let gateway: RunningGateway
let client: Client
let requests = 0

const BEARER = { authorization: `Bearer ${CANARY.admin}` }
const SENT = {
  authorization: `Bearer ${CANARY.bearer}`,
  'x-api-key': CANARY.apiKey,
  cookie: `session=${CANARY.cookie}`,
  'proxy-authorization': `Basic ${CANARY.proxy}`,
  'anthropic-version': '2023-06-01',
}

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  mcp = await startLab({ name: 'tools' })
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, `${CANARY.admin}\n`)
  gateway = await runGateway(
    gatewayWith(
      [
        { matches: under('/v1'), backends: [openAIBackend(openAI)] },
        { matches: under('/v1/messages'), backends: [anthropicBackend(anthropic)] },
        {
          matches: under('/own'),
          backends: [openAIBackend(openAI, { backendAuth: { key: CANARY.backend } })],
        },
        {
          matches: under('/plain'),
          policies: { requestHeaderModifier: { set: { authorization: `Bearer ${CANARY.setHeader}` } } },
          backends: [hostBackend(openAI)],
        },
        {
          name: 'matched',
          matches: [
            {
              path: { pathPrefix: '/matched' },
              headers: [{ name: 'authorization', value: { exact: `Bearer ${CANARY.matched}` } }],
              query: [{ name: 'key', value: { exact: CANARY.matched } }],
            },
          ],
          backends: [hostBackend(openAI)],
        },
        { matches: under('/closed'), backends: [{ host: '127.0.0.1:1' }] },
        {
          matches: under('/mcp'),
          backends: [
            {
              mcp: {
                targets: [
                  {
                    name: 'tools',
                    mcp: { host: mcp.url },
                    policies: { backendAuth: { key: CANARY.mcpBackend } },
                  },
                ],
              },
            },
          ],
        },
      ],
      {
        config: {
          database: { url: `sqlite:${database}` },
          adminToken: { file: tokenFile },
          tracing: {
            otlpEndpoint: 'http://127.0.0.1:1',
            otlpProtocol: 'http',
            headers: { authorization: `Bearer ${CANARY.collector}` },
          },
        },
      },
    ),
  )
  client = {
    ...clientOf(gateway.adminUrl),
    get: async (path) => JSON.parse((await askApi(gateway.adminUrl, path, undefined, BEARER)).body),
  }
  await sendAll()
})

afterAll(async () => {
  await Promise.all([openAI?.close(), anthropic?.close(), mcp?.stop()])
  rmSync(directory, { recursive: true })
})

const QUERY = `?key=${CANARY.query}&api_key=${CANARY.query}&q=${CANARY.otherQuery}`

async function ask(path: string, body: unknown, script: Script = {}, query = QUERY) {
  requests++
  return send(`${gateway.url}${path}${query}`, {
    headers: { 'content-type': 'application/json', ...SENT, 'x-simulate': scriptHeader(script) },
    body: JSON.stringify(body),
  })
}

/** As some providers do: the refused key, word for word. */
const echo = (key: string, status = 401): Script => ({
  status,
  errorBody: {
    error: { message: `Incorrect API key provided: ${key}.`, type: 'invalid_request_error', code: null },
  },
})

async function sendAll(): Promise<void> {
  await ask('/v1/chat/completions', chatBody({ text: CANARY.prompt }))
  await ask('/v1/chat/completions', chatBody({ stream: true, text: CANARY.prompt }))
  await ask('/v1/messages', messagesBody())
  // What was sent to this provider, and only that, can be in what it says.
  for (const key of [CANARY.bearer, CANARY.query, `?key=${CANARY.query}`])
    for (const status of [401, 400, 500]) await ask('/v1/chat/completions', chatBody(), echo(key, status))
  await ask('/v1/messages', messagesBody(), echo(CANARY.apiKey))
  await ask('/own/v1/chat/completions', chatBody(), echo(CANARY.backend))
  await ask('/plain', {}, echo(CANARY.setHeader))
  await ask('/closed', {})
  await ask('/nowhere', {})
  await ask('/matched', {}, {}, `?key=${CANARY.matched}`)
  const leave = new AbortController()
  requests++
  const left = open(`${gateway.url}/v1/chat/completions${QUERY}`, {
    headers: { 'content-type': 'application/json', ...SENT, 'x-simulate': scriptHeader({ fault: 'never' }) },
    body: JSON.stringify(chatBody()),
    signal: leave.signal,
  }).catch(() => {})
  await openAI.waitFor(() => openAI.inFlight === 1)
  leave.abort()
  await left

  const url = `${gateway.url}/mcp${QUERY}`
  const session = { ...(await openSession(url)), ...SENT }
  await post(url, callOf(1, 'echo', { message: CANARY.arguments }), session)
  await post(url, callOf(2, 'throw', { message: CANARY.arguments }), session)
  await post(url, callOf(3, `no_such_tool_${'x'.repeat(8)}`), session)
  requests += 5

  const place = `${gateway.adminUrl}/api/gateway/${new URL(gateway.url).port}`
  await send(`${place}/v1/chat/completions${QUERY}`, {
    headers: {
      'content-type': 'application/json',
      ...BEARER,
      'x-gateway-authorization': `Bearer ${CANARY.bearer}`,
    },
    body: JSON.stringify(chatBody()),
  })
  requests++
  await gateway.recorded(requests)
}

const leaks = (text: string, canaries: readonly string[] = Object.values(CANARY)) =>
  canaries.filter((canary) => text.includes(canary) || text.includes(Buffer.from(canary).toString('base64')))

test('it sent every canary where it belongs', () => {
  expect(openAI.calls.some(({ headers }) => headers.authorization === `Bearer ${CANARY.bearer}`)).toBe(true)
  expect(openAI.calls.some(({ headers }) => headers.authorization === `Bearer ${CANARY.backend}`)).toBe(true)
  expect(openAI.calls.some(({ path }) => path.includes(CANARY.query))).toBe(true)
  expect(mcp.received.some(({ headers }) => String(headers.authorization).includes(CANARY.mcpBackend))).toBe(
    true,
  )
})

test('it answers nothing in which a secret is', async () => {
  const { adminUrl } = gateway
  const found: [string, readonly string[]][] = []
  const look = async (path: string, body?: unknown, headers: Record<string, string> = BEARER) => {
    const reply = await askApi(adminUrl, path, body, headers)
    found.push([`${path} ${reply.status}`, leaks(JSON.stringify(reply.headers) + reply.body)])
    return reply
  }
  for (const path of [
    '/',
    '/ui/',
    '/nowhere',
    '/api/session',
    '/api/runtime',
    '/api/config',
    '/api/config/effective',
    '/config_dump',
    '/api/mcp',
    '/api/costs/models',
    '/api/v3/services',
    '/api/overview',
  ])
    await look(path)
  const { body } = await look('/api/logs/search', { limit: 500, includeAttributes: true })
  const { logs } = JSON.parse(body) as { logs: { id: string; traceId: string }[] }
  expect(logs).toHaveLength(requests)
  for (const { id, traceId } of logs) {
    await look('/api/logs/get', { id, includePayload: true })
    await look(`/api/traces/${traceId}`)
    await look(`/api/v3/traces/${traceId}`)
  }
  await look('/api/traces/search', {})
  const groupBy = ['operation', 'errorType'].map((field) => ({ field }))
  await look('/api/logs/analytics/summary', {
    groupBy: [...groupBy, { field: 'attributes', key: 'agentgateway.key' }],
  })
  await look('/api/runtime', undefined, { authorization: `Bearer ${CANARY.bearer}` })
  await look(`/api/overview?range=${CANARY.query}`)
  await look('/api/session', { token: CANARY.bearer })
  expect(found.filter(([, leaked]) => leaked.length > 0)).toEqual([])
})

test('it says in routes what they match, but for credentials', async () => {
  const { routes } = await client.get<{ routes: { route: string; matches: string[] }[] }>('/api/config')
  const matches = routes.find(({ route }) => route.endsWith('matched'))?.matches.join() ?? ''
  expect(matches).toContain('/matched')
  expect(matches).toContain('authorization')
  expect(matches).not.toContain(CANARY.matched)
})

test('it tells no key in what is made of one', async () => {
  const { body } = await askApi(gateway.adminUrl, '/api/logs/search', { limit: 500 }, BEARER)
  const { logs } = JSON.parse(body) as { logs: { key?: string }[] }
  for (const { key } of logs) expect(key ?? '00000000').toMatch(/^[0-9a-f]{8}$/)
})

test('it follows the log without a secret', async () => {
  const leave = new AbortController()
  const stream = await open(`${gateway.adminUrl}/api/logs/tail`, {
    headers: { 'content-type': 'application/json', ...BEARER },
    body: JSON.stringify({ includeAttributes: true }),
    signal: leave.signal,
  })
  await ask('/v1/chat/completions', chatBody(), echo(CANARY.bearer))
  let text = ''
  stream.setEncoding('utf8')
  for await (const piece of stream) {
    text += piece
    if (text.includes('\n\n')) break
  }
  leave.abort()
  expect(text).toContain('Incorrect API key')
  expect(leaks(text)).toEqual([])
})

test('it says nothing of a broken request', async () => {
  const answers = [
    await sendBytes(
      gateway.adminUrl,
      `GET /api/runtime?token=${CANARY.query} HTTP/1.1\r\nHost: x y\r\nConnection: close\r\n\r\n`,
    ),
    await sendBytes(gateway.adminUrl, `GARBAGE ${CANARY.query}\r\n\r\n`),
  ]
  expect(leaks(answers.join())).toEqual([])
})

test('it writes none of them to the log', () => {
  expect(leaks(gateway.log())).toEqual([])
})

test('it keeps none of them in the files of the database', async () => {
  await gateway.close()
  const files = readdirSync(directory).filter((name) => name.startsWith('requests.db'))
  expect(files).toContain('requests.db')
  for (const name of files)
    expect([name, leaks(readFileSync(join(directory, name), 'latin1'))]).toEqual([name, []])
})
