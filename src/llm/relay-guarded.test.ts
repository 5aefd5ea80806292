/** Streams behind guards, in each format, as the provider sends it and translated. */
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../core/errors.ts'
import type { WireFormat } from '../core/exchange.ts'
import { formatEvent, frameSplitter, parseFrame } from '../core/sse.ts'
import type { PromptGuardConfig } from './guard/schema.ts'
import { promptGuardSchema } from './guard/schema.ts'
import { backendOf, requestOf } from './plan.fixture.ts'
import { type LlmPlan, planLlm } from './plan.ts'
import { type RelayOptions, streamRelay } from './relay.ts'

const options: RelayOptions = { now: () => 7, epochSeconds: () => 1, newId: () => 'id', maxBytes: 100_000 }

type Format = Exclude<WireFormat, 'embeddings'>
type Json = Readonly<Record<string, unknown>>

const PATHS = {
  completions: '/v1/chat/completions',
  messages: '/v1/messages',
  responses: '/v1/responses',
} as const

const guardOf = (entry: object): PromptGuardConfig => promptGuardSchema.parse({ response: [entry] })
const MASK = guardOf({
  regex: { rules: [{ builtin: 'ssn' }, { builtin: 'email' }, { pattern: 'secret-\\d+' }] },
  scope: ['messages', 'toolInput'],
})
const REJECT = guardOf({ regex: { action: 'reject', rules: [{ builtin: 'ssn' }] } })

function planOf(client: Format, provider: Format, promptGuard: PromptGuardConfig): LlmPlan {
  const backend = backendOf({
    provider: { custom: { formats: [{ type: provider }] } },
    hostOverridden: true,
    ai: { routes: { [PATHS[client]]: client }, promptGuard },
  })
  const turns = [{ role: 'user', content: 'hi' }]
  const body = {
    model: 'm',
    stream: true,
    max_tokens: 10,
    stream_options: { include_usage: true },
    ...(client === 'responses' ? { input: turns } : { messages: turns }),
  }
  return planLlm(backend, requestOf(PATHS[client], body))
}

/** What a model says and calls, in pieces. */
interface Said {
  readonly reasoning: readonly string[]
  readonly text: readonly string[]
  readonly call: readonly string[]
}

const USAGE = { prompt_tokens: 11, completion_tokens: 22, total_tokens: 33 }

const chat = ({ reasoning, text, call }: Said): Json[] => {
  const chunk = (delta: Json, finish_reason: string | null = null) => ({
    id: 'chat',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
  })
  const called = (function_: Json, more: Json = {}) =>
    chunk({ tool_calls: [{ index: 0, ...more, function: function_ }] })
  return [
    chunk({ role: 'assistant', content: '' }),
    ...reasoning.map((piece) => chunk({ reasoning_content: piece })),
    ...text.map((piece) => chunk({ content: piece })),
    called({ name: 'send', arguments: '' }, { id: 'call_1', type: 'function' }),
    ...call.map((piece) => called({ arguments: piece })),
    chunk({}, 'tool_calls'),
    { ...chunk({}), choices: [], usage: USAGE },
  ]
}

const messages = ({ reasoning, text, call }: Said): Json[] => {
  const block = (index: number, content_block: Json, deltas: readonly Json[]) => [
    { type: 'content_block_start', index, content_block },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ]
  return [
    {
      type: 'message_start',
      message: {
        id: 'msg',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        usage: { input_tokens: 11, output_tokens: 1 },
      },
    },
    ...block(0, { type: 'thinking', thinking: '', signature: '' }, [
      ...reasoning.map((thinking) => ({ type: 'thinking_delta', thinking })),
      { type: 'signature_delta', signature: 'sig' },
    ]),
    ...block(
      1,
      { type: 'text', text: '' },
      text.map((piece) => ({ type: 'text_delta', text: piece })),
    ),
    ...block(
      2,
      { type: 'tool_use', id: 'toolu_1', name: 'send', input: {} },
      call.map((partial_json) => ({ type: 'input_json_delta', partial_json })),
    ),
    {
      type: 'message_delta',
      delta: { stop_reason: 'tool_use', stop_sequence: null },
      usage: { output_tokens: 22 },
    },
    { type: 'message_stop' },
  ]
}

const responses = ({ text, call }: Said): Json[] => {
  const message = { id: 'msg', type: 'message', role: 'assistant', status: 'completed' }
  const part = { type: 'output_text', annotations: [], logprobs: [] }
  const place = { item_id: 'msg', output_index: 0, content_index: 0 }
  const called = { id: 'fc', type: 'function_call', call_id: 'call_1', name: 'send', status: 'completed' }
  const callPlace = { item_id: 'fc', output_index: 1 }
  const said = text.join('')
  const output = [
    { ...message, content: [{ ...part, text: said }] },
    { ...called, arguments: call.join('') },
  ]
  const response = { id: 'resp', object: 'response', model: 'm', status: 'in_progress', output: [] }
  const usage = { input_tokens: 11, output_tokens: 22, total_tokens: 33 }
  return [
    { type: 'response.created', response },
    { type: 'response.output_item.added', output_index: 0, item: { ...message, content: [] } },
    { type: 'response.content_part.added', ...place, part: { ...part, text: '' } },
    ...text.map((delta) => ({ type: 'response.output_text.delta', ...place, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...place, text: said, logprobs: [] },
    { type: 'response.content_part.done', ...place, part: { ...part, text: said } },
    { type: 'response.output_item.done', output_index: 0, item: output[0] },
    { type: 'response.output_item.added', output_index: 1, item: { ...called, arguments: '' } },
    ...call.map((delta) => ({ type: 'response.function_call_arguments.delta', ...callPlace, delta })),
    { type: 'response.function_call_arguments.done', ...callPlace, name: 'send', arguments: call.join('') },
    { type: 'response.output_item.done', output_index: 1, item: output[1] },
    { type: 'response.completed', response: { ...response, status: 'completed', output, usage } },
  ].map((event, sequence_number) => ({ ...event, sequence_number }))
}

const PROVIDERS = { completions: chat, messages, responses }

const bytesOf = (format: Format, events: readonly Json[]) =>
  Buffer.from(
    events
      .map((event) =>
        formatEvent({
          event: format === 'completions' ? undefined : String(event.type),
          data: JSON.stringify(event),
        }),
      )
      .join('') + (format === 'completions' ? 'data: [DONE]\n\n' : ''),
  )

interface Relayed {
  readonly events: readonly Json[]
  readonly last: string
  readonly text: string | undefined
}

function relay(plan: LlmPlan, bytes: Buffer, size = bytes.length): Relayed {
  const relayed = streamRelay(plan, options)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    out.push(relayed.forward(piece) ?? Buffer.alloc(0))
    relayed.observe(piece)
  }
  const { bytes: last, failure } = relayed.end()
  expect(failure).toBeUndefined()
  const frames = frameSplitter().push(Buffer.concat([...out, last ?? Buffer.alloc(0)]))
  const data = frames.map((frame) => parseFrame(frame)?.data ?? '')
  const events = data.filter((text) => text !== '[DONE]').map((text) => JSON.parse(text) as Json)
  return { events, last: data.at(-1) ?? '', text: relayed.text() }
}

/** What a client puts together from the pieces. */
function heardIn(format: Format, events: readonly Json[]) {
  const heard = { reasoning: '', text: '', call: '' }
  for (const event of events as readonly never[]) {
    const { type, delta, choices } = event as { type: string; delta: never; choices: never[] }
    if (format === 'completions') {
      const { content, reasoning_content, tool_calls } =
        (choices as { delta: Record<string, never> }[])[0]?.delta ?? {}
      heard.text += content ?? ''
      heard.reasoning += reasoning_content ?? ''
      heard.call +=
        (tool_calls as { function: { arguments: string } }[] | undefined)?.[0]?.function.arguments ?? ''
    } else if (format === 'messages') {
      const { text, thinking, partial_json } = (delta ?? {}) as Record<string, string>
      heard.text += text ?? ''
      heard.reasoning += thinking ?? ''
      heard.call += partial_json ?? ''
    } else if (type === 'response.output_text.delta') heard.text += delta
    else if (type === 'response.function_call_arguments.delta') heard.call += delta
  }
  return heard
}

const TEXT = 'SSN 123-45-6789, ann@example.com and secret-42.'
const MASKED = 'SSN <SSN>, <EMAIL_ADDRESS> and <masked>.'
const CALL = '{"to":"ann@example.com","n":[123456789],"note":"a\\n123-45-6789"}'
const CALL_MASKED = { to: '<EMAIL_ADDRESS>', n: ['<SSN>'], note: 'a\n<SSN>' }

const PAIRS: readonly { client: Format; provider: Format }[] = [
  { client: 'completions', provider: 'completions' },
  { client: 'completions', provider: 'messages' },
  { client: 'messages', provider: 'messages' },
  { client: 'messages', provider: 'completions' },
  { client: 'messages', provider: 'responses' },
  { client: 'responses', provider: 'responses' },
  { client: 'responses', provider: 'completions' },
  { client: 'responses', provider: 'messages' },
]

describe.each(PAIRS)('$client from $provider', ({ client, provider }) => {
  const saidIn = (text: readonly string[], call: readonly string[] = [CALL]): Said => ({
    reasoning: text,
    text,
    call,
  })
  const masked = (said: Said, size?: number) => {
    const plan = planOf(client, provider, MASK)
    const relayed = relay(plan, bytesOf(provider, PROVIDERS[provider](said)), size)
    return { ...relayed, plan, heard: heardIn(client, relayed.events) }
  }
  const reasoning = client === 'responses' || provider === 'responses' ? {} : { reasoning: MASKED }

  test('is masked wherever a text is cut', () => {
    for (let at = 0; at <= TEXT.length; at++) {
      const { heard } = masked(saidIn([TEXT.slice(0, at), TEXT.slice(at)].filter((piece) => piece !== '')))
      expect(heard).toMatchObject({ ...reasoning, text: MASKED })
      expect(JSON.parse(heard.call)).toEqual(CALL_MASKED)
    }
  })

  test('is masked wherever the bytes are cut', () => {
    const said = saidIn([...TEXT], [...CALL])
    const first = masked(said)
    expect(first.heard).toMatchObject({ ...reasoning, text: MASKED })
    expect(JSON.parse(first.heard.call)).toEqual(CALL_MASKED)
    for (const size of [1, 7, 100]) expect(masked(said, size).events).toEqual(first.events)
  })

  test('keeps what was released, usage, finish reason and order', () => {
    const { events, text, plan, last } = masked(saidIn([...TEXT]))
    expect(JSON.stringify(events)).not.toMatch(/123|ann@|secret-/)
    expect(text).toContain(MASKED)
    expect(text).not.toMatch(/123|ann@|secret-/)
    expect(plan.facts.finishReasons).toHaveLength(1)
    expect(plan.facts.guards).toEqual([{ phase: 'response', guard: 'regex', action: 'Mask' }])
    expect(JSON.stringify(events.slice(-2))).toMatch(/:22[,}]/)
    if (client === 'completions') expect(last).toBe('[DONE]')
    if (client === 'messages') expect(JSON.parse(last)).toEqual({ type: 'message_stop' })
    if (client === 'responses') {
      expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()])
      const { response } = JSON.parse(last) as { response: { output: Json[] } }
      const contents = response.output.flatMap(({ content }) => (content as Json[] | undefined) ?? [])
      expect(contents.find(({ type }) => type === 'output_text')).toMatchObject({ text: MASKED })
    }
  })

  test('leaves alone what has nothing in it', () => {
    const said = saidIn(['All', ' is well', ', 24 times.'], ['{"a": ', '1}'])
    const { heard, plan } = masked(said)
    expect(heard).toMatchObject({ text: said.text.join(''), call: said.call.join('') })
    expect(plan.facts.guards).toMatchObject([{ action: 'Allow' }])
  })

  test('is cut off where a guard rejects, before anything of it is out', () => {
    const plan = planOf(client, provider, REJECT)
    const relayed = streamRelay(plan, options)
    const out: Buffer[] = []
    const frames = frameSplitter().push(bytesOf(provider, PROVIDERS[provider](saidIn([...TEXT]))))
    let fault: unknown
    for (const frame of frames) {
      try {
        out.push(relayed.forward(frame) ?? Buffer.alloc(0))
      } catch (error) {
        fault = error
        break
      }
    }
    expect(fault).toBeInstanceOf(GatewayError)
    const { status, message, code } = fault as GatewayError
    expect({ status, code }).toEqual({ status: 403, code: 'guard_rejected' })
    const told = Buffer.concat(out).toString()
    expect(told).not.toContain('123')
    const end = relayed.cut(status, message, code)?.toString() ?? ''
    expect(end).toContain('rejected due to inappropriate content: it matches ssn')
    expect(frameSplitter().push(Buffer.from(end))).toHaveLength(1)
    expect(plan.facts.guards).toMatchObject([{ action: 'Reject' }])
  })
})

test('a chunk that says all at once is masked in order', () => {
  const call = (index: number, to: string) => ({
    index,
    id: `call_${index}`,
    type: 'function',
    function: { name: 'send', arguments: JSON.stringify({ to }) },
  })
  const delta = {
    role: 'assistant',
    reasoning_content: 'I am ann@example.com',
    content: 'Mail ann@example.com',
    tool_calls: [call(0, 'ann@example.com'), call(1, 'bob')],
  }
  const chunk = { id: 'chat', choices: [{ index: 0, delta, finish_reason: 'tool_calls' }] }
  const { events } = relay(planOf('completions', 'completions', MASK), bytesOf('completions', [chunk]))
  expect(events).toEqual([
    {
      id: 'chat',
      choices: [
        {
          index: 0,
          delta: {
            role: 'assistant',
            reasoning_content: 'I am <EMAIL_ADDRESS>',
            content: 'Mail <EMAIL_ADDRESS>',
            tool_calls: [call(0, '<EMAIL_ADDRESS>'), call(1, 'bob')],
          },
          finish_reason: 'tool_calls',
        },
      ],
    },
  ])
})

test('what a server says under two names at once is masked in both', () => {
  const pieces = ['I am ann@', 'example', '.com, ok']
  const chunks = pieces.map((piece) => ({
    choices: [
      { index: 0, delta: { reasoning: piece, reasoning_content: piece, reasoning_details: [piece] } },
    ],
  }))
  const end = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
  const { events } = relay(
    planOf('completions', 'completions', MASK),
    bytesOf('completions', [...chunks, end]),
  )
  const deltas = (events as unknown as typeof chunks).map(({ choices }) => choices[0]?.delta)
  for (const name of ['reasoning', 'reasoning_content'] as const)
    expect(deltas.map((delta) => delta?.[name] ?? '').join('')).toBe('I am <EMAIL_ADDRESS>, ok')
  expect(JSON.stringify(events)).not.toContain('ann')
})

test('what a server repeats as a whole message in each chunk does not go on', () => {
  const pieces = ['I am ann@', 'example', '.com, ok']
  const chunks = pieces.map((content, index) => ({
    choices: [{ index: 0, delta: { content }, message: { content: pieces.slice(0, index + 1).join('') } }],
  }))
  const end = {
    choices: [{ index: 0, delta: {}, message: { content: pieces.join('') }, finish_reason: 'stop' }],
  }
  const { events } = relay(
    planOf('completions', 'completions', MASK),
    bytesOf('completions', [...chunks, end]),
  )
  const told = JSON.stringify(events)
  expect(told).toContain('<EMAIL_ADDRESS>')
  expect(told).not.toContain('ann')
})

test('what is held goes out before the error of a provider that breaks off', () => {
  const relayed = streamRelay(planOf('completions', 'completions', MASK), options)
  const events = chat({ reasoning: [], text: ['Mail ann@example.com'], call: [] })
  const out = relayed.forward(bytesOf('messages', events.slice(0, 2)))?.toString() ?? ''
  expect(out).toContain('Mail ')
  expect(out).not.toContain('EMAIL')
  expect(relayed.cut(503, 'broken', 'upstream_reset')?.toString()).toMatch(/<EMAIL_ADDRESS>[\s\S]*"broken"/)
})

test('half an event and what is no JSON never go out', () => {
  const relayed = streamRelay(planOf('completions', 'completions', MASK), options)
  const [first, second] = chat({ reasoning: [], text: ['ann@example.com'], call: [] })
  const bytes = bytesOf('messages', [first ?? {}, second ?? {}])
  relayed.forward(bytes.subarray(0, -20))
  const { bytes: last, failure } = relayed.end()
  expect(failure?.type).toBe('provider_bad_response')
  expect(last?.toString()).not.toContain('ann@')
})

test('without guards a stream’s bytes are the provider’s own', () => {
  const plan = planOf('messages', 'messages', promptGuardSchema.parse({ request: [] }))
  const chunk = Buffer.from('data: {"type":"ping"}\n\n')
  expect(streamRelay(plan, options).forward(chunk)).toBe(chunk)
})

test('streams that shall not be read are not', () => {
  const plan = planOf('messages', 'messages', { ...MASK, streaming: 'Disabled' })
  expect(plan.guards).toEqual([])
})
