/** Exchanges as the gateway leaves them, for tests: of every kind, made up from a seed so that failures repeat. */
import {
  beginExchange,
  type Exchange,
  type LlmFacts,
  type LlmParameters,
  type McpFacts,
} from '../core/exchange.ts'
import type { Finished } from './types.ts'

/** Numbers from 0 to 1, the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Thirteen digits are what a random number has. */
function hex(random: () => number, digits: number): string {
  let text = ''
  while (text.length < digits)
    text += Math.floor(random() * 2 ** 52)
      .toString(16)
      .padStart(13, '0')
  return text.slice(0, digits)
}

export interface Made {
  readonly completedAt: number
  readonly durationMs?: number
  readonly path?: string
  readonly userAgent?: string
}

/** All that there are. */
export const PARAMETERS: Required<LlmParameters> = {
  temperature: 0.5,
  topP: 0.9,
  topK: 40,
  maxTokens: 500,
  frequencyPenalty: -1,
  presencePenalty: 1,
  seed: 7,
  choiceCount: 2,
  stopSequences: ['stop', 'halt'],
  reasoningLevel: 'high',
  encodingFormat: 'float',
  dimensions: 256,
}

/** A plain one, which took `durationMs` and completed at `completedAt`. */
export function httpExchange(
  { completedAt, durationMs = 12.5, path = '/health', userAgent = 'curl/8.5.0' }: Made,
  random = Math.random,
): Exchange {
  const startedAt = Math.floor(random() * 1e7) / 10
  return {
    ...beginExchange({
      trace: {
        traceId: hex(random, 32),
        spanId: hex(random, 16),
        parentSpanId: undefined,
        sampled: true,
        traceState: undefined,
      },
      clientAddress: '10.1.2.3',
      method: 'POST',
      host: 'gateway.example',
      path,
      query: 'key=hidden',
      httpVersion: '1.1',
      scheme: 'http',
      userAgent,
      bind: 'bind/3000',
    }),
    startedAtEpochMs: completedAt - durationMs,
    startedAt,
    endedAt: startedAt + durationMs,
    headSentAt: startedAt + durationMs / 2,
    listener: 'listener0',
    route: 'default/plain',
    routePattern: '/*',
    backend: 'plain:8080',
    status: 200,
    outcome: 'completed',
    requestBytes: 321,
    responseBytes: 4321,
    requestProcessingMs: 0.25,
    responseProcessingMs: 0.125,
    attempts: [
      {
        spanId: hex(random, 16),
        endpoint: 'plain:8080',
        startedAt: startedAt + 0.25,
        connectMs: 1.5,
        queuedMs: undefined,
        headAt: startedAt + durationMs / 2,
        endedAt: startedAt + durationMs,
        status: 200,
        errorType: undefined,
        errorMessage: undefined,
      },
    ],
  }
}

export function llmExchange(made: Made, facts: Partial<LlmFacts> = {}, random = Math.random): Exchange {
  const exchange = httpExchange(
    { path: '/v1/chat/completions', userAgent: 'OpenAI/Python 1.2', ...made },
    random,
  )
  return {
    ...exchange,
    protocol: 'llm',
    route: 'default/chat',
    routePattern: '/v1/*',
    backend: 'ai.openai',
    user: 'alice',
    key: 'a1b2c3d4',
    chunkDelayCounts: new Uint32Array(11),
    chunkDelaySumMs: 0.5,
    llm: {
      routeType: 'completions',
      operation: 'chat',
      provider: 'openai',
      clientFormat: 'completions',
      providerFormat: 'completions',
      originalModel: 'gpt-4o',
      requestModel: 'gpt-4o',
      modelConfirmed: true,
      responseModel: 'gpt-4o-2024-08-06',
      responseId: `chatcmpl-${hex(random, 24)}`,
      streaming: true,
      parameters: { temperature: 0.5, maxTokens: 500 },
      finishReasons: ['stop'],
      firstTokenAt: exchange.startedAt + (made.durationMs ?? 12.5) / 4,
      usage: {
        inputTokens: 100,
        outputTokens: 50,
        cacheReadTokens: 25,
        cacheWriteTokens: 5,
        reasoningTokens: 10,
      },
      usageSource: 'provider',
      cost: { total: 0.75, input: 0.25, output: 0.5 },
      costStatus: 'Exact',
      guards: [
        { phase: 'request', guard: 'regex', action: 'Mask', waitedMs: undefined },
        { phase: 'response', guard: 'webhook', action: 'FailOpen', waitedMs: 12.5 },
      ],
      ...facts,
    },
  }
}

export function mcpExchange(made: Made, facts?: McpFacts, random = Math.random): Exchange {
  const exchange = httpExchange({ path: '/mcp', userAgent: 'claude-code/2.0', ...made }, random)
  const operation: McpFacts['operations'][number] = {
    method: 'tools/call',
    isInterim: false,
    requestId: 7,
    startedAt: exchange.startedAt,
    endedAt: exchange.endedAt,
    resourceType: 'tool',
    resource: 'echo',
    resourceConfirmed: true,
    target: 'everything',
    errorType: undefined,
    errorCode: undefined,
    errorMessage: undefined,
  }
  return {
    ...exchange,
    protocol: 'mcp',
    route: 'default/mcp',
    routePattern: '/mcp',
    backend: 'mcp',
    mcp: facts ?? {
      sessionId: hex(random, 16),
      protocolVersion: '2025-11-25',
      operations: [operation],
      calls: [
        {
          spanId: hex(random, 16),
          operation,
          method: 'tools/call',
          target: 'everything',
          endpoint: 'everything:3001',
          transport: 'tcp',
          startedAt: exchange.startedAt + 0.5,
          connectMs: undefined,
          endedAt: exchange.endedAt,
          status: 200,
          sessionId: undefined,
          errorType: undefined,
          errorCode: undefined,
          errorMessage: undefined,
        },
      ],
    },
  }
}

/** With what policies may have done about it. */
export const eventful = (exchange: Exchange): Exchange => ({
  ...exchange,
  events: [
    {
      name: 'backend.evicted',
      at: exchange.startedAt + 1.5,
      policy: undefined,
      limit: undefined,
      keyHash: undefined,
      action: undefined,
      backend: 'first',
      from: undefined,
      durationMs: 3000,
      status: 503,
      reason: 'provider_overloaded',
    },
    {
      name: 'rate_limit.exceeded',
      at: exchange.startedAt + 2,
      policy: 'localRateLimit[0]',
      limit: '1 requests per 60s',
      keyHash: 'abcd1234',
      action: 'refuse',
      backend: undefined,
      from: 'second',
      durationMs: undefined,
      status: undefined,
      reason: undefined,
    },
  ],
})

export const finished = (exchange: Exchange, more: Partial<Finished> = {}): Finished => ({
  exchange,
  operation: `${exchange.method} ${exchange.routePattern ?? exchange.path}`,
  failed: false,
  payload: undefined,
  ...more,
})

const MODELS = [
  ['openai', 'gpt-4o'],
  ['openai', 'gpt-4o-mini'],
  ['anthropic', 'claude-sonnet-4-5'],
  ['anthropic', 'claude-haiku-4-5'],
  ['mistral', 'mistral-large'],
  ['openai', 'text-embedding-3-small'],
] as const
const TOOLS = ['echo', 'search', 'read_file', 'query']

/** One as a company's gateway sees them: sixty people and programs, each with a model they like. */
export function randomFinished(random: () => number, completedAt: number): Finished {
  const pick = <T>(list: readonly T[], exponent = 2): T | undefined =>
    list[Math.floor(random() ** exponent * list.length)]
  const person = Math.floor(random() ** 2 * 60)
  const durationMs = Math.exp(6.5 + 1.2 * (random() + random() + random() - 1.5) * 2)
  const made = { completedAt, durationMs }
  const who = {
    user: `user-${person}`,
    key: `key-${person}`,
    group: person % 3 === 0 ? undefined : `team-${person % 4}`,
  }
  const kind = random()
  const isBroken = random() < 0.03
  const broken: Partial<Exchange> = isBroken
    ? {
        status: random() < 0.5 ? 502 : 429,
        outcome: 'upstream_error',
        errorType: random() < 0.5 ? 'provider_server_error' : 'provider_rate_limited',
        errorMessage: 'The provider answered with an error: overloaded',
      }
    : {}

  if (kind < 0.75) {
    const [provider, model] = (random() < 0.7 ? MODELS[person % MODELS.length] : pick(MODELS)) ?? MODELS[0]
    const inputTokens = Math.floor(random() * 5000)
    const streaming = random() < 0.6
    const exchange = llmExchange(
      { ...made, userAgent: person % 2 === 0 ? 'OpenAI/Python 1.2' : 'Anthropic/JS 0.60' },
      {
        provider,
        originalModel: model,
        requestModel: model,
        responseModel: isBroken ? undefined : `${model}-2026`,
        streaming,
        ...(!streaming && { firstTokenAt: undefined }),
        usage: isBroken
          ? undefined
          : {
              inputTokens,
              outputTokens: Math.floor(random() * 800),
              cacheReadTokens: Math.floor(inputTokens * random()),
              cacheWriteTokens: 0,
              reasoningTokens: Math.floor(random() * 100),
            },
        cost: isBroken ? undefined : { total: random() / 10, input: 0, output: 0 },
      },
      random,
    )
    return finished({ ...exchange, ...who, ...broken }, { failed: isBroken && broken.status === 502 })
  }
  if (kind < 0.9) {
    const tool = pick(TOOLS) ?? 'echo'
    return finished(
      { ...mcpExchange(made, undefined, random), ...who, ...broken },
      {
        operation: `tools/call ${tool}`,
        failed: isBroken && broken.status === 502,
      },
    )
  }
  return finished({ ...httpExchange(made, random), ...broken }, { failed: isBroken && broken.status === 502 })
}
