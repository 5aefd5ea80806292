/**
 * What one upstream cannot, another attempt may: retries and groups of providers, as clients, the record and the
 * providers' own books see them.
 */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import {
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { recordOf } from './support/records.ts'
import { eventsIn, type Reply, send, sendJson } from './support/wire.ts'

let first: SimulatedProvider
let second: SimulatedProvider
let claude: SimulatedProvider
let gateway: RunningGateway

const ROUTES = {
  '/v1/chat/completions': 'completions',
  '/v1/messages': 'messages',
  '*': 'passthrough',
}
const openAI = (name: string, { port }: SimulatedProvider) => ({
  name,
  hostOverride: `127.0.0.1:${port}`,
  provider: { openAI: {} },
  policies: { backendAuth: { key: `sk-of-${name}` } },
})
const narrowed = <T extends { readonly policies: object }>(provider: T, http: object) => ({
  ...provider,
  policies: { ...provider.policies, http },
})
const retry = { attempts: 2, backoff: '1ms' }
const toRoot = { path: { prefix: '/' } }

beforeAll(async () => {
  first = await startSimulatedOpenAI()
  second = await startSimulatedOpenAI()
  claude = await startSimulatedAnthropic()
})

// Nobody is evicted for what happened in another test.
beforeEach(async () => {
  for (const provider of [first, second, claude]) provider.clear()
  const ai = { routes: ROUTES }
  const group = (...tiers: readonly (readonly object[])[]) => ({
    ai: { groups: tiers.map((providers) => ({ providers })), policies: { ai } },
  })
  const anthropic = {
    name: 'claude',
    hostOverride: `127.0.0.1:${claude.port}`,
    provider: { anthropic: { model: 'claude-sonnet-4-5' } },
  }
  gateway = await runGateway(
    gatewayWith([
      {
        matches: under('/group'),
        policies: { urlRewrite: toRoot },
        backends: [group([openAI('first', first)], [openAI('second', second)])],
      },
      {
        matches: under('/other'),
        policies: { urlRewrite: toRoot },
        backends: [group([openAI('first', first)], [anthropic])],
      },
      {
        matches: under('/narrow'),
        policies: { urlRewrite: toRoot },
        backends: [openAIBackend(first, { http: { maxRequests: 2, maxPendingRequests: 1 } })],
      },
      {
        matches: under('/overflow'),
        policies: { urlRewrite: toRoot },
        backends: [
          group(
            [narrowed(openAI('first', first), { maxRequests: 1, maxPendingRequests: 0 })],
            [openAI('second', second)],
          ),
        ],
      },
      {
        matches: under('/retry'),
        policies: { urlRewrite: toRoot, retry, timeout: { backendRequestTimeout: '150ms' } },
        backends: [openAIBackend(first)],
      },
      {
        matches: under('/impatient'),
        policies: {
          urlRewrite: toRoot,
          retry: { attempts: 5, backoff: '1ms' },
          timeout: { requestTimeout: '300ms' },
        },
        backends: [openAIBackend(first)],
      },
      {
        matches: under('/short'),
        policies: { urlRewrite: toRoot, retry, timeout: { totalTimeout: '20s', requestTimeout: '25s' } },
        backends: [openAIBackend(first)],
      },
      {
        matches: under('/brief'),
        policies: { urlRewrite: toRoot, retry, timeout: { totalTimeout: '25s', requestTimeout: '20s' } },
        backends: [openAIBackend(first)],
      },
      {
        matches: under('/patient'),
        policies: { urlRewrite: toRoot, retry: { attempts: 5, backoff: '1h' } },
        backends: [openAIBackend(first)],
      },
      {
        matches: under('/plain'),
        policies: { urlRewrite: toRoot, retry },
        backends: [hostBackend(first)],
      },
      { backends: [openAIBackend(first)] },
    ]),
  )
})

afterEach(() => gateway.close())

afterAll(async () => {
  await first.close()
  await second.close()
  await claude.close()
})

const CHAT = '/v1/chat/completions'

/** The first provider does as it is told, request for request; then it is well again. */
function tell(...scripts: readonly Script[]): void {
  for (const script of scripts) first.next(script)
}

const headers = { authorization: 'Bearer sk-of-the-client' }
const ask = (place: string, stream = false) =>
  sendJson(`${gateway.url}${place}${CHAT}`, chatBody({ stream }), headers)

const textOf = ({ body }: Reply) =>
  (JSON.parse(body) as OpenAI.ChatCompletion).choices[0]?.message.content ?? ''

const FAULTS: readonly (readonly [string, Script])[] = [
  ['an overloaded provider', { status: 503 }],
  ['a provider that has enough', { status: 429, retryAfterSeconds: 0 }],
  ['a fault of the provider', { status: 500 }],
  ['a connection that breaks', { fault: 'reset' }],
  ['bytes that are not HTTP', { fault: 'garbage-http' }],
]

describe('another of the group answers', () => {
  test.each([
    ...FAULTS,
    ['an answer that is none', { fault: 'garbage' }] as const,
    ['an answer that ends early', { fault: 'truncate' }] as const,
  ])('after %s', async (_, script) => {
    tell(script)
    const billed = second.calls.length
    const reply = await ask('/group')
    expect(reply.status).toBe(200)
    expect(textOf(reply)).not.toBe('')
    expect(second.calls.length).toBe(billed + 1)
    expect(second.calls.at(-1)).toMatchObject({
      headers: { authorization: 'Bearer sk-of-second', 'x-retry-attempt': '1' },
    })
    expect(await recordOf(gateway, reply)).toMatchObject({
      'http.status': 200,
      outcome: 'completed',
      backend: 'second',
      'retry.attempt': 1,
    })
  })

  test.each([
    ...FAULTS,
    ['a stream that breaks before its first content', { fault: 'reset', afterChunks: 0 }] as const,
    ['a stream that begins with an error', { fault: 'midstream-error', afterChunks: 0 }] as const,
    ['a stream of rubbish', { fault: 'garbage', afterChunks: 0 }] as const,
    ['a stream that ends at once', { fault: 'truncate', afterChunks: 0 }] as const,
  ])('with a stream, after %s', async (_, script) => {
    tell(script)
    const reply = await ask('/group', true)
    const events = eventsIn(reply.body)
    expect(reply).toMatchObject({ status: 200, broken: false })
    expect(events.at(-1)?.data).toBe('[DONE]')
    expect(events.every(({ data }) => !data.startsWith('{"error"'))).toBe(true)
    expect(reply.body.match(/"role":"assistant"/g)).toHaveLength(1)
    expect(await recordOf(gateway, reply)).toMatchObject({ outcome: 'completed', backend: 'second' })
  })

  test('in its own format, to the client in the client’s', async () => {
    tell({ status: 529 })
    const client = new OpenAI({ apiKey: 'k', baseURL: `${gateway.url}/other/v1`, maxRetries: 0 })
    const answer = await client.chat.completions.create(chatBody() as never)
    expect(answer.choices[0]?.message.content).toBeTruthy()
    expect(answer.model).toContain('claude')
    tell({ status: 529 })
    const anthropic = new Anthropic({ apiKey: 'k', baseURL: `${gateway.url}/other`, maxRetries: 0 })
    const message = await anthropic.messages.create(messagesBody({ model: 'gpt-4o-mini' }) as never)
    expect(message.content[0]).toMatchObject({ type: 'text' })
  })

  test('and what it used is what counts', async () => {
    tell({ status: 500 })
    const reply = await ask('/group')
    const call = second.calls.at(-1)
    expect(await recordOf(gateway, reply)).toMatchObject({
      'gen_ai.usage.input_tokens': call?.inputTokens,
      'gen_ai.usage.output_tokens': call?.outputTokens,
    })
  })
})

test('whoever asks to be left alone is left alone', async () => {
  tell({ status: 429, retryAfterSeconds: 3600 })
  const reply = await ask('/group')
  expect(await recordOf(gateway, reply)).toMatchObject({ backend: 'second', 'retry.attempt': 1 })
  const asked = first.calls.length
  const next = await ask('/group')
  const record = await recordOf(gateway, next)
  expect([record.backend, record['retry.attempt']]).toEqual(['second', undefined])
  expect(first.calls.length).toBe(asked)
  // With nobody else left it is better than nothing.
  second.next({ status: 503 })
  expect(await recordOf(gateway, await ask('/group'))).toMatchObject({
    'http.status': 200,
    backend: 'first',
  })
})

describe('whoever fails three times in a row is left alone', () => {
  test.each<readonly [string, boolean, Script]>([
    ['with an error', false, { status: 503 }],
    ['with an answer that is none', false, { fault: 'garbage' }],
    ['with an answer that ends early', false, { fault: 'truncate' }],
    ['with a stream that breaks before its first content', true, { fault: 'reset', afterChunks: 0 }],
    ['with a stream that begins with an error', true, { fault: 'midstream-error', afterChunks: 0 }],
    ['with a stream that breaks after content', true, { fault: 'reset', afterChunks: 3 }],
    ['with a stream that ends early', true, { fault: 'truncate', afterChunks: 3 }],
    ['with a stream that ends with an error', true, { fault: 'midstream-error', afterChunks: 3 }],
  ])('%s', async (_, isStream, script) => {
    tell(script, script, script)
    for (let time = 0; time < 3; time += 1) expect((await ask('/group', isStream)).status).toBe(200)
    expect(await gateway.metric('agentgateway_backend_evictions_total', { backend: 'first' })).toBe(1)
    expect(await gateway.metric('agentgateway_backend_up', { group: 'ai', backend: 'first' })).toBe(0)
    const asked = first.calls.length
    expect(await recordOf(gateway, await ask('/group', isStream))).toMatchObject({ backend: 'second' })
    expect(first.calls.length).toBe(asked)
  })

  const broken: Script = { fault: 'reset', afterChunks: 3 }

  test('but not when one of its streams is whole in between', async () => {
    tell(broken, broken, {}, broken, broken)
    for (let time = 0; time < 5; time += 1) await ask('/group', true)
    expect(first.calls).toHaveLength(5)
    expect(await gateway.metric('agentgateway_backend_evictions_total', { backend: 'first' })).toBe(0)
  })

  test('and a stream that its client leaves is no success', async () => {
    tell(broken, broken, { chunks: 50, chunkDelayMs: 100 }, broken)
    await ask('/group', true)
    await ask('/group', true)
    const leaving = new AbortController()
    const left = await fetch(`${gateway.url}/group${CHAT}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(chatBody({ stream: true })),
      signal: leaving.signal,
    })
    expect(left.status).toBe(200)
    leaving.abort()
    expect((await gateway.recorded(3)).at(-1)?.outcome).toBe('client_abort')
    await ask('/group', true)
    expect(await gateway.metric('agentgateway_backend_evictions_total', { backend: 'first' })).toBe(1)
  })

  test('for as long as it takes one of many that fail at once', async () => {
    const many = Array.from({ length: 12 }, (): Script => ({ status: 503 }))
    tell(...many)
    const release = first.hold()
    const answered = many.map(() => ask('/group'))
    await first.waitFor(() => first.inFlight === 12)
    release()
    await Promise.all(answered)
    expect(await gateway.metric('agentgateway_backend_evictions_total', { backend: 'first' })).toBe(1)
  })
})

test('whoever is left alone on one route is asked on another: what they ask of it may differ', async () => {
  tell({ status: 429, retryAfterSeconds: 3600 })
  await ask('/group')
  expect(await recordOf(gateway, await ask('/group'))).toMatchObject({ backend: 'second' })
  expect(await recordOf(gateway, await ask('/other'))).toMatchObject({ backend: 'first' })
  expect(await gateway.metric('agentgateway_backend_up', { group: 'ai', backend: 'first' })).toBe(0)
})

describe('nobody else is asked', () => {
  test.each([400, 401, 404, 422])('after %d: that would come again', async (status) => {
    tell({ status })
    const billed = second.calls.length
    expect((await ask('/group')).status).toBe(status)
    expect(second.calls.length).toBe(billed)
  })

  test('once the client has seen content', async () => {
    tell({ fault: 'reset', afterChunks: 3, chunks: 10 })
    const reply = await ask('/group', true)
    expect(reply.status).toBe(200)
    expect(reply.body).toContain('error')
    expect(await recordOf(gateway, reply)).toMatchObject({
      outcome: 'upstream_midstream_error',
      backend: 'first',
    })
  })

  test('when all have failed: the client is told what the last one said', async () => {
    tell({ status: 500 })
    second.next({ status: 503, retryAfterSeconds: 7 })
    const reply = await ask('/group')
    expect(reply).toMatchObject({ status: 503, headers: { 'retry-after': '7' } })
    expect(await recordOf(gateway, reply)).toMatchObject({
      backend: 'second',
      error_type: 'provider_overloaded',
      'retry.attempt': 1,
    })
  })

  test('without a policy or a group', async () => {
    tell({ status: 500 })
    const reply = await ask('')
    expect(reply.status).toBe(500)
    expect((await recordOf(gateway, reply))['retry.attempt']).toBeUndefined()
  })
})

describe('the same one is asked again', () => {
  test.each(FAULTS)('after %s', async (_, script) => {
    tell(script, script)
    const reply = await ask('/retry')
    expect(reply.status).toBe(200)
    expect(await recordOf(gateway, reply)).toMatchObject({ outcome: 'completed', 'retry.attempt': 2 })
  })

  test('after it did not answer in time', async () => {
    tell({ fault: 'never' })
    const reply = await ask('/retry')
    expect(reply.status).toBe(200)
    expect(await recordOf(gateway, reply)).toMatchObject({ 'retry.attempt': 1 })
  })

  test('and it is told that', async () => {
    tell({ status: 500 })
    await ask('/retry')
    expect(first.calls.at(-1)).toMatchObject({ status: 200 })
    expect(await gateway.metric('agentgateway_retries_total')).toBeGreaterThan(0)
  })

  test('no more often than is written', async () => {
    tell({ status: 500 }, { status: 502 }, { status: 503 })
    const reply = await ask('/retry')
    expect(reply.status).toBe(503)
    expect(await recordOf(gateway, reply)).toMatchObject({ 'retry.attempt': 2 })
  })

  test('not when it asks to be left alone for an hour', async () => {
    tell({ status: 429, retryAfterSeconds: 3600 })
    const reply = await ask('/retry')
    expect(reply).toMatchObject({ status: 429, headers: { 'retry-after': '3600' } })
  })

  test('not longer than the request may take', async () => {
    tell({ status: 500 }, { fault: 'never' })
    const reply = await ask('/impatient')
    expect(reply.status).toBe(504)
    expect(await recordOf(gateway, reply)).toMatchObject({
      outcome: 'timeout',
      error_type: 'gateway_timeout',
      'retry.attempt': 1,
    })
  })

  test.each([
    ['/short', 429],
    ['/brief', 503],
  ])(
    'at %s not when it would be too late after a %d: the client is told so at once',
    async (place, status) => {
      tell({ status, retryAfterSeconds: 22 })
      const reply = await ask(place)
      expect(reply).toMatchObject({ status, headers: { 'retry-after': '22' } })
      expect((await recordOf(gateway, reply))['retry.attempt']).toBeUndefined()
    },
  )

  test('not for a client that has left', async () => {
    tell({ status: 500 })
    const leaving = new AbortController()
    const asked = send(`${gateway.url}/patient${CHAT}`, {
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(chatBody()),
      signal: leaving.signal,
    })
    await first.waitFor((calls) => calls.length === 1)
    leaving.abort()
    await expect(asked).rejects.toThrow()
    const [record] = await gateway.recorded(1)
    expect([record?.outcome, record?.['retry.attempt']]).toEqual(['client_abort', undefined])
    expect(first.calls).toHaveLength(1)
  })

  test('through a plain route, with a small body', async () => {
    tell({ status: 503 }, { fault: 'reset' })
    const reply = await ask('/plain')
    expect(reply.status).toBe(200)
    expect(textOf(reply)).not.toBe('')
    expect(await recordOf(gateway, reply)).toMatchObject({ 'retry.attempt': 2 })
  })

  test('through a plain route not with a large one: it is not kept', async () => {
    tell({ status: 503 })
    const reply = await sendJson(
      `${gateway.url}/plain${CHAT}`,
      chatBody({ text: 'x'.repeat(70_000) }),
      headers,
    )
    expect(reply.status).toBe(503)
  })
})

describe('an upstream that has as much to do as it may have', () => {
  test('so many are asked at a time, so many wait, and the others are told at once', async () => {
    const release = first.hold()
    const served = [ask('/narrow'), ask('/narrow', true)]
    await first.waitFor(() => first.inFlight === 2)
    served.push(ask('/narrow'))
    await expect.poll(() => gateway.metric('agentgateway_requests_in_flight')).toBe(3)
    const shed = await ask('/narrow')
    expect(shed.status).toBe(503)
    expect(JSON.parse(shed.body)).toMatchObject({ error: { code: 'overloaded' } })
    expect(first.inFlight).toBe(2)
    expect(await recordOf(gateway, shed)).toMatchObject({
      outcome: 'shed',
      error_type: 'gateway_overloaded',
    })
    release()
    expect((await Promise.all(served)).map(({ status }) => status)).toEqual([200, 200, 200])
    expect((await ask('/narrow')).status).toBe(200)
  })

  test('another of the group is asked instead, and nobody is evicted for it', async () => {
    const release = first.hold()
    const served = ask('/overflow')
    await first.waitFor(() => first.inFlight === 1)
    for (let time = 0; time < 4; time += 1) {
      expect(await recordOf(gateway, await ask('/overflow'))).toMatchObject({
        'http.status': 200,
        backend: 'second',
      })
    }
    release()
    expect((await served).status).toBe(200)
    expect(await gateway.metric('agentgateway_backend_evictions_total')).toBe(0)
    expect(await recordOf(gateway, await ask('/overflow'))).toMatchObject({ backend: 'first' })
  })
})
