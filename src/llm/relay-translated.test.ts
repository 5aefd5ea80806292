/** Answers that are held until they are whole, and streams of a provider that speaks another format. */
import { describe, expect, test } from 'vitest'
import { backendOf, planOf, requestOf } from './plan.fixture.ts'
import { type LlmPlan, planLlm } from './plan.ts'
import { ANTHROPIC_STREAM, bytesOf, CHAT_STREAM, RESPONSES_STREAM } from './recorded-streams.fixture.ts'
import { type RelayOptions, relayWhole, streamRelay } from './relay.ts'

const options: RelayOptions = {
  now: () => 7,
  epochSeconds: () => 1760000000,
  newId: () => 'id',
  maxBytes: 100_000,
}

const chatAnswer = {
  id: 'c',
  model: 'gpt',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hi' } }],
  usage: { prompt_tokens: 3, completion_tokens: 1 },
}
const messagesAnswer = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'Hi' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 3, output_tokens: 1 },
}

const whole = (plan: LlmPlan, status: number, body: unknown) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = relayWhole(plan, status, Buffer.from(text), options)
  return { ...answer, text: answer.body.toString('utf8') }
}

const same = () => planOf('completions', 'completions')
const translated = () => planOf('completions', 'messages')
const detected = () =>
  planLlm(
    backendOf({ ai: { routes: { '*': 'detect' } } }),
    requestOf('/v1/chat/completions', '{"model":"m"}'),
  )
const raw = () => planLlm(backendOf(), requestOf('/v1/files', '{}'))

describe('a whole answer', () => {
  test.each([
    { name: 'in the same format', plan: same },
    { name: 'of a detect route', plan: detected },
  ])('it goes on byte by byte, and is read: $name', ({ plan: make }) => {
    const body = ` ${JSON.stringify(chatAnswer, undefined, 3)}\n`
    const plan = make()
    expect(whole(plan, 200, body)).toMatchObject({ text: body, rewritten: false, uncounted: undefined })
    expect(plan.facts).toMatchObject({
      responseModel: 'gpt',
      finishReasons: ['stop'],
      usage: { inputTokens: 3 },
    })
  })

  test('it is translated', () => {
    const plan = translated()
    const { text, rewritten } = whole(plan, 200, messagesAnswer)
    expect(rewritten).toBe(true)
    expect(JSON.parse(text)).toMatchObject({
      object: 'chat.completion',
      created: 1760000000,
      model: 'claude',
      choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
    })
    expect(plan.facts).toMatchObject({ responseId: 'msg_1', finishReasons: ['end_turn'] })
  })

  test.each([
    { name: 'in the same format', plan: same, body: { ...chatAnswer, usage: undefined } },
    { name: 'that is translated', plan: translated, body: { ...messagesAnswer, usage: undefined } },
  ])('it gives its text to be counted where the provider reports no usage: $name', ({ plan, body }) => {
    expect(whole(plan(), 200, body).uncounted).toBe('Hi')
  })

  test.each([
    { name: 'cut off', body: '{"id":"c","choices":[' },
    { name: 'a page', body: '<html>' },
    { name: 'empty', body: '' },
    { name: 'another API', body: '{"candidates":[]}' },
    { name: 'a list', body: '[]' },
  ])('it is an error when it is no answer: $name', ({ body }) => {
    for (const plan of [same(), translated()])
      expect(() => whole(plan, 200, body)).toThrow(
        expect.objectContaining({ code: 'upstream_bad_response', status: 502 }),
      )
    for (const plan of [detected(), raw()]) expect(whole(plan, 200, body)).toMatchObject({ text: body })
  })
})

describe('an error answer', () => {
  const openAiError = { error: { message: 'bad key', type: 'invalid_request_error', param: null, code: 'x' } }
  const anthropicError = {
    type: 'error',
    error: { type: 'authentication_error', message: 'bad key' },
    request_id: 'r',
  }

  test('it goes on byte by byte in the same API', () => {
    const body = JSON.stringify(openAiError, undefined, 1)
    expect(whole(same(), 401, body)).toMatchObject({ text: body, rewritten: false, errorMessage: 'bad key' })
  })

  test('it is translated, and keeps what was said', () => {
    const { text, errorMessage, rewritten } = whole(translated(), 401, anthropicError)
    expect(JSON.parse(text)).toMatchObject({ error: { message: 'bad key', type: 'authentication_error' } })
    expect([errorMessage, rewritten]).toEqual(['bad key', true])
    const back = whole(planOf('messages', 'completions'), 429, openAiError)
    expect(JSON.parse(back.text)).toMatchObject({
      type: 'error',
      error: { type: 'rate_limit_error', message: 'bad key' },
    })
  })

  test.each([
    { name: 'a page', body: '<html>Bad gateway</html>' },
    { name: 'nothing', body: '' },
  ])('it becomes readable for an SDK when it is $name', ({ body }) => {
    const { text, rewritten } = whole(same(), 502, body)
    expect(JSON.parse(text)).toMatchObject({ error: { type: 'server_error', message: expect.any(String) } })
    expect(rewritten).toBe(true)
    expect(JSON.parse(whole(translated(), 502, body).text)).toHaveProperty('error.message')
    expect(whole(detected(), 502, body).text).toBe(body)
    expect(whole(raw(), 502, body)).toMatchObject({ text: body, errorMessage: undefined })
  })

  test('it does not put the key that was sent into the log', () => {
    const headers = { authorization: 'Bearer sk-very-secret' }
    const plan = planLlm(
      backendOf(),
      requestOf('/v1/chat/completions', { model: 'm', messages: [] }, { headers }),
    )
    const body = { error: { message: 'Incorrect API key provided: sk-very-secret.' } }
    expect(whole(plan, 401, body).errorMessage).toBe('Incorrect API key provided: [redacted].')
  })
})

describe('a translated stream', () => {
  const STREAMS = [
    {
      client: 'completions' as const,
      provider: 'messages' as const,
      events: ANTHROPIC_STREAM,
      last: 'data: [DONE]\n\n',
    },
    {
      client: 'messages' as const,
      provider: 'completions' as const,
      events: CHAT_STREAM,
      last: 'data: {"type":"message_stop"}\n\n',
    },
    {
      client: 'messages' as const,
      provider: 'responses' as const,
      events: RESPONSES_STREAM,
      last: 'data: {"type":"message_stop"}\n\n',
    },
    { client: 'responses' as const, provider: 'completions' as const, events: CHAT_STREAM, last: '\n\n' },
  ]
  const run = (plan: LlmPlan, bytes: Buffer, size: number) => {
    const relay = streamRelay(plan, options)
    let text = ''
    for (let at = 0; at < bytes.length; at += size)
      text += relay.forward(bytes.subarray(at, at + size))?.toString() ?? ''
    const { bytes: last, failure } = relay.end()
    return { text: text + (last?.toString() ?? ''), failure, usage: relay.observer?.usage(), relay }
  }

  test.each(STREAMS)(
    'it is the same in every split: $provider to $client',
    ({ client, provider, events, last }) => {
      const plan = () => planOf(client, provider, { stream: true })
      const expected = run(plan(), bytesOf(events), 1e9)
      expect(expected.text.endsWith(last)).toBe(true)
      expect(expected.failure).toBeUndefined()
      expect(expected.usage).toBeDefined()
      for (const lineEnd of ['\n', '\r\n']) {
        const bytes = bytesOf(events, lineEnd)
        for (let size = 1; size < 400; size += 7) {
          const { text, failure, usage } = run(plan(), bytes, size)
          expect({ text, failure, usage }).toEqual({
            text: expected.text,
            failure: undefined,
            usage: expected.usage,
          })
        }
      }
    },
  )

  test.each(STREAMS)(
    'it does not look whole when it ends early: $provider to $client',
    ({ client, provider, events }) => {
      const cut = events.slice(0, 3)
      const { text, failure } = run(planOf(client, provider, { stream: true }), bytesOf(cut), 50)
      expect(failure).toMatchObject({ type: 'provider_bad_response' })
      expect(text).toContain('"error"')
      expect(text).not.toMatch(/\[DONE\]|message_stop|response\.completed|"finish_reason":"/)
    },
  )

  test('it tells what the provider reports inside the stream', () => {
    const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }
    const events = [...ANTHROPIC_STREAM.slice(0, 8), overloaded]
    const { text, failure } = run(planOf('completions', 'messages', { stream: true }), bytesOf(events), 50)
    expect(failure).toEqual({ type: 'provider_stream_error', message: 'Overloaded' })
    expect(text).toContain('Overloaded')
    expect(text).not.toContain('[DONE]')
  })

  test.each([
    { name: 'data that is no JSON', text: 'data: {"id":\n\n' },
    { name: 'an event without end', text: 'x'.repeat(100_001) },
  ])('it is an error when it has $name', ({ text }) => {
    const { forward } = streamRelay(planOf('completions', 'messages', { stream: true }), options)
    expect(() => forward(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'upstream_bad_response' }),
    )
  })

  test.each([
    {
      client: 'completions' as const,
      provider: 'messages' as const,
      told: /^data: \{"error":\{"message":"why"/,
    },
    {
      client: 'messages' as const,
      provider: 'completions' as const,
      told: /^event: error\ndata: \{"type":"error","error":\{"type":"timeout_error","message":"why"/,
    },
    {
      client: 'responses' as const,
      provider: 'completions' as const,
      told: /^event: error\ndata: \{"type":"error","code":"idle_timeout","message":"why"/,
    },
  ])('it tells the client of a cut at any place: $provider to $client', ({ client, provider, told }) => {
    const relay = streamRelay(planOf(client, provider, { stream: true }), options)
    relay.forward(Buffer.from('data: {"half'))
    expect(relay.cut(504, 'why', 'idle_timeout')?.toString()).toMatch(told)
  })

  test.each([
    {
      name: 'carries usage when the client asked for it',
      fields: { stream_options: { include_usage: true } },
      has: true,
    },
    { name: 'carries none when it did not', fields: {}, has: false },
  ])('it $name', ({ fields, has }) => {
    const plan = planOf('completions', 'messages', { stream: true, ...fields })
    const { text } = run(plan, bytesOf(ANTHROPIC_STREAM), 50)
    expect(text.includes('"completion_tokens":89')).toBe(has)
  })
})
