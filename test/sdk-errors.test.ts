/** What goes wrong at the provider arrives in the official clients as their own typed errors, whatever the API. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../src/demo/script.ts'
import { collect, type Prefix, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const HELLO = [{ role: 'user' as const, content: 'Hello!' }]

interface Ask {
  readonly prefix: Prefix
  readonly model: string
  readonly key?: string | undefined
  readonly script?: Script
  readonly stream?: boolean
}

const options = ({ script }: Ask) => ({ headers: script === undefined ? {} : simulate(script) })

const chat = (ask: Ask) => {
  const { completions } = lab.openAIClient(ask.prefix, ask.key).chat
  const request = { model: ask.model, messages: HELLO }
  return ask.stream === true
    ? completions.stream(request, options(ask)).finalChatCompletion()
    : completions.create(request, options(ask))
}
const responses = (ask: Ask) => {
  const client = lab.openAIClient(ask.prefix, ask.key)
  const request = { model: ask.model, input: 'Hello!' }
  return ask.stream === true
    ? client.responses.stream(request, options(ask)).finalResponse()
    : client.responses.create(request, options(ask))
}
const messages = (ask: Ask) => {
  const client = lab.anthropicClient(ask.prefix, ask.key)
  const request = { model: ask.model, max_tokens: 100, messages: HELLO }
  return ask.stream === true
    ? client.messages.stream(request, options(ask)).finalMessage()
    : client.messages.create(request, options(ask))
}

const failure = async (asked: Promise<unknown>): Promise<unknown> => {
  try {
    await asked
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

const PAIRS = [
  { name: 'chat over OpenAI', ask: chat, prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  { name: 'chat over Anthropic', ask: chat, prefix: '/anthropic', provider: 'anthropic', model: 'claude-5' },
  { name: 'responses over OpenAI', ask: responses, prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  { name: 'responses over chat', ask: responses, prefix: '/chat-only', provider: 'openAI', model: 'local' },
  {
    name: 'responses over Anthropic',
    ask: responses,
    prefix: '/anthropic',
    provider: 'anthropic',
    model: 'claude-5',
  },
  {
    name: 'messages over Anthropic',
    ask: messages,
    prefix: '/anthropic',
    provider: 'anthropic',
    model: 'claude-5',
  },
  { name: 'messages over OpenAI', ask: messages, prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  {
    name: 'messages over responses',
    ask: messages,
    prefix: '/responses-only',
    provider: 'openAI',
    model: 'local',
  },
] as const

const SAYS = {
  openAI: {
    400: "This model's maximum context length is 128000 tokens.",
    401: 'Incorrect API key provided: sk-proj-************demo.',
    403: 'Country, region, or territory not supported',
    404: 'does not exist or you do not have access to it.',
    429: 'Rate limit reached for ',
    500: 'The server had an error while processing your request.',
    503: 'That model is currently overloaded with other requests.',
    529: 'Simulated status 529.',
  },
  anthropic: {
    400: 'prompt is too long: 203456 tokens > 200000 maximum',
    401: 'invalid x-api-key',
    403: 'Your API key does not have permission to use the specified resource.',
    404: 'model: claude-5',
    429: "This request would exceed your organization's rate limit",
    500: 'Internal server error',
    503: 'Service unavailable',
    529: 'Overloaded',
  },
} as const

const CLASSES = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  429: 'RateLimitError',
  500: 'InternalServerError',
  503: 'InternalServerError',
  529: 'InternalServerError',
} as const
const STATUSES = [400, 401, 403, 404, 429, 500, 503, 529] as const

const ERROR_TYPES = {
  400: 'provider_invalid_request',
  401: 'provider_auth',
  403: 'provider_auth',
  404: 'provider_not_found',
  429: 'provider_rate_limited',
  500: 'provider_server_error',
  503: 'provider_overloaded',
  529: 'provider_overloaded',
} as const

/** https://docs.claude.com/en/api/errors */
const ANTHROPIC_TYPES = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'api_error',
  529: 'overloaded_error',
} as const

describe.each(PAIRS)('$name', ({ ask, prefix, provider, model }) => {
  const sdk = ask === messages ? Anthropic : OpenAI

  describe.each([{ stream: false }, { stream: true }])('stream: $stream', ({ stream }) => {
    test.each(STATUSES)('status %i', async (status) => {
      const script = { status, ...(status === 429 && { retryAfterSeconds: 17 }) }
      const error = await failure(ask({ prefix, model, script, stream }))
      if (!(error instanceof sdk.APIError)) throw error
      expect(error).toBeInstanceOf(sdk[CLASSES[status]])
      expect(error.status).toBe(status)
      expect(error.message).toContain(SAYS[provider][status])
      expect(error.headers?.get('retry-after')).toBe(status === 429 ? '17' : null)
      // The provider's own id of the request, for its support.
      const id = error.headers?.get(provider === 'openAI' ? 'x-request-id' : 'request-id')
      expect(id).toBe(lab[provider].calls.at(-1)?.requestId)
      if (sdk === Anthropic && status !== 503) expect(error.type).toBe(ANTHROPIC_TYPES[status])
      expect(await lab.lastRecord()).toMatchObject({
        'http.status': status,
        error_type: ERROR_TYPES[status],
        outcome: 'upstream_error',
        // The log hides whatever looks like a key, even a masked one.
        error: expect.stringContaining(SAYS[provider][status].replace(/ sk-proj-.*/, ' [redacted]')),
      })
    })
  })

  test('a wrong key of the client', async () => {
    const key = sdk === Anthropic ? 'sk-ant-api03-wrong' : 'sk-wrong'
    const error = await failure(ask({ prefix, model, key }))
    expect(error).toBeInstanceOf(sdk.AuthenticationError)
    expect(error).toMatchObject({
      status: 401,
      message: expect.stringContaining(
        provider === 'openAI' ? 'Incorrect API key provided: ' : 'invalid x-api-key',
      ),
    })
    const log = lab.gateway.log()
    expect(log).not.toContain(key)
  })

  test("another vendor's model", async () => {
    const error = await failure(ask({ prefix, model: 'gemini-3' }))
    expect(error).toBeInstanceOf(sdk.NotFoundError)
    expect(error).toMatchObject({ message: expect.stringContaining('gemini-3') })
  })

  test('a failure inside a stream throws, with the words of the provider', async () => {
    const script = {
      text: 'One two three four',
      chunks: 4,
      fault: 'midstream-error',
      afterChunks: 2,
    } as const
    const error = await failure(ask({ prefix, model, script, stream: true }))
    expect(error).toBeInstanceOf(sdk.APIError)
    expect(error).toMatchObject({
      message: expect.stringContaining(provider === 'openAI' ? 'The server had an error' : 'Overloaded'),
    })
    expect(await lab.lastRecord()).toMatchObject({
      'http.status': 200,
      outcome: 'upstream_midstream_error',
      error_type: 'provider_stream_error',
    })
  })

  test.each([
    { name: 'ends early', fault: 'truncate' },
    { name: 'is reset', fault: 'reset' },
  ] as const)('a stream that $name throws', async ({ fault }) => {
    const script = { text: 'One two three four', chunks: 4, fault, afterChunks: 2 }
    const error = await failure(ask({ prefix, model, script, stream: true }))
    expect(error).toBeInstanceOf(sdk.APIError)
    const record = await lab.lastRecord()
    expect(record).toMatchObject({ 'http.status': 200, outcome: 'upstream_midstream_error' })
    expect(record.error_type).toBe(fault === 'reset' ? 'provider_reset' : 'provider_bad_response')
  })

  test.each([
    { name: 'is no JSON', fault: 'garbage', status: 502 },
    { name: 'ends early', fault: 'truncate', status: 503 },
    { name: 'never begins', fault: 'reset', status: 503 },
  ] as const)('a whole answer that $name is an error of the gateway', async ({ fault, status }) => {
    const error = await failure(ask({ prefix, model, script: { text: 'Hello', fault } }))
    expect(error).toBeInstanceOf(sdk.InternalServerError)
    expect(error).toMatchObject({ status })
    expect(await lab.lastRecord()).toMatchObject({ 'http.status': status, outcome: 'upstream_error' })
  })
})

describe('the gateway itself refuses', () => {
  test('a route type that the provider cannot answer', async () => {
    const error = await failure(
      lab.openAIClient('/messages-only').embeddings.create({ model: 'local', input: 'Hello' }),
    )
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    expect(error).toMatchObject({ message: expect.stringContaining('cannot answer embeddings requests') })
  })

  test.each([
    { name: 'chat', ask: chat, sdk: OpenAI },
    { name: 'responses', ask: responses, sdk: OpenAI },
    { name: 'messages', ask: messages, sdk: Anthropic },
  ] as const)('a $name request without a model', async ({ ask, sdk }) => {
    const error = await failure(ask({ prefix: '/openai', model: '' }))
    expect(error).toBeInstanceOf(sdk.BadRequestError)
    expect(error).toMatchObject({ message: expect.stringContaining('model not specified') })
  })

  test('content that has no place in the other API, by its path', async () => {
    const content = [{ type: 'image_url' as const, image_url: { url: 'ftp://example.com/cat.png' } }]
    const error = await failure(
      lab.openAIClient('/anthropic').chat.completions.create({
        model: 'claude-5',
        messages: [{ role: 'user', content }],
      }),
    )
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    expect(error).toMatchObject({ message: expect.stringContaining('messages[0].content[0].image_url') })
  })

  test('a path without a route', async () => {
    const client = new OpenAI({ baseURL: `${lab.gateway.url}/nowhere/v1`, apiKey: 'sk-test', maxRetries: 0 })
    expect(await failure(client.models.list().asResponse())).toBeInstanceOf(OpenAI.NotFoundError)
  })
})

test('the chunks before a failure have reached the client', async () => {
  const seen: string[] = []
  const stream = await lab
    .openAIClient('/anthropic')
    .chat.completions.create(
      { model: 'claude-5', messages: HELLO, stream: true },
      { headers: simulate({ text: 'abcd', chunks: 4, fault: 'midstream-error', afterChunks: 2 }) },
    )
  const error = await failure(
    collect(
      (async function* read() {
        for await (const chunk of stream) {
          seen.push(chunk.choices[0]?.delta.content ?? '')
          yield chunk
        }
      })(),
    ),
  )
  expect(error).toBeInstanceOf(OpenAI.APIError)
  expect(seen.join('')).toBe('ab')
})
