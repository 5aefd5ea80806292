import { describe, expect, test } from 'vitest'
import type { Headers } from '../../core/headers.ts'
import type { ProviderConfig } from '../schema.ts'
import type { Credential } from './provider.ts'
import { providerOf } from './registry.ts'

const bearer = (key: string): Credential => ({
  header: 'authorization',
  value: `Bearer ${key}`,
  key,
  explicit: false,
})
const elsewhere: Credential = { header: 'x-key', value: 'sk-own', key: 'sk-own', explicit: true }

function authorized(config: ProviderConfig, headers: Headers, credential?: Credential): Headers {
  const copy = { ...headers }
  providerOf(config).provider.authorize(copy, credential)
  return copy
}

describe('OpenAI', () => {
  test.each<{ name: string; headers: Headers; credential?: Credential; sent: Headers }>([
    {
      name: "passes the client's own on",
      headers: { authorization: 'Bearer sk-me' },
      sent: { authorization: 'Bearer sk-me' },
    },
    {
      name: 'passes any scheme on',
      headers: { authorization: 'Basic eA==' },
      sent: { authorization: 'Basic eA==' },
    },
    { name: 'sends none where there is none', headers: {}, sent: {} },
    {
      name: 'takes the key of an Anthropic client',
      headers: { 'x-api-key': 'sk-me' },
      sent: { authorization: 'Bearer sk-me' },
    },
    {
      name: 'prefers the authorization where the client sends both',
      headers: { 'x-api-key': 'sk-other', authorization: 'Bearer sk-me' },
      sent: { authorization: 'Bearer sk-me' },
    },
    {
      name: "replaces the client's by the configured one",
      headers: { authorization: 'Bearer sk-me', 'x-api-key': 'sk-me' },
      credential: bearer('sk-own'),
      sent: { authorization: 'Bearer sk-own' },
    },
    {
      name: 'puts the configured one where the configuration says',
      headers: { authorization: 'Bearer sk-me' },
      credential: elsewhere,
      sent: { 'x-key': 'sk-own' },
    },
  ])('it $name', ({ headers, credential, sent }) => {
    expect(authorized({ openAI: {} }, headers, credential)).toEqual(sent)
  })
})

describe('Anthropic', () => {
  const version = { 'anthropic-version': '2023-06-01' }

  test.each<{ name: string; headers: Headers; credential?: Credential; sent: Headers }>([
    { name: 'names its version', headers: {}, sent: version },
    {
      name: 'keeps the version and the betas of the client',
      headers: { 'anthropic-version': '2024-01-01', 'anthropic-beta': 'x' },
      sent: { 'anthropic-version': '2024-01-01', 'anthropic-beta': 'x' },
    },
    {
      name: 'keeps the key of the client',
      headers: { 'x-api-key': 'sk-me' },
      sent: { ...version, 'x-api-key': 'sk-me' },
    },
    {
      name: 'moves a bearer token',
      headers: { authorization: 'Bearer sk-me' },
      sent: { ...version, 'x-api-key': 'sk-me' },
    },
    {
      name: 'moves a bearer token in small letters',
      headers: { authorization: 'bearer sk-me' },
      sent: { ...version, 'x-api-key': 'sk-me' },
    },
    {
      name: 'leaves an OAuth token where it is',
      headers: { authorization: 'Bearer sk-ant-oat01-x' },
      sent: { ...version, authorization: 'Bearer sk-ant-oat01-x' },
    },
    {
      name: 'leaves another scheme where it is',
      headers: { authorization: 'Basic eA==' },
      sent: { ...version, authorization: 'Basic eA==' },
    },
    {
      name: "replaces the client's by the configured one",
      headers: { authorization: 'Bearer sk-me', 'x-api-key': 'sk-me' },
      credential: bearer('sk-own'),
      sent: { ...version, 'x-api-key': 'sk-own' },
    },
    {
      name: "replaces the client's key by a configured OAuth token",
      headers: { 'x-api-key': 'sk-me' },
      credential: bearer('sk-ant-oat01-own'),
      sent: { ...version, authorization: 'Bearer sk-ant-oat01-own' },
    },
    {
      name: 'puts the configured one where the configuration says',
      headers: { authorization: 'Bearer sk-me', 'x-api-key': 'sk-me' },
      credential: { header: 'authorization', value: 'Bearer sk-own', key: 'sk-own', explicit: true },
      sent: { ...version, authorization: 'Bearer sk-own' },
    },
    {
      name: 'does not look like a browser',
      headers: {
        origin: 'https://a.example',
        'sec-fetch-mode': 'cors',
        'sec-fetch-site': 'cross-site',
        'access-control-request-method': 'POST',
        'user-agent': 'x',
      },
      sent: { ...version, 'user-agent': 'x' },
    },
  ])('it $name', ({ headers, credential, sent }) => {
    expect(authorized({ anthropic: {} }, headers, credential)).toEqual(sent)
  })
})

describe('providerOf', () => {
  test.each<{ config: ProviderConfig; name: string; host: string | undefined; pin: string | undefined }>([
    { config: { openAI: {} }, name: 'openai', host: 'api.openai.com', pin: undefined },
    { config: { openAI: { model: 'gpt-4o' } }, name: 'openai', host: 'api.openai.com', pin: 'gpt-4o' },
    {
      config: { anthropic: { model: 'claude' } },
      name: 'anthropic',
      host: 'api.anthropic.com',
      pin: 'claude',
    },
    { config: { custom: {} }, name: 'custom', host: undefined, pin: undefined },
    {
      config: { custom: { model: 'qwen', providerOverride: 'vllm' } },
      name: 'vllm',
      host: undefined,
      pin: 'qwen',
    },
  ])('it knows $config', ({ config, name, host, pin }) => {
    const found = providerOf(config)
    expect(found.pin).toBe(pin)
    expect(found.provider).toMatchObject({ name, host, port: host === undefined ? 80 : 443, basePath: '/v1' })
  })

  test.each<{ name: string; config: NonNullable<ProviderConfig['custom']>; apis: object; paths: object }>([
    {
      name: 'completions, when it says nothing',
      config: {},
      apis: { completions: '/chat/completions' },
      paths: {},
    },
    {
      name: 'what it lists',
      config: { formats: [{ type: 'messages' }, { type: 'anthropicTokenCount' }, { type: 'embeddings' }] },
      apis: {
        messages: '/messages',
        anthropicTokenCount: '/messages/count_tokens',
        embeddings: '/embeddings',
      },
      paths: {},
    },
    {
      name: 'a path of its own',
      config: { formats: [{ type: 'completions', path: '/api/chat' }, { type: 'responses' }] },
      apis: { completions: '/chat/completions', responses: '/responses' },
      paths: { completions: '/api/chat' },
    },
  ])('it lets a custom provider speak $name', ({ config, apis, paths }) => {
    expect(providerOf({ custom: config }).provider).toMatchObject({
      apis: { models: '/models', ...apis },
      paths,
    })
    expect(Object.keys(providerOf({ custom: config }).provider.apis)).toHaveLength(
      Object.keys(apis).length + 1,
    )
  })

  test.each([
    { types: ['messages'] as const, header: 'x-api-key' },
    { types: ['messages', 'anthropicTokenCount'] as const, header: 'x-api-key' },
    { types: ['messages', 'completions'] as const, header: 'authorization' },
    { types: ['completions'] as const, header: 'authorization' },
  ])('it presents the key of a custom provider for $types as $header', ({ types, header }) => {
    const formats = types.map((type) => ({ type }))
    expect(authorized({ custom: { formats } }, {}, bearer('sk-own'))).toHaveProperty(header)
  })
})
