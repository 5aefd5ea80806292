import { describe, expect, test } from 'vitest'
import { compile, type ForwardingBackend, type ModelBackend } from './compile.ts'
import { loadConfig } from './config/load.ts'
import type { GatewayError } from './core/errors.ts'

type Json = Readonly<Record<string, unknown>>

function compiled(llm: Json): ModelBackend {
  const loaded = loadConfig({ text: JSON.stringify({ llm }), file: 'test.yaml', environment: {} })
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  const snapshot = compile(loaded.config, (path) => `content of ${path}`)
  const head = { method: 'POST', hostname: 'a.test', path: '/v1/messages', query: '', headers: {} }
  const [backend] = snapshot.binds[0]?.listeners[0]?.match(head)?.target.backends ?? []
  if (backend === undefined || !('models' in backend) || backend.models === undefined)
    throw new Error('no models')
  return backend
}

function asked(llm: Json, model: string, { at = 0, body = {} }: { at?: number; body?: Json } = {}) {
  const variables = () => ({ request: { headers: {} }, llmRequest: body })
  return compiled(llm).models.find(model)?.({ random: () => at, variables })
}

function only(llm: Json, model: string): ForwardingBackend {
  const [backend, ...others] = asked(llm, model)?.flat() ?? []
  if (backend === undefined || others.length > 0) throw new Error('expected one upstream')
  return backend
}

const shown = (tiers: readonly (readonly ForwardingBackend[])[] | undefined) =>
  tiers?.map((tier) => tier.map(({ name }) => name))

describe('a model', () => {
  test.each([
    { model: 'a', backend: 'a', sent: 'a' },
    { model: 'renamed', backend: 'renamed', sent: 'gpt-4o' },
    { model: 'claude-haiku-4-5', backend: 'claude-*', sent: undefined },
    { model: 'claude-3-opus', backend: 'claude-3-*', sent: undefined },
    { model: 'other', backend: '*', sent: 'rest' },
    { model: 'hidden', backend: '*', sent: 'rest' },
  ])('$model: $backend', ({ model, backend, sent }) => {
    const models = [
      { name: '*', provider: 'openAI', params: { model: 'rest' } },
      { name: 'a', provider: 'openAI' },
      { name: 'renamed', provider: 'openAI', params: { model: 'gpt-4o' } },
      { name: 'claude-*', provider: 'anthropic' },
      { name: 'claude-3-*', provider: 'anthropic' },
      { name: 'hidden', provider: 'openAI', visibility: 'internal' },
    ]
    expect(only({ models }, model)).toMatchObject({ name: backend, llm: { pinnedModel: sent } })
  })

  test('nothing fits', () => {
    expect(asked({ models: [{ name: 'gpt-*', provider: 'openAI' }] }, 'constructor')).toBeUndefined()
  })

  test.each([
    { provider: 'openAI', to: { host: 'api.openai.com', port: 443, tls: {} } },
    { provider: 'openai', to: { host: 'api.openai.com', port: 443, tls: {} } },
    { provider: 'anthropic', to: { host: 'api.anthropic.com', port: 443, tls: {} } },
    { provider: 'groq', prefix: '/openai/v1', to: { host: 'api.groq.com', port: 443, tls: {} } },
    { provider: 'ollama', prefix: '/v1', to: { host: 'localhost', port: 11434, tls: undefined } },
    {
      provider: { custom: { formats: [{ type: 'messages' }] } },
      baseUrl: 'https://h.test:8443/a/b',
      prefix: '/a/b',
      to: { host: 'h.test', port: 8443, tls: {} },
    },
    {
      provider: 'openAI',
      baseUrl: 'http://[::1]',
      prefix: '/v1',
      to: { host: '::1', port: 80, tls: undefined },
    },
  ])('$provider $baseUrl', ({ provider, baseUrl, prefix, to }) => {
    const models = [{ name: 'a', provider, ...(baseUrl && { params: { baseUrl } }) }]
    expect(only({ models }, 'a')).toMatchObject({ target: to, llm: { pathPrefix: prefix } })
  })

  test("has its provider's settings, but for those of its own", () => {
    const backend = only(
      {
        providers: [
          {
            name: 'main',
            provider: 'openAI',
            params: { apiKey: { file: 'key.txt' }, baseUrl: 'http://h.test/v2' },
            defaults: {
              defaults: { temperature: 0 },
              overrides: { user: 'u' },
              requestHeaders: { set: { a: 'b' } },
            },
          },
        ],
        models: [
          { name: 'a', provider: { reference: 'main' }, params: { model: 'b' }, defaults: { top_p: 1 } },
        ],
      },
      'a',
    )
    expect(backend).toMatchObject({
      name: 'a',
      authority: 'h.test',
      policies: [expect.anything()],
      llm: {
        pinnedModel: 'b',
        pathPrefix: '/v2',
        defaults: { top_p: 1 },
        overrides: { user: 'u' },
        credential: { header: 'authorization', value: 'Bearer content of key.txt' },
      },
    })
  })

  test("is guarded by the section's guards, then by its own", () => {
    const guard = (pattern: string) => ({ request: [{ regex: { rules: [{ pattern }] } }] })
    const { llm } = only(
      {
        policies: { guardrails: guard('a') },
        models: [{ name: 'a', provider: 'openAI', guardrails: guard('b') }],
      },
      'a',
    )
    expect(llm?.guard?.request).toHaveLength(2)
  })
})

describe('a virtual model', () => {
  const models = [
    { name: 'a', provider: 'openAI' },
    { name: 'b', provider: 'openAI', visibility: 'internal' },
    { name: 'claude-*', provider: 'anthropic' },
  ]
  const virtual = (name: string, routing: Json) => ({ name, routing })
  const weighted = virtual('weighted', {
    weighted: { targets: [{ model: 'a', weight: 3 }, { model: 'b' }, { model: 'claude-x', weight: 0 }] },
  })
  const failover = virtual('failover', {
    failover: {
      targets: [
        { model: 'claude-x', priority: 7 },
        { model: 'a', priority: 0 },
        { model: 'b', priority: 0 },
      ],
    },
  })
  const conditional = virtual('conditional', {
    conditional: {
      targets: [
        { when: 'llmRequest.max_tokens > 1000', model: 'a' },
        { when: 'llmRequest.stream', model: 'b' },
      ],
    },
  })
  const nested = virtual('nested', {
    failover: {
      targets: [
        { model: 'failover', priority: 0 },
        { model: 'weighted', priority: 0 },
        { model: 'a', priority: 1 },
      ],
    },
  })
  const llm = { models, virtualModels: [weighted, failover, conditional, nested] }

  test.each([
    { model: 'weighted', at: 0, tiers: [['a']] },
    { model: 'weighted', at: 0.74, tiers: [['a']] },
    { model: 'weighted', at: 0.75, tiers: [['b']] },
    { model: 'weighted', at: 0.999, tiers: [['b']] },
    { model: 'failover', tiers: [['a', 'b'], ['claude-x']] },
    { model: 'conditional', body: { max_tokens: 2000, stream: true }, tiers: [['a']] },
    { model: 'conditional', body: { max_tokens: 20, stream: true }, tiers: [['b']] },
    { model: 'conditional', body: { stream: true }, tiers: [['b']] },
    { model: 'nested', at: 0.8, tiers: [['a', 'b', 'b'], ['claude-x'], ['a']] },
  ])('$model at $at with $body: $tiers', ({ model, at = 0, body = {}, tiers }) => {
    expect(shown(asked(llm, model, { at, body }))).toEqual(tiers)
  })

  test('says so when no condition holds', () => {
    expect(() => asked(llm, 'conditional')).toThrow(
      expect.objectContaining<Partial<GatewayError>>({ code: 'virtual_model_no_matching_target' }),
    )
  })

  test("asks for its target's name, and watches how those fare that have an alternative", () => {
    const named = asked(llm, 'failover')?.flat() ?? []
    expect(named.map((one) => [one.llm?.pinnedModel, one.health !== undefined])).toEqual([
      ['a', true],
      ['b', true],
      ['claude-x', true],
    ])
    expect(asked(llm, 'weighted')?.[0]?.[0]?.health).toBeUndefined()
  })
})
