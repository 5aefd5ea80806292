/**
 * What the demo sends: a fixed list of requests that together show each thing that the gateway tells about.
 *
 * The requests go to the gateway's own routes; how the simulated providers answer rides along in `x-simulate`.
 */
import type { Script } from './script.ts'

/** How a request is expected to end, as its client sees it. */
export type Ending =
  /** Status 200 and the whole body. */
  | 'answer'
  /** A status of 400 or above. */
  | 'error'
  /** The client leaves in the middle of the stream. */
  | 'abort'
  /** Status 200, then the connection breaks or an error event comes. */
  | 'broken'

export interface Planned {
  readonly name: string
  readonly method: 'GET' | 'POST'
  /** Path on the gateway. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Undefined for GET. */
  readonly body: object | undefined
  readonly script: Script
  readonly expected: { readonly ending: Ending; readonly status: number }
}

const PATHS = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  embeddings: '/v1/embeddings',
  messages: '/v1/messages',
  count: '/v1/messages/count_tokens',
  /** The chat format, served by Anthropic. */
  chatByAnthropic: '/anthropic/v1/chat/completions',
  /** The messages format, served by OpenAI. */
  messagesByOpenAI: '/openai/v1/messages',
  mcp: '/mcp',
} as const

type Route = Exclude<keyof typeof PATHS, 'mcp'>

const QUESTIONS = [
  'How do tides work?',
  'Write a haiku about observability.',
  'Why is the sky blue?',
  'Name three rivers in France.',
  'What does a gateway do?',
]

const WEATHER_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
  required: ['city'],
} as const
const CHAT_TOOL = {
  type: 'function',
  function: { name: 'get_weather', description: 'The weather of a city', parameters: WEATHER_SCHEMA },
} as const
const MESSAGES_TOOL = {
  name: 'get_weather',
  description: 'The weather of a city',
  input_schema: WEATHER_SCHEMA,
} as const

const MODELS: Readonly<Record<Route, string>> = {
  chat: 'gpt-4o-mini',
  responses: 'gpt-4.1-mini',
  embeddings: 'text-embedding-3-small',
  messages: 'claude-haiku-4-5',
  count: 'claude-haiku-4-5',
  chatByAnthropic: 'claude-haiku-4-5',
  messagesByOpenAI: 'gpt-4o-mini',
}

const OK = { ending: 'answer', status: 200 } as const
const SPEAKS_MESSAGES = new Set<Route>(['messages', 'count', 'messagesByOpenAI'])

interface Wish {
  readonly text?: string
  readonly model?: string
  readonly stream?: boolean
  /** Further fields of the body. */
  readonly more?: object
  readonly script?: Script
  readonly expected?: Planned['expected']
}

function plan(name: string, route: Route, wish: Wish = {}): Planned {
  const text = wish.text ?? QUESTIONS[name.length % QUESTIONS.length]
  const messages = [{ role: 'user', content: text }]
  const own: Partial<Record<Route, object>> = {
    responses: { input: text },
    embeddings: { input: text },
    count: { messages },
    messages: { messages, max_tokens: 2048 },
    messagesByOpenAI: { messages, max_tokens: 2048 },
  }
  return {
    name,
    method: 'POST',
    path: PATHS[route],
    headers: SPEAKS_MESSAGES.has(route)
      ? { 'x-api-key': 'demo', 'anthropic-version': '2023-06-01' }
      : { authorization: 'Bearer demo' },
    body: {
      model: wish.model ?? MODELS[route],
      ...(own[route] ?? { messages }),
      ...(wish.stream === true && { stream: true }),
      ...wish.more,
    },
    script: wish.script ?? {},
    expected: wish.expected ?? OK,
  }
}

/** A request of MCP's revision without sessions: each stands by itself. */
function planMcp(
  name: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  expected: Planned['expected'] = OK,
): Planned {
  const subject = params.name ?? params.uri
  return {
    name,
    method: 'POST',
    path: PATHS.mcp,
    headers: {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': MCP_VERSION,
      'mcp-method': method,
      ...(typeof subject === 'string' && { 'mcp-name': subject }),
    },
    body: {
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': MCP_VERSION,
          'io.modelcontextprotocol/clientInfo': { name: 'agentgateway-demo', version: '1.0.0' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    },
    script: {},
    expected,
  }
}

const MCP_VERSION = '2026-07-28'
const paris = { city: 'Paris' }

const stream = true
const withUsage = { stream_options: { include_usage: true } }
/** Like a model that speaks, only faster: half a second or so for an answer. */
const PACE: Script = { firstDelayMs: 100, chunkDelayMs: 6 }
const error = (status: number): Wish => ({ script: { status }, expected: { ending: 'error', status } })
/** The answer pauses where its client leaves, so that both have seen the same part of it. */
const LEFT: Script = { chunks: 12, chunkDelayMs: 20, fault: 'stall', afterChunks: 6 }
const ABORT = { ending: 'abort', status: 200 } as const
const BROKEN = { ending: 'broken', status: 200 } as const
const chatTools = { more: { tools: [CHAT_TOOL] }, text: 'What is the weather in Paris?' }
const messagesTools = { more: { tools: [MESSAGES_TOOL] }, text: 'What is the weather in Paris?' }

/** About fifty requests, in this order. */
export const MIX: readonly Planned[] = [
  plan('chat', 'chat'),
  plan('chat, another model', 'chat', { model: 'gpt-4.1' }),
  plan('chat stream', 'chat', { stream, script: PACE }),
  plan('chat stream with usage', 'chat', { stream, more: withUsage, script: PACE }),
  plan('chat with a tool', 'chat', chatTools),
  plan('chat stream with a tool', 'chat', { ...chatTools, stream }),
  plan('chat with two tool calls', 'chat', { ...chatTools, text: 'The weather in both Paris and Rome?' }),
  plan('chat with reasoning', 'chat', { model: 'gpt-5-mini', more: { reasoning_effort: 'medium' } }),
  plan('chat stream with reasoning', 'chat', {
    model: 'o4-mini',
    stream,
    more: { reasoning_effort: 'low' },
    script: PACE,
  }),
  plan('chat with cached tokens', 'chat', { script: { inputTokens: 3000, cacheReadTokens: 2816 } }),
  plan('chat cut at its limit', 'chat', { more: { max_tokens: 8 } }),
  plan('chat answered as JSON', 'chat', {
    more: {
      response_format: { type: 'json_schema', json_schema: { name: 'weather', schema: WEATHER_SCHEMA } },
    },
  }),
  plan('chat, slow', 'chat', { script: { firstDelayMs: 400 } }),
  plan('messages', 'messages'),
  plan('messages, another model', 'messages', { model: 'claude-sonnet-5-5' }),
  plan('messages stream', 'messages', { stream, script: PACE }),
  plan('messages with a tool', 'messages', messagesTools),
  plan('messages stream with a tool', 'messages', { ...messagesTools, stream }),
  plan('messages with thinking', 'messages', {
    more: { thinking: { type: 'enabled', budget_tokens: 1024 } },
  }),
  plan('messages stream with thinking', 'messages', {
    stream,
    more: { thinking: { type: 'enabled', budget_tokens: 1024 } },
    script: PACE,
  }),
  plan('messages from the cache', 'messages', {
    script: { inputTokens: 4000, cacheReadTokens: 3600, cacheWriteTokens: 300 },
  }),
  plan('count tokens', 'count'),
  plan('responses', 'responses'),
  plan('responses stream', 'responses', { stream, script: PACE }),
  plan('embeddings', 'embeddings'),
  plan('embeddings of several texts', 'embeddings', { more: { input: [...QUESTIONS], dimensions: 256 } }),
  {
    name: 'models',
    method: 'GET',
    path: '/v1/models',
    headers: { authorization: 'Bearer demo' },
    body: undefined,
    script: {},
    expected: OK,
  },
  plan('chat by Anthropic', 'chatByAnthropic'),
  plan('chat stream by Anthropic', 'chatByAnthropic', { stream, more: withUsage, script: PACE }),
  plan('chat with a tool by Anthropic', 'chatByAnthropic', chatTools),
  plan('messages by OpenAI', 'messagesByOpenAI'),
  plan('messages stream by OpenAI', 'messagesByOpenAI', { stream, script: PACE }),
  plan('messages with a tool by OpenAI', 'messagesByOpenAI', messagesTools),
  planMcp('MCP: what is there', 'server/discover'),
  planMcp('MCP: list of tools', 'tools/list'),
  planMcp('MCP: list of resources', 'resources/list'),
  planMcp('MCP: weather', 'tools/call', { name: 'weather_forecast', arguments: paris }),
  planMcp('MCP: weather of the last years, slow', 'tools/call', {
    name: 'weather_history',
    arguments: paris,
  }),
  planMcp('MCP: search', 'tools/call', { name: 'notes_search', arguments: { word: 'tides' } }),
  planMcp('MCP: a note', 'resources/read', { uri: 'notes+memo://tides' }),
  planMcp('MCP: a prompt', 'prompts/get', { name: 'notes_summary' }),
  planMcp('MCP: a tool that fails', 'tools/call', { name: 'weather_alerts', arguments: paris }),
  planMcp(
    'MCP: a tool that is not there',
    'tools/call',
    { name: 'tide_times', arguments: paris },
    {
      ending: 'error',
      status: 400,
    },
  ),
  plan('chat, refused', 'chat', { more: { temperature: 9 }, expected: { ending: 'error', status: 400 } }),
  plan('chat, wrong key', 'chat', error(401)),
  plan('chat, limited', 'chat', error(429)),
  plan('chat, failed', 'chat', error(500)),
  plan('messages, overloaded', 'messages', error(529)),
  plan('chat stream, left', 'chat', { stream, script: LEFT, expected: ABORT }),
  plan('messages stream, left', 'messages', { stream, script: LEFT, expected: ABORT }),
  plan('chat stream, reset', 'chat', {
    stream,
    script: { chunks: 12, chunkDelayMs: 20, fault: 'reset', afterChunks: 6 },
    expected: BROKEN,
  }),
  plan('messages stream, failed midway', 'messages', {
    stream,
    script: { chunks: 12, chunkDelayMs: 20, fault: 'midstream-error', afterChunks: 6 },
    expected: BROKEN,
  }),
]

/** How often a kind of request comes where the mix goes on without end: mostly answers, few failures. */
export const WEIGHTS: Readonly<Record<Ending, number>> = { answer: 12, error: 2, abort: 2, broken: 1 }
