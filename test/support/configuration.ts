/** Configurations as objects: JSON is YAML. */
type Json = Readonly<Record<string, unknown>>

/** Something that listens on this machine. */
interface Listening {
  readonly port: number
}

const addressOf = ({ port }: Listening) => `127.0.0.1:${port}`

export const toYaml = (config: Json): string => JSON.stringify(config)

/** One bind on a free port, one listener. */
export const gatewayWith = (routes: readonly Json[], more: Json = {}): string =>
  toYaml({ ...more, binds: [{ port: 0, listeners: [{ routes }] }] })

export const under = (pathPrefix: string) => [{ path: { pathPrefix } }]

/** Every path of both vendors' APIs that the tests use. */
const ROUTES = {
  '/v1/chat/completions': 'completions',
  '/v1/messages': 'messages',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
  '*': 'passthrough',
}

export const openAIBackend = (provider: Listening, policies: Json = {}): Json => ({
  ai: {
    name: 'openai',
    hostOverride: addressOf(provider),
    provider: { openAI: {} },
    policies: { ai: { routes: ROUTES }, ...policies },
  },
})

export const anthropicBackend = (provider: Listening, policies: Json = {}): Json => ({
  ai: {
    name: 'anthropic',
    hostOverride: addressOf(provider),
    provider: { anthropic: {} },
    policies: { ai: { routes: ROUTES }, ...policies },
  },
})

export const hostBackend = (provider: Listening): Json => ({ host: addressOf(provider) })

export interface ChatOptions {
  readonly stream?: boolean
  readonly model?: string
  readonly text?: string
}

export const chatBody = ({
  stream = false,
  model = 'gpt-4o-mini',
  text = 'Hello there!',
}: ChatOptions = {}) => ({
  model,
  ...(stream && { stream }),
  messages: [{ role: 'user', content: text }],
})

export const messagesBody = ({
  stream = false,
  model = 'claude-sonnet-4-5',
  text = 'Hello there!',
}: ChatOptions = {}) => ({
  model,
  max_tokens: 1024,
  ...(stream && { stream }),
  messages: [{ role: 'user', content: text }],
})
