/** Streams that a service judges: held until it has, then as they came or masked. */
import { describe, expect, test } from 'vitest'
import { formatEvent, frameSplitter, parseFrame } from '../core/sse.ts'
import { promptGuardSchema } from './guard/schema.ts'
import type { Question, Verdict } from './guard/service.ts'
import { createVerdicts, whenAsked } from './guard/verdicts.ts'
import { backendOf, requestOf } from './plan.fixture.ts'
import { planLlm } from './plan.ts'
import { type StreamRelay, streamRelay } from './relay.ts'

type Json = Readonly<Record<string, unknown>>

const PATHS = { completions: '/v1/chat/completions', messages: '/v1/messages' } as const
const PASS = (): Verdict => ({ action: 'pass' })
const UPPER = ({ texts }: Question): Verdict => ({
  action: 'mask',
  texts: texts.map(({ content }) => content.toUpperCase()),
})

interface Judged {
  readonly relay: StreamRelay
  readonly asked: Question[]
  readonly clock: { now: number }
}

function judged(
  format: keyof typeof PATHS,
  verdictOn: (question: Question) => Verdict,
  maxBytes = 10_000,
): Judged {
  const asked: Question[] = []
  const clock = { now: 0 }
  const promptGuard = promptGuardSchema.parse({ response: [{ webhook: { target: { host: 'h:1' } } }] })
  const backend = backendOf({
    provider: { custom: { formats: [{ type: format }] } },
    ai: { promptGuard },
    serviceOf: () => ({
      kind: 'webhook',
      id: 'a',
      failsOpen: false,
      ask(question) {
        asked.push(question)
        return Promise.resolve(verdictOn(question))
      },
    }),
  })
  const verdicts = createVerdicts({
    headers: {},
    variables: () => ({}),
    trace: {},
    signal: new AbortController().signal,
    maxBytes,
    now: () => 0,
    failed: () => {},
  })
  const body = {
    model: 'm',
    stream: true,
    max_tokens: 9,
    messages: [{ role: 'user', content: 'hi' }],
    ...(format === 'completions' && { stream_options: { include_usage: true } }),
  }
  const plan = planLlm(backend, requestOf(PATHS[format], body, { verdicts }))
  const options = { now: () => clock.now, epochSeconds: () => 1, newId: () => 'id', maxBytes }
  return { relay: streamRelay(plan, options), asked, clock }
}

const chunk = (choices: readonly Json[]) => ({
  id: 'c',
  object: 'chat.completion.chunk',
  model: 'm',
  choices,
})
const delta = (index: number, said: Json, finish_reason: string | null = null) =>
  chunk([{ index, delta: said, logprobs: { content: [{ token: 'x' }] }, finish_reason }])
const call = (text: string, more: Json = {}) => ({
  tool_calls: [
    { index: 0, ...more, function: { ...(more.id !== undefined && { name: 'f' }), arguments: text } },
  ],
})

const CHAT = [
  delta(0, { role: 'assistant', content: '' }),
  delta(0, { reasoning_content: 'let ' }),
  delta(1, { content: 'other' }),
  delta(0, { reasoning_content: 'me' }),
  delta(0, { content: 'first ' }),
  delta(0, { content: 'one' }),
  delta(1, {}, 'stop'),
  delta(0, call('{"a"', { id: 'call_1' })),
  delta(0, call(':"b"}')),
  delta(0, {}, 'tool_calls'),
]
const write = (events: readonly Json[]) =>
  Buffer.from(
    `: hello\n\n${events.map((event) => formatEvent({ event: undefined, data: JSON.stringify(event) })).join('')}data: [DONE]\n\n`,
  )

function readChat(bytes: Buffer) {
  const told: Record<string, string> = {}
  for (const frame of frameSplitter().push(bytes)) {
    const data = parseFrame(frame)?.data
    if (data === undefined || data === '[DONE]') continue
    for (const { index, delta: said } of JSON.parse(data).choices) {
      for (const key of ['content', 'reasoning_content'])
        if (said[key] !== undefined) told[`${key} ${index}`] = (told[`${key} ${index}`] ?? '') + said[key]
      const arguments_ = said.tool_calls?.[0].function.arguments
      if (arguments_ !== undefined) told.arguments = (told.arguments ?? '') + arguments_
    }
  }
  return told
}

const endOf = async (relay: StreamRelay) => (await whenAsked(() => relay.end())).bytes ?? Buffer.alloc(0)

function feed(relay: StreamRelay, bytes: Buffer, size = 17): (Buffer | undefined)[] {
  const told: (Buffer | undefined)[] = []
  for (let at = 0; at < bytes.length; at += size) told.push(relay.forward(bytes.subarray(at, at + size)))
  return told.filter((piece) => piece !== undefined)
}

describe('a stream', () => {
  test('that passes goes on as it came, once it has', async () => {
    const { relay, asked } = judged('completions', PASS)
    const bytes = write(CHAT)
    expect(feed(relay, bytes)).toEqual([])
    expect(relay.text()).toBe('')
    expect(await endOf(relay)).toEqual(bytes)
    expect(asked).toEqual([
      {
        phase: 'response',
        texts: ['let me', 'other', 'first one'].map((content) => ({ role: 'assistant', content })),
      },
    ])
    expect(relay.text()).toContain('first one')
  })

  test('of several choices is masked in each, and not in what tools are told', async () => {
    const { relay } = judged('completions', UPPER)
    feed(relay, write(CHAT))
    const bytes = await endOf(relay)
    expect(readChat(bytes)).toEqual({
      'content 0': 'FIRST ONE',
      'content 1': 'OTHER',
      'reasoning_content 0': 'LET ME',
      arguments: '{"a":"b"}',
    })
    expect(bytes.toString()).not.toContain('"token"')
    expect(bytes.toString()).toMatch(/data: \[DONE\]\n\n$/)
    expect(relay.text()).not.toMatch(/first|other|let/)
  })

  test('of messages has each block masked before it ends', async () => {
    const { relay } = judged('messages', UPPER)
    const block = (index: number, type: string, deltas: readonly Json[]) => [
      { type: 'content_block_start', index, content_block: { type, [type]: '' } },
      ...deltas.map((one) => ({ type: 'content_block_delta', index, delta: one })),
      { type: 'content_block_stop', index },
    ]
    const events = [
      { type: 'message_start', message: { id: 'm', role: 'assistant', model: 'm', content: [], usage: {} } },
      ...block(0, 'thinking', [
        { type: 'thinking_delta', thinking: 'we' },
        { type: 'thinking_delta', thinking: 'll' },
        { type: 'signature_delta', signature: 's' },
      ]),
      ...block(1, 'text', [
        { type: 'text_delta', text: 'so ' },
        { type: 'text_delta', text: 'be it' },
      ]),
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 3 } },
      { type: 'message_stop' },
    ]
    const written = events.map((one) => formatEvent({ event: one.type, data: JSON.stringify(one) })).join('')
    feed(relay, Buffer.from(written))
    const told = frameSplitter()
      .push(await endOf(relay))
      .map((frame) => JSON.parse(parseFrame(frame)?.data ?? ''))
      .map(({ type, delta: said }) => said?.text ?? said?.thinking ?? said?.signature ?? type)
    expect(told).toEqual([
      'message_start',
      'content_block_start',
      'WELL',
      's',
      'content_block_stop',
      'content_block_start',
      'SO BE IT',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
  })

  test('has nothing in it that cannot be read', async () => {
    const { relay } = judged('completions', PASS)
    feed(relay, Buffer.concat([Buffer.from('data: unread\n\n'), write(CHAT)]))
    expect((await endOf(relay)).toString()).not.toContain('unread')
  })

  test('has nothing in it that says again what was judged', async () => {
    const { relay } = judged('completions', PASS)
    const again = {
      reasoning_content: 'hm',
      reasoning_details: [{ type: 'reasoning.text', text: 'unjudged' }],
    }
    feed(relay, write([delta(0, again), ...CHAT]))
    const bytes = await endOf(relay)
    expect(bytes.toString()).not.toContain('unjudged')
    expect(readChat(bytes)).toMatchObject({ 'content 0': 'first one', 'reasoning_content 0': 'hmlet me' })
  })

  test('has no message beside what is said piece by piece', async () => {
    const { relay } = judged('completions', PASS)
    const repeating = { index: 0, delta: { content: 'well, ' }, message: { content: 'unjudged' } }
    feed(relay, write([chunk([repeating]), delta(0, { content: 'first one' }, 'stop')]))
    const bytes = await endOf(relay)
    expect(bytes.toString()).not.toContain('unjudged')
    expect(readChat(bytes)).toMatchObject({ 'content 0': 'well, first one' })
  })

  test.each([
    { name: 'passes', verdict: PASS, change: (text: string) => text },
    { name: 'is masked', verdict: UPPER, change: (text: string) => text.toUpperCase() },
  ])('however long it is and however small its pieces: it $name whole', async ({ verdict, change }) => {
    const words = Array.from({ length: 1000 }, (_, index) => `word ${index} `)
    const bytes = write([...words.map((content) => delta(0, { content })), delta(0, {}, 'stop')])
    const { relay } = judged('completions', verdict, 1_000_000)
    for (let at = 0; at < bytes.length; at += 7) relay.forward(bytes.subarray(at, at + 7))
    relay.forward(Buffer.from('\n'.repeat(1000)))
    const told = await endOf(relay)
    expect(bytes.length).toBeGreaterThan(100_000)
    expect(readChat(told)).toMatchObject({ 'content 0': change(words.join('')) })
  })

  test('that breaks off is an error, and nothing of what is held', () => {
    const { relay, asked } = judged('completions', PASS)
    feed(relay, write(CHAT).subarray(0, 900))
    const told = relay.cut(503, 'broken', 'upstream_reset')?.toString()
    expect(told).toContain('broken')
    expect(told).not.toMatch(/first|other|let/)
    expect(asked).toEqual([])
  })

  test('that is larger than what is held is none', () => {
    const { relay } = judged('completions', PASS, 1000)
    expect(() => feed(relay, write(CHAT))).toThrow(expect.objectContaining({ code: 'upstream_too_large' }))
  })

  test('keeps its connection alive while the provider speaks', () => {
    const { relay, clock } = judged('completions', PASS)
    const bytes = write(CHAT)
    const told = [0, 14_999, 15_000, 20_000, 30_000].map((now, index) => {
      clock.now = now
      return relay.forward(bytes.subarray(index * 9, index * 9 + 9))?.toString()
    })
    expect(told).toEqual([undefined, undefined, ':\n\n', undefined, ':\n\n'])
  })
})
