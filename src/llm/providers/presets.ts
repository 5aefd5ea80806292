/** Servers that speak OpenAI's or Anthropic's API, by the names under which `llm:` knows them. */
import type { ProviderConfig } from '../schema.ts'

type Formats = NonNullable<NonNullable<ProviderConfig['custom']>['formats']>

interface Preset {
  readonly baseUrl: string
  readonly formats: Formats
}

const COMPLETIONS = { type: 'completions' } as const
const MESSAGES = { type: 'messages' } as const
const RESPONSES = { type: 'responses' } as const
const EMBEDDINGS = { type: 'embeddings' } as const

export const PRESETS = {
  baseten: { baseUrl: 'https://inference.baseten.co/v1', formats: [COMPLETIONS, MESSAGES] },
  cerebras: { baseUrl: 'https://api.cerebras.ai/v1', formats: [COMPLETIONS] },
  cohere: { baseUrl: 'https://api.cohere.ai/compatibility/v1', formats: [COMPLETIONS, EMBEDDINGS] },
  deepinfra: { baseUrl: 'https://api.deepinfra.com/v1/openai', formats: [COMPLETIONS, MESSAGES, EMBEDDINGS] },
  deepseek: { baseUrl: 'https://api.deepseek.com/v1', formats: [COMPLETIONS, MESSAGES, RESPONSES] },
  fireworks: {
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    formats: [COMPLETIONS, MESSAGES, RESPONSES, EMBEDDINGS],
  },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', formats: [COMPLETIONS, RESPONSES] },
  huggingface: { baseUrl: 'https://router.huggingface.co/v1', formats: [COMPLETIONS, RESPONSES] },
  mistral: { baseUrl: 'https://api.mistral.ai/v1', formats: [COMPLETIONS, EMBEDDINGS] },
  ollama: { baseUrl: 'http://localhost:11434/v1', formats: [COMPLETIONS, RESPONSES, EMBEDDINGS] },
  openrouter: {
    baseUrl: 'https://openrouter.ai/api/v1',
    formats: [COMPLETIONS, MESSAGES, RESPONSES, EMBEDDINGS],
  },
  togetherai: { baseUrl: 'https://api.together.xyz/v1', formats: [COMPLETIONS, EMBEDDINGS] },
  xai: { baseUrl: 'https://api.x.ai/v1', formats: [COMPLETIONS, RESPONSES] },
} as const satisfies Record<string, Preset>

export type PresetName = keyof typeof PRESETS
export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[]
