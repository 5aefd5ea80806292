import { expect, test } from 'vitest'
import { DEFAULT_CONFIG } from './default-config.ts'
import { loadConfig } from './load.ts'

const result = loadConfig({ text: DEFAULT_CONFIG, file: 'built in', environment: {} })

test('loads with an empty environment and without warnings', () => {
  expect(result).toMatchObject({ ok: true, warnings: [] })
})

test('needs no collector and holds no credential', () => {
  expect(result).toMatchObject({ config: { binds: [{ port: 3000 }] } })
  expect(result.ok && result.config.config).toBeUndefined()
  expect(JSON.stringify(result)).not.toMatch(/backendAuth|KEY/)
})

test('sends each API to its provider', () => {
  const routes = result.ok ? (result.config.binds?.[0]?.listeners[0]?.routes ?? []) : []
  const summary = routes.map(({ matches, backends }) => ({
    matches,
    provider: Object.keys(backends?.[0]?.ai?.provider ?? {}),
    routes: backends?.[0]?.ai?.policies?.ai?.routes,
  }))
  expect(summary).toEqual([
    {
      matches: [{ path: { pathPrefix: '/v1/messages' } }],
      provider: ['anthropic'],
      routes: {
        '/v1/messages': 'messages',
        '/v1/messages/count_tokens': 'anthropicTokenCount',
        '*': 'passthrough',
      },
    },
    {
      matches: [{ path: { pathPrefix: '/v1' } }],
      provider: ['openAI'],
      routes: {
        '/v1/chat/completions': 'completions',
        '/v1/responses': 'responses',
        '/v1/embeddings': 'embeddings',
        '/v1/models': 'models',
        '*': 'passthrough',
      },
    },
  ])
})
