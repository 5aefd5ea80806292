/** Services that judge requests and answers: a webhook and a moderation, as good and as bad as they come. */
import { APIError as AnthropicError } from '@anthropic-ai/sdk'
import { APIError as OpenAIError } from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LogGot } from '../src/admin/api-types.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { type RawServer, rawServer } from '../src/upstream/client.fixture.ts'
import { askFor, clientOf } from './admin/lab.fixture.ts'
import { type Collector, startCollector } from './support/collector.ts'
import { anthropicBackend, chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import {
  ASKS,
  type Asked,
  clientsAt,
  type GuardService,
  messageOf,
  startGuardService,
} from './support/guard-lab.ts'
import { collect, open, send, sendJson } from './support/wire.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let webhook: GuardService
let moderation: GuardService
let collector: Collector
let gateway: RunningGateway
const hostile: Record<string, RawServer> = {}

interface WebhookBody {
  readonly body: {
    readonly messages?: readonly { readonly role: string; readonly content: string }[]
    readonly choices?: readonly { readonly message: { readonly role: string; readonly content: string } }[]
  }
}

const CANARY = 'canary-5Tz8moderation'
const KEY = 'canary-3Bw6shown'

/** Passes what is harmless, masks zebras, knows words that it rejects, and one at which it falls silent. */
function verdictOn({ body }: Asked): object | undefined {
  const { messages, choices } = (body as WebhookBody).body
  const texts = messages ?? choices?.map(({ message }) => message) ?? []
  const all = texts.map(({ content }) => content).join(' ')
  if (all.includes('silence')) return undefined
  if (all.includes('forbidden'))
    return { action: { body: 'Let us not talk about that', status_code: 422, reason: all } }
  if (all.includes('structured')) return { action: { body: '{"why":"structure"}', status_code: 451 } }
  if (!all.includes('zebra')) return { action: { reason: 'harmless' } }
  const masked = texts.map((text) => ({ ...text, content: text.content.replaceAll('zebra', '<animal>') }))
  const whole =
    messages === undefined ? { choices: masked.map((message) => ({ message })) } : { messages: masked }
  return { action: { body: whole, reason: all } }
}

const MEGABYTE = Buffer.alloc(1024 * 1024, 'x')
const ok = (body: string, status = '200 OK') =>
  `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** Ways of a service that gives no verdict. */
const HOSTILE: Record<string, Parameters<typeof rawServer>[0]> = {
  garbage: 'you shall not pass\r\n\r\n',
  words: ok('pass'),
  nothing: ok('{}'),
  null: ok('{"action":null}'),
  half: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"action":{}}'),
  wrong: ok('{"action":{"body":{"rows":[]}}}'),
  miscounted: ok('{"action":{"body":{"messages":[],"choices":[]}}}'),
  unfinished: ok('{"action":{"body":"no, for no reason"}}'),
  error: ok('{"action":{}}', '500 Internal Server Error'),
  redirect: ok('{"action":{}}', '302 Found'),
  reset: (socket) => socket.destroy(),
  flood: (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n')
    const pour = () => {
      while (socket.writable && socket.write(MEGABYTE));
    }
    socket.on('drain', pour)
    pour()
  },
}

const ROUTES = { '/v1/chat/completions': 'completions', '*': 'passthrough' }

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  collector = await startCollector({ protocol: 'http' })
  webhook = await startGuardService((asked, response) => {
    const verdict = verdictOn(asked)
    if (verdict === undefined) return
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(verdict))
  })
  moderation = await startGuardService(({ body }, response) => {
    const { input } = body as { readonly input: readonly string[] }
    const results = input.map((text) => ({ flagged: text.includes('violence'), categories: {} }))
    response.end(JSON.stringify({ id: 'modr-1', model: 'omni-moderation-latest', results }))
  })
  for (const [name, answer] of Object.entries(HOSTILE)) hostile[name] = await rawServer(answer)

  const asking = {
    webhook: {
      target: { host: webhook.address },
      headers: { 'x-path': 'request.path', 'x-who': 'apiKey.name' },
      forwardHeaderMatches: [
        { name: 'X-Tenant', value: { regex: 'a.*' } },
        { name: 'x-plan', value: { exact: 'gold' } },
      ],
    },
  }
  const moderating = {
    openAIModeration: { host: moderation.address, policies: { backendAuth: { key: CANARY } } },
  }
  const of = (address: string, more: object = {}) => ({ webhook: { target: { host: address }, ...more } })
  const route = (prefix: string, promptGuard: object, backend: object = openAIBackend(openAI)) => ({
    name: prefix.slice(1),
    matches: under(prefix),
    policies: {
      urlRewrite: { path: { prefix: '/' } },
      ai: {
        promptGuard,
        overrides: { model: prefix.endsWith('anthropic') ? 'claude-haiku-4-5' : 'gpt-4o-mini' },
      },
    },
    backends: [backend],
  })
  const both = { request: [asking], response: [asking] }
  const addressOf = ({ target }: RawServer) => `127.0.0.1:${target.port}`
  const bad = Object.entries(hostile).flatMap(([name, server]) => [
    route(`/closed-${name}`, { request: [of(addressOf(server))] }),
    route(`/open-${name}`, { request: [of(addressOf(server), { failureMode: 'failOpen' })] }),
    route(`/answer-${name}`, { response: [of(addressOf(server))] }),
    route(`/moderation-${name}`, { request: [{ openAIModeration: { host: addressOf(server) } }] }),
  ])
  const two = [
    { name: 'first', hostOverride: `127.0.0.1:${openAI.port}`, provider: { openAI: {} } },
    { name: 'second', hostOverride: `127.0.0.1:${anthropic.port}`, provider: { anthropic: {} } },
  ]
  gateway = await runGateway(
    gatewayWith(
      [
        route('/both-openai', both),
        route('/both-anthropic', both, anthropicBackend(anthropic)),
        route('/moderated', { request: [moderating] }),
        route('/moderated-own', { request: [{ ...moderating, rejection: { status: 418, body: 'tea' } }] }),
        route('/own', { request: [{ ...asking, rejection: { status: 410, body: 'gone' } }] }),
        route('/order', {
          request: [
            { regex: { rules: [{ builtin: 'email' }] } },
            asking,
            { regex: { action: 'reject', rules: [{ pattern: '<animal>s' }] } },
            moderating,
          ],
          response: [
            { regex: { rules: [{ builtin: 'email' }] } },
            asking,
            { regex: { rules: [{ pattern: '<animal>s?' }] } },
            asking,
          ],
        }),
        route('/unread', { response: [asking], streaming: 'Disabled' }),
        route('/named', { request: [{ webhook: { target: { backend: 'judge' } } }] }),
        route('/late', { response: [asking], request: [asking] }),
        {
          ...route('/failover', { request: [asking] }),
          policies: { urlRewrite: { path: { prefix: '/' } } },
          backends: [
            {
              ai: {
                groups: two.map((provider) => ({ providers: [provider] })),
                policies: {
                  ai: { routes: ROUTES, promptGuard: { request: [asking] }, overrides: { model: 'm' } },
                },
              },
            },
          ],
        },
        ...bad,
      ],
      {
        config: {
          database: { url: 'sqlite::memory:' },
          logging: { level: 'debug' },
          tracing: { otlpEndpoint: collector.url, otlpProtocol: 'http', randomSampling: true },
        },
        frontendPolicies: { accessLog: { database: { llm: 'full' } } },
        backends: [{ name: 'judge', host: webhook.address, policies: { backendAuth: { key: KEY } } }],
      },
    ),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
  await collector.close()
  webhook.close()
  moderation.close()
  for (const { close } of Object.values(hostile)) close()
})

beforeEach(() => {
  openAI.clear()
  anthropic.clear()
})

const clients = (prefix: string, script: Script = {}, headers: Record<string, string> = {}) =>
  clientsAt(`${gateway.url}${prefix}`, script, headers)
const lastRecord = async (already: number) => (await gateway.recorded(already + 1)).at(-1)
const BEARER = { authorization: 'Bearer k' }
const chatAt = (prefix: string, text: string, stream = false, script: Script = {}) =>
  sendJson(`${gateway.url}${prefix}/v1/chat/completions`, chatBody({ text, stream }), {
    authorization: 'Bearer k',
    'x-simulate': JSON.stringify(script),
  })
const checks = (labels: Record<string, string>) =>
  gateway.metric('agentgateway_guardrail_checks_total', labels)

const WAYS = Object.keys(ASKS).flatMap((what) =>
  ['openai', 'anthropic'].map((provider) => ({ what, provider, ask: ASKS[what] ?? expect.fail() })),
)
const providerOf = (name: string) => (name === 'openai' ? openAI : anthropic)
const answering = (text: string): Script => ({
  text,
  chunks: 9,
  splitBytes: 11,
  inputTokens: 30,
  outputTokens: 40,
})

describe.each(WAYS)('$what of $provider', ({ what, provider, ask }) => {
  const isStreamed = what.includes('streamed')

  test('passes both ways, as it came', async () => {
    const already = gateway.records().length
    const asked = webhook.asked.length
    const heard = await ask(clients(`/both-${provider}`, answering('All is well 😀')), 'How are you?')
    expect(heard).toMatchObject({ text: 'All is well 😀', input: 30, output: 40 })
    expect(webhook.asked.slice(asked)).toMatchObject([
      { path: '/request', body: { body: { messages: [{ role: 'user', content: 'How are you?' }] } } },
      {
        path: '/response',
        body: { body: { choices: [{ message: { role: 'assistant', content: 'All is well 😀' } }] } },
      },
    ])
    expect(await lastRecord(already)).toMatchObject({
      'guard.request': 'Allow',
      'guard.response': 'Allow',
      'guard.duration': expect.any(Number),
      outcome: 'completed',
    })
  })

  test('is masked both ways', async () => {
    const already = gateway.records().length
    const heard = await ask(clients(`/both-${provider}`, answering('One zebra.')), 'Any zebra there?')
    expect(heard).toMatchObject({ text: 'One <animal>.', input: 30, output: 40 })
    const asked = providerOf(provider).calls.at(-1)?.body ?? ''
    expect(asked).toContain('Any <animal> there?')
    expect(asked).not.toContain('zebra')
    expect(await lastRecord(already)).toMatchObject({ 'guard.request': 'Mask', 'guard.response': 'Mask' })
  })

  test('has its answer rejected, in its own API and in the words of the service', async () => {
    const already = gateway.records().length
    const error = await ask(clients(`/both-${provider}`, answering('The forbidden word')), 'Say it').then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(what.includes('message') ? AnthropicError : OpenAIError)
    expect(String(error)).toContain('Let us not talk about that')
    expect(String(error)).not.toContain('forbidden')
    if (!isStreamed) expect(error).toMatchObject({ status: 422 })
    expect(await lastRecord(already)).toMatchObject({
      'http.status': isStreamed ? 200 : 422,
      'guard.request': 'Allow',
      'guard.response': 'Reject',
      outcome: 'rejected',
      error_type: 'policy_rejected',
      'agw.ai.usage.source': 'provider',
      'gen_ai.usage.output_tokens': 40,
    })
  })

  test('has its question rejected, and no provider is asked', async () => {
    const already = gateway.records().length
    const error = await ask(clients(`/both-${provider}`), 'A forbidden word').catch(
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(what.includes('message') ? AnthropicError : OpenAIError)
    expect(error).toMatchObject({ status: 422 })
    expect(String(error)).toContain('Let us not talk about that')
    expect(providerOf(provider).calls).toHaveLength(0)
    expect(await lastRecord(already)).toMatchObject({ 'guard.request': 'Reject', outcome: 'rejected' })
  })
})

describe('a webhook', () => {
  test('is shown the headers that fit, the trace, and no others', async () => {
    const headers = { 'x-tenant': 'acme', 'x-plan': 'silver', 'x-other': 'a', authorization: 'Bearer secret' }
    await sendJson(`${gateway.url}/both-openai/v1/chat/completions`, chatBody(), headers)
    const [toResponse, toRequest] = webhook.asked.slice(-2).reverse()
    const record = gateway.records().at(-1)
    for (const asked of [toRequest, toResponse]) {
      expect(asked?.headers).toMatchObject({
        'x-tenant': 'acme',
        'x-path': '/both-openai/v1/chat/completions',
        'content-type': 'application/json',
        host: webhook.address,
        traceparent: expect.stringMatching(`^00-${record?.['trace.id']}-[0-9a-f]{16}-01$`),
      })
      for (const name of ['x-plan', 'x-who', 'x-other', 'authorization', 'x-simulate'])
        expect(asked?.headers).not.toHaveProperty(name)
    }
  })

  test('that is a backend is asked with its policies', async () => {
    await chatAt('/named', 'hello')
    expect(webhook.asked.at(-1)).toMatchObject({
      path: '/request',
      headers: { authorization: `Bearer ${KEY}` },
    })
  })

  test('may reject with JSON of its own, which is sent as it is', async () => {
    const { status, headers, body } = await chatAt('/both-openai', 'something structured')
    expect({ status, body }).toEqual({ status: 451, body: '{"why":"structure"}' })
    expect(headers['content-type']).toBe('application/json')
  })

  test('has the last word no more where the configuration has one', async () => {
    expect(await chatAt('/own', 'a forbidden word')).toMatchObject({ status: 410, body: 'gone' })
  })

  test('is not asked about what has no text', async () => {
    const asked = webhook.asked.length
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }
    const body = { model: 'm', messages: [{ role: 'user', content: [image] }] }
    const { status } = await sendJson(`${gateway.url}/own/v1/chat/completions`, body, BEARER)
    expect(status).toBe(200)
    expect(webhook.asked).toHaveLength(asked)
  })

  test('sees who said what, and nothing that tools say', async () => {
    const messages = [
      { role: 'system', content: 'Be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'one' },
          { type: 'text', text: 'two' },
        ],
      },
      {
        role: 'assistant',
        content: 'Calling',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":"hidden"}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: 'hidden' },
    ]
    await sendJson(`${gateway.url}/own/v1/chat/completions`, { model: 'm', messages }, BEARER)
    expect(webhook.asked.at(-1)?.body).toEqual({
      body: {
        messages: [
          { role: 'system', content: 'Be brief' },
          { role: 'user', content: 'one' },
          { role: 'user', content: 'two' },
          { role: 'assistant', content: 'Calling' },
        ],
      },
    })
  })

  test('is not shown a stream where streams are not read', async () => {
    const asked = webhook.asked.length
    const { body } = await chatAt('/unread', 'hello', true, { text: 'zebra', chunks: 1 })
    expect(body).toContain('zebra')
    expect(webhook.asked).toHaveLength(asked)
  })

  test('is asked once, whoever answers in the end', async () => {
    const already = gateway.records().length
    const asked = webhook.asked.length
    openAI.next({ status: 500 })
    const url = `${gateway.url}/failover/v1/chat/completions`
    const { status } = await sendJson(url, chatBody({ text: 'a zebra' }), {
      ...BEARER,
      'x-api-key': 'k',
    })
    expect(status).toBe(200)
    expect(webhook.asked).toHaveLength(asked + 1)
    for (const { calls } of [openAI, anthropic]) {
      expect(calls).toHaveLength(1)
      expect(calls[0]?.body).toContain('a <animal>')
    }
    expect(await lastRecord(already)).toMatchObject({ 'retry.attempt': 1, 'guard.request': 'Mask' })
  })
})

describe('a moderation', () => {
  test('is shown the texts, with its own key', async () => {
    const asked = moderation.asked.length
    const system = { ...messageOf('hello'), system: 'Be kind' }
    await clients('/moderated').anthropic.messages.create(system)
    expect(moderation.asked.slice(asked)).toMatchObject([
      {
        path: '/v1/moderations',
        headers: { authorization: `Bearer ${CANARY}` },
        body: { model: 'omni-moderation-latest', input: ['Be kind', 'hello'] },
      },
    ])
  })

  test.each([
    { what: 'a chat', type: OpenAIError },
    { what: 'a message', type: AnthropicError },
    { what: 'a streamed response', type: OpenAIError },
  ])('rejects what it flags: $what', async ({ what, type }) => {
    const already = gateway.records().length
    const error = await ASKS[what]?.(clients('/moderated'), 'Some violence').catch(
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(type)
    expect(error).toMatchObject({ status: 403 })
    expect(String(error)).toContain('The request was rejected due to inappropriate content')
    expect(openAI.calls).toHaveLength(0)
    const record = await lastRecord(already)
    expect(record).toMatchObject({ 'guard.request': 'Reject', outcome: 'rejected' })
    expect(JSON.stringify(record)).not.toContain('violence')
  })

  test('rejects as configured', async () => {
    expect(await chatAt('/moderated-own', 'Some violence')).toMatchObject({ status: 418, body: 'tea' })
  })
})

describe('several guards', () => {
  test('come in order: each sees what the one before has left', async () => {
    const asked = [webhook.asked.length, moderation.asked.length] as const
    const already = gateway.records().length
    await chatAt('/order', 'zebra of ann@example.com')
    expect(webhook.asked[asked[0]]?.body).toEqual({
      body: { messages: [{ role: 'user', content: 'zebra of <EMAIL_ADDRESS>' }] },
    })
    expect(moderation.asked[asked[1]]?.body).toMatchObject({ input: ['<animal> of <EMAIL_ADDRESS>'] })
    expect(openAI.calls[0]?.body).toContain('<animal> of <EMAIL_ADDRESS>')
    expect(await lastRecord(already)).toMatchObject({ 'guard.request': 'Mask' })
  })

  test('end with the first that rejects', async () => {
    const asked = moderation.asked.length
    const { status, body } = await chatAt('/order', 'many zebras')
    expect(status).toBe(403)
    expect(body).toContain('it matches pattern')
    expect(moderation.asked).toHaveLength(asked)
    expect(openAI.calls).toHaveLength(0)
  })

  test.each([false, true])('look at an answer in order, streamed: %s', async (stream) => {
    const before = await checks({ phase: 'response' })
    const already = gateway.records().length
    const asked = webhook.asked.length
    const { body } = await chatAt('/order', 'hello', stream, { text: 'zebras of ann@example.com', chunks: 7 })
    expect(body).toContain('<masked>')
    expect(body).not.toMatch(/zebra|ann@/)
    const shown = webhook.asked.slice(asked).filter(({ path }) => path === '/response')
    expect(shown.map(({ body }) => (body as WebhookBody).body.choices?.[0]?.message.content)).toEqual([
      'zebras of <EMAIL_ADDRESS>',
      '<masked> of <EMAIL_ADDRESS>',
    ])
    await lastRecord(already)
    expect(await checks({ phase: 'response' })).toBe(before + 4)
  })

  test('keep many requests apart', async () => {
    const words = Array.from({ length: 40 }, (_, index) => `zebra${index}`)
    const replies = await Promise.all(
      words.map((word, index) => chatAt('/both-openai', 'hello', index % 2 === 0, { text: word, chunks: 2 })),
    )
    const told = replies.map(({ body }) => /<animal>\d+/.exec(body)?.[0])
    expect(told).toEqual(words.map((word) => word.replace('zebra', '<animal>')))
  })
})

describe.each(Object.keys(HOSTILE))('a service that gives no verdict (%s)', (name) => {
  test.each(['closed', 'moderation'])('keeps a request out: %s', async (kind) => {
    const already = gateway.records().length
    const { status, body } = await chatAt(`/${kind}-${name}`, 'a zebra')
    expect(status).toBe(503)
    expect(JSON.parse(body)).toMatchObject({
      error: { code: 'guard_unavailable', message: 'failed to process LLM request: prompt guard failed' },
    })
    expect(openAI.calls).toHaveLength(0)
    const record = await lastRecord(already)
    expect(record).toMatchObject({
      'guard.request': 'Reject',
      outcome: 'rejected',
      error_type: 'policy_rejected',
      error: expect.stringMatching(/prompt guard failed: 127\.0\.0\.1:\d+/),
    })
    expect(JSON.stringify(record)).not.toContain('zebra')
  })

  test('lets a request pass where that is wanted', async () => {
    const already = gateway.records().length
    const before = await checks({ action: 'FailOpen', guard: 'webhook', phase: 'request' })
    expect(await chatAt(`/open-${name}`, 'a zebra')).toMatchObject({ status: 200 })
    expect(openAI.calls[0]?.body).toContain('a zebra')
    expect(await lastRecord(already)).toMatchObject({ 'guard.request': 'FailOpen', outcome: 'completed' })
    expect(await checks({ action: 'FailOpen', guard: 'webhook', phase: 'request' })).toBe(before + 1)
  })

  test.each([false, true])('keeps an answer back, streamed: %s', async (stream) => {
    const already = gateway.records().length
    const { status, body } = await chatAt(`/answer-${name}`, 'hello', stream, { text: 'a zebra', chunks: 2 })
    expect(status).toBe(stream ? 200 : 503)
    expect(body).toContain('failed to process LLM response: prompt guard failed')
    expect(body).not.toContain('zebra')
    expect(await lastRecord(already)).toMatchObject({ 'guard.response': 'Reject', outcome: 'rejected' })
  })
})

describe('while a guard is waited for', () => {
  test.each([
    { name: 'a request', text: 'silence', script: {}, stream: false, asked: 0 },
    { name: 'an answer', text: 'hello', script: { text: 'silence' }, stream: false, asked: 1 },
    { name: 'a stream', text: 'hello', script: { text: 'silence' }, stream: true, asked: 1 },
  ])('its client may leave, and it is left, too: $name', async ({ text, script, stream, asked }) => {
    const already = gateway.records().length
    const [before, left] = [webhook.asked.length, webhook.left()]
    const leaving = new AbortController()
    const body = JSON.stringify(chatBody({ text, stream }))
    const headers = {
      'content-type': 'application/json',
      authorization: 'Bearer k',
      'x-simulate': JSON.stringify(script),
    }
    const url = `${gateway.url}/both-openai/v1/chat/completions`
    const asking = open(url, { headers, body, signal: leaving.signal }).then(collect, () => undefined)
    await webhook.until(() => webhook.asked.length === before + asked + 1)
    leaving.abort()
    await webhook.until(() => webhook.left() === left + 1)
    await asking
    expect(await lastRecord(already)).toMatchObject({ outcome: 'client_abort', error_type: 'caller_abort' })
    expect(openAI.calls).toHaveLength(asked)
  })

  test('nothing of a stream reaches the client but its head', async () => {
    const left = webhook.left()
    const asked = webhook.asked.length
    const leaving = new AbortController()
    const response = await open(`${gateway.url}/both-openai/v1/chat/completions`, {
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer k',
        'x-simulate': JSON.stringify({ text: 'silence', chunks: 5 }),
      },
      body: JSON.stringify(chatBody({ stream: true })),
      signal: leaving.signal,
    })
    const reply = collect(response)
    await webhook.until(() => webhook.asked.length === asked + 2)
    leaving.abort()
    expect(await reply).toMatchObject({ status: 200, body: '', broken: true })
    await webhook.until(() => webhook.left() === left + 1)
  })
})

describe('a stream that breaks off', () => {
  test.each(['reset', 'truncate'] as const)('by %s does not reach the client unjudged', async (fault) => {
    const already = gateway.records().length
    const script: Script = { text: 'a zebra and more', chunks: 8, fault, afterChunks: 5 }
    const { body } = await chatAt('/both-openai', 'hello', true, script)
    expect(body).not.toContain('zebra')
    expect(body).toContain('"error"')
    expect(await lastRecord(already)).toMatchObject({ outcome: 'upstream_midstream_error' })
  })
})

test('nothing of what was masked, rejected or shown to services is kept, logged or traced', async () => {
  await gateway.recorded(gateway.records().length)
  const admin = clientOf(gateway.adminUrl)
  const kept = await admin.all()
  let all = ''
  for (const { id, route } of kept) {
    if (route?.includes('open-') || route?.includes('unread')) continue
    all += JSON.stringify(
      await askFor<LogGot>(gateway.adminUrl, '/api/logs/get', { id, includePayload: true }),
    )
  }
  expect(all).toContain('<animal>')
  const dump = (await send(`${gateway.adminUrl}/config_dump`)).body
  const told = { kept: all, log: gateway.log(), metrics: await gateway.metrics(), dump }
  await gateway.close()
  const everything = { ...told, spans: collector.payloads() }
  expect(everything.spans).toContain('agentgateway.guard.duration')
  const leaks = Object.entries(everything).flatMap(([where, text]) =>
    ['zebra', 'forbidden', 'violence', CANARY, KEY]
      .filter((word) => text.includes(word))
      .map((word) => [where, word]),
  )
  expect(leaks).toEqual([])
})
