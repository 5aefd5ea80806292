/** Canaries where keys go in; then everything that the process emits is searched for them. */
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { bearer, identity } from './mcp-lifetime/identity.fixture.ts'
import { type Collector, startCollector } from './support/collector.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Reply, send, sendBytes, sendJson } from './support/wire.ts'

const issuer = await identity('k')

/** Shaped like no vendor's keys: a pattern for `sk-…` must not be what saves us. */
const CANARY = {
  inline: 'canary-4Kd9inline',
  file: 'canary-7Yb2file',
  environment: 'canary-2Qx8environment',
  setHeader: 'canary-6Mt3setheader',
  collector: 'canary-9Wz5collector',
  bearer: 'canary-1Hn4bearer',
  apiKey: 'canary-3Rc6apikey',
  cookie: 'canary-8Vf1cookie',
  query: 'canary-5Lp7query',
  proxy: 'canary-0Gs9proxy',
  userinfo: 'canary-2Be8userinfo',
  client: 'canary-8Jq4client',
  password: 'canary-3Tn6password',
  token: await issuer.token('ann'),
  inQuery: 'canary-7Pd2inquery',
  inCookie: 'canary-1Zw6incookie',
  onCard: 'canary-6Xc2oncard',
  wrongOnCard: 'canary-2Yd5wrongoncard',
  wrongInQuery: 'canary-4Ls3wronginquery',
  wrongInCookie: 'canary-9Hb8wrongincookie',
  encodedPassword: Buffer.from('ann:canary-3Tn6password').toString('base64'),
  passwordHash: hash('sha1', 'canary-3Tn6password', 'base64'),
}

/** Expressions that ask for all that there is, and by name. */
const EVERYTHING = {
  bearer: 'request.headers["authorization"]',
  api_key: 'request.headers["x-api-key"]',
  cookie: 'request.headers.cookie',
  proxy: 'request.headers["proxy-authorization"]',
  all_headers: 'request.headers.map(name, name + "=" + string(request.headers[name])).join(" ")',
  all_request: 'request',
  all_response: 'response',
  all_proxy: '[proxy, backend, source]',
  key: 'apiKey',
  claims: 'jwt',
  login: 'basicAuth',
  all_llm: 'llm',
}

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-secrets-'))
let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let collector: Collector
let gateway: RunningGateway
/** What clients were told by the gateway itself. */
const replies: Reply[] = []

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  collector = await startCollector({ protocol: 'http' })
  const keyFile = join(directory, 'key')
  writeFileSync(keyFile, `${CANARY.file}\n`)
  gateway = await runGateway(
    gatewayWith(
      [
        { matches: under('/v1'), backends: [openAIBackend(openAI)] },
        {
          matches: under('/v1/messages'),
          backends: [anthropicBackend(anthropic, { backendAuth: { key: { file: keyFile } } })],
        },
        {
          matches: under('/inline'),
          backends: [openAIBackend(openAI, { backendAuth: { key: CANARY.inline } })],
        },
        {
          matches: under('/environment'),
          backends: [openAIBackend(openAI, { backendAuth: { key: '$CANARY_KEY' } })],
        },
        {
          matches: under('/plain'),
          policies: { requestHeaderModifier: { set: { authorization: `Bearer ${CANARY.setHeader}` } } },
          backends: [hostBackend(openAI)],
        },
        {
          matches: under('/guarded'),
          policies: { apiKey: { keys: [{ key: CANARY.client, metadata: { user: 'ann' } }] } },
          backends: [openAIBackend(openAI)],
        },
        {
          matches: under('/password'),
          policies: { basicAuth: { htpasswd: `ann:{SHA}${CANARY.passwordHash}` } },
          backends: [openAIBackend(openAI)],
        },
        {
          matches: under('/token'),
          policies: { jwtAuth: { issuer: 'https://id.example.com', jwks: issuer.keySet } },
          backends: [openAIBackend(openAI)],
        },
        {
          matches: under('/in-query'),
          policies: {
            apiKey: { keys: [{ key: CANARY.inQuery }], location: { queryParameter: { name: 'api key' } } },
          },
          backends: [openAIBackend(openAI)],
        },
        {
          matches: under('/in-cookie'),
          policies: {
            apiKey: { keys: [{ key: CANARY.inCookie }], location: { cookie: { name: 'session' } } },
          },
          backends: [hostBackend(openAI)],
        },
        {
          matches: under('/on-card'),
          policies: {
            apiKey: {
              keys: [{ key: CANARY.onCard }],
              location: { expression: 'request.headers["x-card"].split(" ")[1]' },
            },
          },
          backends: [hostBackend(openAI)],
        },
        {
          matches: under('/token-in-query'),
          policies: {
            jwtAuth: {
              issuer: 'https://id.example.com',
              jwks: issuer.keySet,
              location: { queryParameter: { name: 'token' } },
            },
          },
          backends: [hostBackend(openAI)],
        },
        {
          matches: under('/password-in-cookie'),
          policies: {
            basicAuth: {
              htpasswd: `ann:{SHA}${CANARY.passwordHash}`,
              authorizationLocation: { cookie: { name: 'ann' } },
            },
            requestRedirect: { path: { prefix: '/elsewhere' } },
          },
          backends: [hostBackend(openAI)],
        },
        { matches: under('/closed'), backends: [{ host: '127.0.0.1:1' }] },
      ],
      {
        config: {
          logging: { level: 'trace', fields: { add: EVERYTHING } },
          metrics: { fields: { add: EVERYTHING } },
          // What the provider is to say of a key: no credential by its name.
          sensitiveHeaders: ['X-Simulate'],
          standardAttributes: { user: EVERYTHING.all_headers, group: EVERYTHING.bearer },
          tracing: {
            fields: { add: EVERYTHING },
            otlpEndpoint: collector.url,
            otlpProtocol: 'http',
            randomSampling: true,
            headers: { authorization: `Bearer ${CANARY.collector}` },
          },
        },
      },
    ),
    { CANARY_KEY: CANARY.environment },
  )
})

afterAll(async () => {
  await openAI.close()
  await anthropic.close()
  await collector.close()
  rmSync(directory, { recursive: true })
})

const QUERY = `?key=${CANARY.query}&api_key=${CANARY.query}`

const ask = (path: string, body: unknown, script: Script = {}) =>
  sendJson(`${gateway.url}${path}${QUERY}`, body, {
    authorization: `Bearer ${CANARY.bearer}`,
    'x-api-key': CANARY.apiKey,
    cookie: `session=${CANARY.cookie}`,
    'proxy-authorization': `Basic ${CANARY.proxy}`,
    'anthropic-version': '2023-06-01',
    'x-simulate': JSON.stringify(script),
  })

/** As some providers do: the refused key, word for word. */
const echo = (key: string): Script => ({
  status: 401,
  errorBody: {
    error: { message: `Incorrect API key provided: ${key}.`, type: 'invalid_request_error', code: null },
  },
})

test('it sends keys where they belong, and only there', async () => {
  await ask('/v1/chat/completions', chatBody())
  await ask('/v1/messages', messagesBody())
  await ask('/inline', chatBody())
  await ask('/environment', chatBody())
  await ask('/plain/v1/chat/completions', chatBody())
  const guarded = `${gateway.url}/guarded/v1/chat/completions`
  await sendJson(guarded, chatBody(), { authorization: `Bearer ${CANARY.client}` })
  replies.push(await sendJson(guarded, chatBody(), { authorization: `Bearer ${CANARY.bearer}` }))
  const password = `${gateway.url}/password/v1/chat/completions`
  for (const text of [`ann:${CANARY.password}`, `${CANARY.password}:x`]) {
    const authorization = `Basic ${Buffer.from(text).toString('base64')}`
    replies.push(await sendJson(password, chatBody(), { authorization }))
  }
  for (const token of [CANARY.token, CANARY.bearer])
    replies.push(await sendJson(`${gateway.url}/token/v1/chat/completions`, chatBody(), bearer(token)))
  const sent = openAI.calls.map(({ headers }) => headers.authorization)
  expect(sent).toEqual([
    `Bearer ${CANARY.bearer}`,
    `Bearer ${CANARY.inline}`,
    `Bearer ${CANARY.environment}`,
    `Bearer ${CANARY.setHeader}`,
    undefined,
    undefined,
    undefined,
  ])
  // Without the client's credential there is none for the provider.
  expect(replies.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401])
  const [toAnthropic] = anthropic.calls
  expect(toAnthropic?.headers['x-api-key']).toBe(CANARY.file)
  expect(JSON.stringify(toAnthropic?.headers)).not.toContain(CANARY.bearer)
  expect(JSON.stringify(toAnthropic?.headers)).not.toContain(CANARY.apiKey)
})

test('it takes what was checked out of queries and cookies', async () => {
  const before = openAI.calls.length
  const paths: string[] = []
  const go = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const own = { authorization: 'Bearer sk-of-the-provider', ...headers }
    const reply = await sendJson(`${gateway.url}${path}`, chatBody(), own)
    replies.push(reply)
    paths.push(`${path.slice(1, path.indexOf('/', 1))} ${reply.status}`)
  }
  const chat = 'v1/chat/completions'
  await go(`/in-query/${chat}?a=1&api%20key=${CANARY.inQuery}&b=2`)
  await go(`/in-query/${chat}?api+key=${CANARY.wrongInQuery}`)
  await go(`/in-cookie/${chat}`, { cookie: `a=1; session=${CANARY.inCookie}; b=2` })
  await go(`/in-cookie/${chat}`, { cookie: `session=${CANARY.wrongInCookie}` })
  await go(`/on-card/${chat}`, { 'x-card': `ann ${CANARY.onCard}` })
  await go(`/on-card/${chat}`, { 'x-card': `ann ${CANARY.wrongOnCard}` })
  await go(`/token-in-query/${chat}?token=${CANARY.token}&a=1`)
  await go(`/token-in-query/${chat}?token=${CANARY.token}&token=${CANARY.token}`)
  await go(`/password-in-cookie/${chat}`, { cookie: `ann=${CANARY.encodedPassword}` })
  expect(paths).toEqual([
    'in-query 404',
    'in-query 401',
    'in-cookie 404',
    'in-cookie 401',
    'on-card 404',
    'on-card 401',
    'token-in-query 404',
    'token-in-query 401',
    'password-in-cookie 302',
  ])
  const sent = openAI.calls.slice(before)
  const seen = JSON.stringify(sent)
  for (const canary of [CANARY.inQuery, CANARY.inCookie, CANARY.onCard, CANARY.token, CANARY.encodedPassword])
    expect(seen).not.toContain(canary)
  expect(sent.map(({ path, headers }) => [path, headers.cookie])).toEqual([
    ['/in-query/v1/chat/completions?a=1&b=2', undefined],
    ['/in-cookie/v1/chat/completions', 'a=1; b=2'],
    ['/on-card/v1/chat/completions', undefined],
    ['/token-in-query/v1/chat/completions?a=1', undefined],
  ])
})

test('it meets every kind of failure with keys in hand', async () => {
  const failing: Script[] = [
    { status: 401 },
    { status: 500 },
    { fault: 'reset' },
    { fault: 'garbage-http' },
    { fault: 'garbage', afterChunks: 1 },
    { fault: 'midstream-error', afterChunks: 1 },
  ]
  for (const script of failing) {
    for (const stream of [false, true])
      replies.push(await ask('/v1/chat/completions', chatBody({ stream }), script))
    replies.push(await ask('/v1/messages', messagesBody(), script))
  }
  replies.push(await ask('/closed', {}))
  replies.push(await ask('/nowhere', {}))
  // A client that puts its key where it does not belong, and does not even get that right.
  replies.push(
    await send(`${gateway.url}/v1/chat/completions`, { body: `{"api_key": ${CANARY.bearer}}` }),
    await send(`${gateway.url}/v1/chat/completions`, { body: `${CANARY.bearer}` }),
  )
  await sendBytes(
    gateway.url,
    `GET / HTTP/1.1\r\nauthorization: Bearer ${CANARY.bearer}\r\nbad header\r\n\r\n`,
  )
  await sendBytes(
    gateway.url,
    `GET http://user:${CANARY.userinfo}@127.0.0.1/closed HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
  )
  // What the provider itself says goes to the client whose key it is, so these replies are not searched.
  await ask('/v1/chat/completions', chatBody(), echo(CANARY.bearer))
  await ask('/v1/chat/completions', chatBody({ stream: true }), { ...echo(CANARY.bearer), status: 403 })
  await ask('/v1/messages', messagesBody(), { ...echo(CANARY.file) })
  await gateway.recorded(26)
  expect(gateway.records().some(({ 'http.status': status }) => status === 401)).toBe(true)
})

test('it lets none of them out: log, metrics, dump, replies, spans', async () => {
  const dump = await send(`${gateway.adminUrl}/config_dump`)
  const emitted = {
    metrics: await gateway.metrics(),
    openMetrics: await gateway.metrics('application/openmetrics-text; version=1.0.0'),
    dump: dump.body,
    readiness: (await send(`${gateway.readinessUrl}/healthz/ready`)).body,
    replies: JSON.stringify(replies),
  }
  expect(dump.body).toContain('backendAuth')
  await gateway.close()
  const everything = { ...emitted, log: gateway.log(), spans: collector.payloads() }
  expect(everything.spans).toContain('gpt-4o-mini')
  expect(everything.log).toContain('"scope":"request"')
  expect(everything.log).toContain('"all_headers":"')
  expect(everything.log).toContain('"key":{"user":"ann"}')
  expect(everything.metrics).toContain('content-type=application/json')

  const leaks = Object.entries(everything).flatMap(([where, text]) =>
    Object.entries(CANARY)
      .filter(([, canary]) => text.includes(canary))
      .map(([name]) => ({ name, where, near: lineWith(text, CANARY[name as keyof typeof CANARY]) })),
  )
  expect(leaks).toEqual([])
  // The collector's own credential reached it, in the header that it belongs in.
  expect(collector.requests[0]).toMatchObject({ authorization: `Bearer ${CANARY.collector}` })
})

function lineWith(text: string, part: string): string {
  const at = text.indexOf(part)
  return text.slice(Math.max(0, at - 120), at + 60)
}
