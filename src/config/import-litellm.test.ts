import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { importLiteLlm } from './import-litellm.ts'
import { loadConfig } from './load.ts'

const environment = { OPENAI_API_KEY: 'sk-1', MASTER: 'sk-2', BASE: 'http://h.test/v1' }
const imported = (text: string) => importLiteLlm(parse(text))

const EXAMPLE = `
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, temperature: 0.2, rpm: 100}
    model_info: {mode: chat}
  - model_name: gpt-4o
    litellm_params: {model: gpt-4o-2024-11-20, api_key: os.environ/OPENAI_API_KEY, api_base: os.environ/BASE}
  - model_name: claude-*
    litellm_params: {model: anthropic/claude-*, api_key: a$b}
  - model_name: sonnet
    litellm_params: {model: anthropic/claude-sonnet-4-6}
  - model_name: llama
    litellm_params: {model: ollama_chat/llama3, api_base: "http://localhost:11434"}
  - model_name: cloud
    litellm_params: {model: bedrock/nova}
  - model_name: openai/*
    litellm_params: {model: openai/*}
router_settings:
  fallbacks: [{gpt-4o: [sonnet, nobody]}, {sonnet: [gpt-4o]}]
  routing_strategy: least-busy
general_settings: {master_key: os.environ/MASTER, database_url: x}
environment_variables: {A: b}
`

describe("LiteLLM's configuration", () => {
  test('becomes models, virtual ones where a name stands for several', () => {
    const { config } = imported(EXAMPLE)
    const first = { provider: 'openAI', visibility: 'internal' }
    expect(config).toEqual({
      llm: {
        models: [
          {
            ...first,
            name: 'gpt-4o-1',
            params: { model: 'gpt-4o', apiKey: '$OPENAI_API_KEY' },
            defaults: { temperature: 0.2 },
          },
          {
            ...first,
            name: 'gpt-4o-2',
            params: { model: 'gpt-4o-2024-11-20', apiKey: '$OPENAI_API_KEY', baseUrl: '$BASE' },
          },
          { name: 'claude-*', provider: 'anthropic', params: { apiKey: 'a$$b' } },
          {
            name: 'sonnet-1',
            provider: 'anthropic',
            params: { model: 'claude-sonnet-4-6' },
            visibility: 'internal',
          },
          {
            name: 'llama',
            provider: 'ollama',
            params: { model: 'llama3', baseUrl: 'http://localhost:11434' },
          },
        ],
        virtualModels: [
          {
            name: 'gpt-4o',
            routing: {
              failover: {
                targets: [
                  { model: 'gpt-4o-1', priority: 0 },
                  { model: 'gpt-4o-2', priority: 0 },
                  { model: 'sonnet-1', priority: 1 },
                ],
              },
            },
          },
          {
            name: 'sonnet',
            routing: {
              failover: {
                targets: [
                  { model: 'sonnet-1', priority: 0 },
                  { model: 'gpt-4o-1', priority: 1 },
                  { model: 'gpt-4o-2', priority: 1 },
                ],
              },
            },
          },
        ],
        policies: { apiKey: { keys: [{ key: '$MASTER' }] } },
      },
    })
    expect(loadConfig({ text: stringify(config), file: 'out', environment })).toMatchObject({ ok: true })
  })

  test('and what is not carried over is told, one by one', () => {
    expect(imported(EXAMPLE).left).toEqual([
      'model_list[0].litellm_params.rpm: it has no counterpart here',
      'model_list[0].model_info: it has no counterpart here',
      'model_list[5].litellm_params.model: no provider here is asked as `bedrock/nova`: the model is left out',
      "model_list[6].litellm_params.model: a pattern sends the client's name as it is, not as `*`: the model is left out",
      'router_settings.routing_strategy: it has no counterpart here',
      'general_settings.database_url: it has no counterpart here',
      'environment_variables: it has no counterpart here',
      'fallbacks.gpt-4o: there is no model `nobody`',
    ])
  })

  test.each([
    {
      text: 'model_list: [{model_name: "*", litellm_params: {model: "openai/*"}}]',
      models: [{ name: '*', provider: 'openAI' }],
    },
    {
      text: 'model_list: [{model_name: a, litellm_params: {model: groq/x/y}}, {model_name: a-1, litellm_params: {model: o3}}]\nlitellm_settings: {fallbacks: [{a: [a-1]}]}',
      models: [
        { name: 'a-1-2', provider: 'groq', params: { model: 'x/y' }, visibility: 'internal' },
        { name: 'a-1', provider: 'openAI', params: { model: 'o3' } },
      ],
    },
  ])('$text', ({ text, models }) => {
    expect(imported(text)).toMatchObject({ config: { llm: { models } }, left: [] })
  })
})
