/** Where a request goes, with which headers, in which format. What becomes of its body: `plan-body.test.ts`. */
import { describe, expect, test } from 'vitest'
import { type BackendChange, backendOf, requestOf } from './plan.fixture.ts'
import { clientFormatOf, planLlm } from './plan.ts'
import type { ProviderConfig } from './schema.ts'

const chat = { model: 'm', messages: [{ role: 'user', content: 'hello' }] }
const embeddings = { model: 'm', input: 'hello' }
const custom = (
  ...types: ('completions' | 'messages' | 'responses' | 'anthropicTokenCount')[]
): ProviderConfig => ({
  custom: { formats: types.map((type) => ({ type })) },
})

const bodyFor = (path: string) => {
  if (path.endsWith('/embeddings')) return embeddings
  if (path.endsWith('/responses')) return { model: 'm', input: 'hello' }
  return { ...chat, max_tokens: 10 }
}

describe('the path', () => {
  test.each<{ name: string; backend: BackendChange; from: string; to: string }>([
    { name: "is the provider's own", backend: {}, from: '/v1/chat/completions', to: '/v1/chat/completions' },
    {
      name: "is the provider's own, whatever the client's",
      backend: {},
      from: '/team/v1/responses',
      to: '/v1/responses',
    },
    {
      name: "is the provider's own after a translation",
      backend: { provider: { anthropic: {} } },
      from: '/v1/chat/completions',
      to: '/v1/messages',
    },
    {
      name: 'stays behind a host override',
      backend: { hostOverridden: true },
      from: '/team/v1/embeddings',
      to: '/team/v1/embeddings',
    },
    {
      name: 'is that of the translated body behind a host override',
      backend: { hostOverridden: true, provider: { anthropic: {} } },
      from: '/v1/chat/completions',
      to: '/v1/messages',
    },
    {
      name: 'is that of the API at a custom provider',
      backend: { hostOverridden: true, provider: custom('completions') },
      from: '/team/v1/chat/completions',
      to: '/v1/chat/completions',
    },
    {
      name: 'is the one that a custom provider has for the format',
      backend: {
        hostOverridden: true,
        provider: { custom: { formats: [{ type: 'completions', path: '/api/chat' }] } },
      },
      from: '/v1/chat/completions',
      to: '/api/chat',
    },
    {
      name: 'has the prefix instead of /v1',
      backend: { pathPrefix: '/proxy/v2' },
      from: '/v1/chat/completions',
      to: '/proxy/v2/chat/completions',
    },
    {
      name: 'takes a prefix with a slash at its end',
      backend: { pathPrefix: '/proxy/' },
      from: '/v1/chat/completions',
      to: '/proxy/chat/completions',
    },
    {
      name: 'has the prefix behind a host override, too',
      backend: { pathPrefix: '/api', hostOverridden: true },
      from: '/v1/chat/completions',
      to: '/api/chat/completions',
    },
    {
      name: 'is the override, last word',
      backend: { pathPrefix: '/api', pathOverride: '/exact', hostOverridden: true },
      from: '/v1/chat/completions',
      to: '/exact',
    },
    {
      name: 'is that of token counting',
      backend: { provider: { anthropic: {} } },
      from: '/v1/messages/count_tokens',
      to: '/v1/messages/count_tokens',
    },
    { name: 'stays in passthrough', backend: {}, from: '/v1/files/x', to: '/v1/files/x' },
    {
      name: 'has its base exchanged in passthrough',
      backend: { pathPrefix: '/api' },
      from: '/v1/files/x',
      to: '/api/files/x',
    },
    {
      name: 'gets the prefix in passthrough when it has no base',
      backend: { pathPrefix: '/api' },
      from: '/v10/files',
      to: '/api/v10/files',
    },
    {
      name: 'is the override in passthrough, too',
      backend: { pathOverride: '/exact' },
      from: '/v1/files/x',
      to: '/exact',
    },
  ])('it $name', ({ backend, from, to }) => {
    expect(planLlm(backendOf(backend), requestOf(from, bodyFor(from))).path).toBe(to)
    const query = 'api-version=1&a=%20'
    expect(planLlm(backendOf(backend), requestOf(from, bodyFor(from), { query })).path).toBe(`${to}?${query}`)
  })

  test.each<{ name: string; backend: BackendChange; to: string }>([
    { name: "is the provider's own", backend: {}, to: '/v1/models' },
    { name: 'stays behind a host override', backend: { hostOverridden: true }, to: '/team/v1/models' },
    { name: 'has the prefix', backend: { pathPrefix: '/api' }, to: '/api/models' },
  ])('it $name for the list of models', ({ backend, to }) => {
    const plan = planLlm(backendOf(backend), requestOf('/team/v1/models', undefined, { method: 'GET' }))
    expect(plan).toMatchObject({
      path: to,
      body: null,
      way: { kind: 'raw' },
      facts: { operation: 'list_models' },
    })
  })
})

describe('the headers', () => {
  const sent = {
    'content-type': 'application/json',
    'content-length': '99',
    'content-encoding': 'gzip',
    'accept-encoding': 'br',
    expect: '100-continue',
    authorization: 'Bearer sk-me',
    'x-team': ['a', 'b'],
  }

  test('it keeps what is for the provider, and asks for a plain answer', () => {
    const request = requestOf('/v1/chat/completions', chat, { headers: sent })
    expect(planLlm(backendOf(), request).headers).toEqual({
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      authorization: 'Bearer sk-me',
      'x-team': ['a', 'b'],
    })
    expect(request.headers).toEqual(sent)
  })

  test('it presents the configured credential as the provider wants it', () => {
    const credential = { header: 'authorization', value: 'Bearer sk-own', key: 'sk-own', explicit: false }
    const backend = backendOf({ provider: { anthropic: {} }, credential })
    const { headers } = planLlm(backend, requestOf('/v1/chat/completions', chat, { headers: sent }))
    expect(headers).toMatchObject({ 'x-api-key': 'sk-own', 'anthropic-version': '2023-06-01' })
    expect(headers).not.toHaveProperty('authorization')
  })

  test('it names the type of a translated body', () => {
    const request = requestOf('/v1/chat/completions', chat, { headers: { 'content-type': 'text/plain' } })
    const { headers } = planLlm(backendOf({ provider: { anthropic: {} } }), request)
    expect(headers['content-type']).toBe('application/json')
  })
})

describe('the format', () => {
  test.each([
    { client: '/v1/chat/completions', provider: custom('messages', 'completions'), asked: 'completions' },
    { client: '/v1/chat/completions', provider: custom('responses', 'messages'), asked: 'messages' },
    { client: '/v1/messages', provider: custom('completions', 'responses', 'messages'), asked: 'messages' },
    { client: '/v1/messages', provider: custom('responses', 'completions'), asked: 'completions' },
    { client: '/v1/messages', provider: custom('responses'), asked: 'responses' },
    { client: '/v1/responses', provider: custom('completions', 'responses'), asked: 'responses' },
    { client: '/v1/responses', provider: custom('messages', 'completions'), asked: 'completions' },
    { client: '/v1/responses', provider: custom('messages'), asked: 'messages' },
  ])('it asks for $asked when the client of $client meets $provider', ({ client, provider, asked }) => {
    const { facts, way } = planLlm(backendOf({ provider }), requestOf(client, bodyFor(client)))
    expect(facts.providerFormat).toBe(asked)
    expect(way.kind).toBe(facts.clientFormat === asked ? 'same' : 'translate')
  })

  test.each([
    { client: '/v1/embeddings', provider: { anthropic: {} } },
    { client: '/v1/embeddings', provider: custom('completions') },
    { client: '/v1/chat/completions', provider: custom('responses') },
  ])('it refuses what cannot be said: $client at $provider', ({ client, provider }) => {
    expect(() => planLlm(backendOf({ provider }), requestOf(client, bodyFor(client)))).toThrow(
      expect.objectContaining({ code: 'unsupported_conversion', status: 400 }),
    )
  })

  test.each([
    { path: '/v1/messages', format: 'messages' },
    { path: '/v1/messages/count_tokens', format: 'messages' },
    { path: '/v1/responses', format: 'responses' },
    { path: '/v1/embeddings', format: 'embeddings' },
    { path: '/v1/models', format: 'completions' },
    { path: '/other/v1/messages', format: 'messages' },
    { path: '/v1/files', format: 'completions' },
  ])('it tells errors on $path as $format', ({ path, format }) => {
    expect(clientFormatOf(backendOf(), { path, headers: {} })).toBe(format)
  })
})

describe('the method', () => {
  test.each([
    { method: 'GET', path: '/v1/chat/completions', use: 'POST' },
    { method: 'PUT', path: '/v1/messages', use: 'POST' },
    { method: 'GET', path: '/v1/messages/count_tokens', use: 'POST' },
    { method: 'POST', path: '/v1/models', use: 'GET' },
  ])('it refuses $method on $path', ({ method, path, use }) => {
    expect(() => planLlm(backendOf(), requestOf(path, chat, { method }))).toThrow(
      expect.objectContaining({ code: 'method_not_allowed', message: expect.stringContaining(`use ${use}`) }),
    )
  })

  test.each(['GET', 'DELETE', 'PATCH'])('it lets %s pass where nothing is read', (method) => {
    expect(planLlm(backendOf(), requestOf('/v1/files', undefined, { method })).body).toBeNull()
  })
})
