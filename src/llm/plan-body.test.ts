/** What becomes of a request's body on its way to the provider. */
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../core/errors.ts'
import { promptGuardSchema } from './guard/schema.ts'
import { type BackendChange, backendOf, requestOf } from './plan.fixture.ts'
import type { LlmPlan } from './plan.ts'
import { planLlm } from './plan.ts'
import type { AiPolicy } from './schema.ts'

const CHAT = '/v1/chat/completions'
const HELLO = [{ role: 'user', content: 'hello' }]
const chat = (fields: object = {}) => ({ model: 'm', messages: HELLO, ...fields })

const plan = (backend: BackendChange, body: unknown, path = CHAT): LlmPlan =>
  planLlm(backendOf(backend), requestOf(path, body))
const sentBody = ({ body }: LlmPlan) => body?.toString('utf8') ?? ''
const sentJson = (made: LlmPlan): unknown => JSON.parse(sentBody(made))
const codeOf = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error instanceof GatewayError ? `${error.status} ${error.code}: ${error.message}` : error
  }
  return 'nothing thrown'
}

describe('a body that no policy touches', () => {
  const STRANGE =
    '\n {"n":1.0,  "model" :"m","messages":[ {"role":"user","content":"\\u00e9 é 🙂"} ],"big":12345678901234567890}\t'

  test.each([
    { name: 'a chat', path: CHAT, body: STRANGE },
    {
      name: 'a chat that asks for no stream',
      path: CHAT,
      body: STRANGE.replace('"n"', '"stream":false,"n"'),
    },
    {
      name: 'a stream that asks for usage itself',
      path: CHAT,
      body: STRANGE.replace('"n"', '"stream":true,"stream_options":{"include_usage":true },"n"'),
    },
    { name: 'responses', path: '/v1/responses', body: '{ "model":"m","input":"x","stream":true }' },
    { name: 'embeddings', path: '/v1/embeddings', body: '{ "model":"m","input":[1,2] }' },
  ])('it goes on byte by byte: $name', ({ path, body }) => {
    expect(sentBody(plan({}, body, path))).toBe(body)
  })

  test('it goes on byte by byte to Anthropic, stream and all', () => {
    const body = '{ "model":"m", "max_tokens":1, "messages":[],"stream":true}'
    for (const path of ['/v1/messages', '/v1/messages/count_tokens'])
      expect(sentBody(plan({ provider: { anthropic: {} } }, body, path))).toBe(body)
  })

  test('it goes on byte by byte when the policies change nothing', () => {
    const ai: AiPolicy = { defaults: { model: 'other' }, modelAliases: { x: 'y' } }
    expect(sentBody(plan({ ai, provider: { openAI: { model: 'm' } } }, STRANGE))).toBe(STRANGE)
  })

  test.each(['', ' ', '\n\t', '\r\n '])(
    'it only gains the wish for usage when it streams: after %j',
    (space) => {
      const rest = ' "stream" : true,"model":"m","messages":[{"role":"user","content":"{ é 🙂 }"}] } '
      const made = plan({}, `${space}{${rest}`)
      expect(sentBody(made)).toBe(`${space}{"stream_options":{"include_usage":true},${rest}`)
      expect(made.way).toMatchObject({ kind: 'same', stripUsage: true })
    },
  )
})

describe('the wish for usage', () => {
  test.each([
    {
      name: 'is added to other options',
      options: { include_obfuscation: false },
      sent: { include_obfuscation: false, include_usage: true },
      strip: true,
    },
    {
      name: 'replaces a refusal',
      options: { include_usage: false },
      sent: { include_usage: true },
      strip: true,
    },
    { name: 'replaces null', options: null, sent: { include_usage: true }, strip: true },
    {
      name: "is the client's own",
      options: { include_usage: true },
      sent: { include_usage: true },
      strip: false,
    },
  ])('it $name', ({ options, sent, strip }) => {
    const made = plan({}, chat({ stream: true, stream_options: options }))
    expect(sentJson(made)).toEqual(chat({ stream: true, stream_options: sent }))
    expect(made.way).toMatchObject({ kind: 'same', stripUsage: strip })
  })

  test('it follows an override of stream', () => {
    const made = plan({ ai: { overrides: { stream: true } } }, chat())
    expect(sentJson(made)).toEqual(chat({ stream: true, stream_options: { include_usage: true } }))
    expect(made.facts.streaming).toBe(true)
  })
})

describe('policies', () => {
  test.each<{ name: string; backend: BackendChange; body: object; sent: object }>([
    {
      name: 'pins the model',
      backend: { provider: { openAI: { model: 'pinned' } } },
      body: chat(),
      sent: chat({ model: 'pinned' }),
    },
    {
      name: 'names a model where the client names none',
      backend: { ai: { defaults: { model: 'usual' } } },
      body: { messages: HELLO },
      sent: chat({ model: 'usual' }),
    },
    {
      name: 'forces overrides',
      backend: { ai: { overrides: { temperature: 0, user: 'x' } } },
      body: chat({ temperature: 1 }),
      sent: chat({ temperature: 0, user: 'x' }),
    },
    {
      name: 'adds defaults only where the client says nothing',
      backend: { ai: { defaults: { temperature: 0, top_p: 1, seed: 7 } } },
      body: chat({ temperature: 1, seed: null }),
      sent: chat({ temperature: 1, seed: null, top_p: 1 }),
    },
    {
      name: 'lets overrides win over defaults',
      backend: { ai: { overrides: { n: 1 }, defaults: { n: 2 } } },
      body: chat(),
      sent: chat({ n: 1 }),
    },
    {
      name: 'lets overrides win over the pin',
      backend: { provider: { openAI: { model: 'pinned' } }, ai: { overrides: { model: 'forced' } } },
      body: chat(),
      sent: chat({ model: 'forced' }),
    },
    {
      name: 'lets the alias have the last word on the model, after the pin',
      backend: {
        provider: { openAI: { model: 'pinned' } },
        ai: { modelAliases: { pinned: 'real', m: 'wrong' } },
      },
      body: chat(),
      sent: chat({ model: 'real' }),
    },
    {
      name: 'puts prompts around what overrides left',
      backend: {
        ai: { overrides: { messages: [] }, prompts: { prepend: [{ role: 'system', content: 'kind' }] } },
      },
      body: chat(),
      sent: chat({ messages: [{ role: 'system', content: 'kind' }] }),
    },
  ])('it $name', ({ backend, body, sent }) => {
    const before = structuredClone(body)
    expect(sentJson(plan(backend, body))).toEqual(sent)
    expect(body).toEqual(before)
  })

  test('it applies them before the translation, defaults in the words of the client', () => {
    const ai: AiPolicy = { defaults: { max_tokens: 7 }, modelAliases: { m: 'claude' } }
    const made = plan({ ai, provider: { anthropic: {} } }, chat({ logit_bias: {} }))
    expect(sentJson(made)).toMatchObject({ model: 'claude', max_tokens: 7 })
    expect(made.dropped).toEqual(['logit_bias'])
    expect(made.way).toMatchObject({ kind: 'translate', includeUsage: false })
  })

  test('it applies them to token counting', () => {
    const ai: AiPolicy = { modelAliases: { m: 'claude' } }
    const made = plan({ ai, provider: { anthropic: {} } }, chat(), '/v1/messages/count_tokens')
    expect(sentJson(made)).toEqual(chat({ model: 'claude' }))
  })

  test('it leaves passthrough alone, whatever is configured', () => {
    const backend: BackendChange = {
      provider: { openAI: { model: 'pinned' } },
      ai: { routes: { '*': 'passthrough' }, overrides: { a: 1 } },
    }
    const body = '{"model":"m","stream":true}'
    const made = plan(backend, body)
    expect(sentBody(made)).toBe(body)
    expect(made.facts).toMatchObject({
      requestModel: undefined,
      operation: 'unknown',
      clientFormat: undefined,
    })
  })
})

describe('the facts', () => {
  test('it notes what was asked for, and what the provider is asked for', () => {
    const ai: AiPolicy = { modelAliases: { m: 'real' } }
    const { facts, clientBody } = plan({ ai }, chat({ stream: true, temperature: 0.5 }))
    expect(facts).toMatchObject({
      routeType: 'completions',
      operation: 'chat',
      provider: 'openai',
      originalModel: 'm',
      requestModel: 'real',
      modelConfirmed: true,
      streaming: true,
      parameters: { temperature: 0.5 },
      usageSource: 'none',
    })
    expect(clientBody).toMatchObject({ messages: HELLO })
  })

  test.each([
    { path: '/x/chat/completions', format: 'completions' },
    { path: '/x/messages', format: 'messages' },
    { path: '/v1/responses/compact', format: 'responses' },
    { path: '/x/embeddings', format: 'embeddings' },
  ])('it reads along where a detect route has a known path: $path', ({ path, format }) => {
    const backend = { ai: { routes: { '*': 'detect' } } } as const
    const body = '{ "model":"m", "stream":true }'
    const made = plan(backend, body, path)
    expect(sentBody(made)).toBe(body)
    expect(made.way).toEqual({ kind: 'same', format, stripUsage: false, lenient: true })
    expect(made.facts).toMatchObject({ requestModel: 'm', streaming: true, modelConfirmed: false })
  })

  test.each([
    { name: 'an unknown path', path: '/v1/audio', body: '{"model":"m"}' },
    { name: 'a body that is no JSON', path: CHAT, body: 'model=m' },
    { name: 'a body that is no object', path: CHAT, body: '[]' },
  ])('it reads nothing on a detect route with $name', ({ path, body }) => {
    const made = plan({ ai: { routes: { '*': 'detect' } } }, body, path)
    expect(sentBody(made)).toBe(body)
    expect(made).toMatchObject({ way: { kind: 'raw' }, facts: { requestModel: undefined } })
  })

  test.each([
    { provider: { anthropic: {} }, countLocally: false },
    { provider: { openAI: {} }, countLocally: true },
    { provider: { custom: { formats: [{ type: 'messages' as const }] } }, countLocally: true },
  ])('it counts tokens here when $provider cannot: $countLocally', ({ provider, countLocally }) => {
    const made = plan({ provider }, chat(), '/v1/messages/count_tokens')
    expect(made).toMatchObject({ countLocally, facts: { operation: 'count_tokens', requestModel: 'm' } })
  })
})

describe('a body that makes no sense', () => {
  test.each([
    { name: 'no JSON', body: '{"model": "m", secret-word}', says: /^400 invalid_body: .*not valid JSON/ },
    { name: 'half JSON', body: '{"model": "m"', says: /^400 invalid_body: .*not valid JSON/ },
    { name: 'nothing', body: '', says: /^400 invalid_body/ },
    { name: 'a list', body: '[]', says: /^400 invalid_body: .*must be a JSON object/ },
    { name: 'null', body: 'null', says: /^400 invalid_body: .*must be a JSON object/ },
    { name: 'no model', body: '{"messages":[]}', says: /missing field: model not specified/ },
    { name: 'an empty model', body: '{"model":""}', says: /missing field: model not specified/ },
    { name: 'a model that is no text', body: '{"model":7}', says: /missing field: model not specified/ },
  ])('it is refused: $name', ({ body, says }) => {
    expect(codeOf(() => plan({}, body))).toMatch(says)
    expect(codeOf(() => plan({ provider: { anthropic: {} } }, body, '/v1/messages/count_tokens'))).toMatch(
      says,
    )
  })

  test('it is not quoted in the error', () => {
    expect(codeOf(() => plan({}, '{"model": "m", secret-word}'))).not.toContain('secret')
  })

  test('it is refused with the place where a translation fails', () => {
    const body = chat({ messages: [{ role: 'user', content: [{ type: 'hologram' }] }] })
    expect(codeOf(() => plan({ provider: { anthropic: {} } }, body))).toMatch(
      /^400 unsupported_conversion: failed to process LLM request: messages\[0\]\.content\[0\]/,
    )
  })

  test("it is refused when it needs Anthropic's memory of a thread", () => {
    const body = { model: 'm', max_tokens: 1, messages: [], thread: { id: 't' } }
    expect(codeOf(() => plan({}, body, '/v1/messages'))).toMatch(/^400 thread_unsupported_request/)
    expect(sentJson(plan({ provider: { anthropic: {} } }, body, '/v1/messages'))).toEqual(body)
  })

  test('it is refused when it is too deep to be written again', () => {
    const deep = `{"model":"m","messages":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    expect(codeOf(() => plan({ ai: { overrides: { n: 1 } } }, deep))).toMatch(/^400 invalid_body: .*too deep/)
    expect(sentBody(plan({}, deep))).toBe(deep)
  })
})

describe('guards of requests', () => {
  const guarded = (regex: object): BackendChange => ({
    ai: { promptGuard: promptGuardSchema.parse({ request: [{ regex }] }) },
  })
  const rules = [{ builtin: 'email' }]
  const SAID = [{ role: 'user', content: 'to ann@example.com' }]

  test('what is masked is written anew, and nothing else of it is lost', () => {
    const body = `{"model":"m","seed":12345678901234567890,"top_p":1.0,"messages":${JSON.stringify(SAID)}}`
    const made = plan(guarded({ rules }), body)
    expect(sentBody(made)).toBe(body.replace('ann@example.com', '<EMAIL_ADDRESS>'))
    expect(made.clientBody?.messages).toEqual([{ role: 'user', content: 'to <EMAIL_ADDRESS>' }])
    expect(made.facts.guards).toEqual([{ phase: 'request', guard: 'regex', action: 'Mask' }])
  })

  test.each(['123456789', '123456789.0', '1.23456789e8'])(
    'the number %s is masked as what it is',
    (number) => {
      const promptGuard = promptGuardSchema.parse({ request: [{ regex: { rules: [{ builtin: 'ssn' }] } }] })
      const variables = `{"a":${number},"b":1.0}`
      const body = `{"model":"m","input":"x","prompt":{"id":"p","variables":${variables}}}`
      expect(sentBody(plan({ ai: { promptGuard } }, body, '/v1/responses'))).toBe(
        body.replace(number, '"<SSN>"'),
      )
    },
  )

  test('configured prompts are looked at, too', () => {
    const backend = guarded({ rules })
    const prompts = { prepend: [{ role: 'system', content: 'You are bot@example.com' }] }
    const made = plan({ ...backend, ai: { ...backend.ai, prompts } }, chat())
    expect(sentJson(made)).toMatchObject({ messages: [{ content: 'You are <EMAIL_ADDRESS>' }, ...HELLO] })
  })

  test('what is no text is refused: providers might read something else in it', () => {
    const [before = '', after = ''] = JSON.stringify(chat({ messages: SAID })).split('ann@')
    const body = Buffer.concat([Buffer.from(before), Buffer.from('ann\xff@', 'latin1'), Buffer.from(after)])
    const planned = (backend: BackendChange) =>
      codeOf(() => planLlm(backendOf(backend), requestOf(CHAT, chat(), { body })))
    expect(planned(guarded({ rules }))).toBe(
      '400 invalid_body: failed to process LLM request: the body is not UTF-8',
    )
    expect(planned({})).toBe('nothing thrown')
  })

  test('what is clean goes out byte for byte', () => {
    const body = ' {"model": "m", "messages": [] }'
    expect(sentBody(plan(guarded({ rules }), body))).toBe(body)
  })

  test.each([
    { path: CHAT, body: chat({ messages: SAID }) },
    { path: '/v1/messages/count_tokens', body: chat({ messages: SAID }) },
    { path: '/v1/embeddings', body: { model: 'm', input: 'ann@example.com' } },
  ])('$path can be rejected, and what is known is told before', ({ path, body }) => {
    const noted: unknown[] = []
    const backend = backendOf(guarded({ action: 'reject', rules }))
    expect(codeOf(() => planLlm(backend, requestOf(path, body), (facts) => noted.push(facts)))).toMatch(
      /^403 guard_rejected: .* email$/,
    )
    expect(noted).toMatchObject([{ requestModel: 'm', guards: [{ action: 'Reject' }] }])
  })

  test('nesting without end is an error of the request', () => {
    const depth = 20_000
    const input = `${'['.repeat(depth)}${']'.repeat(depth)}`
    const scope = ['toolInput']
    const promptGuard = promptGuardSchema.parse({ request: [{ regex: { rules }, scope }] })
    const body = `{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","input":${input}}]}]}`
    const backend = { provider: { anthropic: {} }, ai: { promptGuard } }
    expect(codeOf(() => plan(backend, body, '/v1/messages'))).toMatch(/^400 invalid_body: .*too deeply$/)
  })
})
