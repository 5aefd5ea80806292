/** Streams of a provider that speaks the client's own format. Others: `relay-translated.test.ts`. */
import { describe, expect, test } from 'vitest'
import { frameSplitter, parseFrame } from '../core/sse.ts'
import { backendOf, planOf, requestOf } from './plan.fixture.ts'
import type { LlmPlan } from './plan.ts'
import { planLlm } from './plan.ts'
import { ANTHROPIC_STREAM, bytesOf, CHAT_STREAM, RESPONSES_STREAM } from './recorded-streams.fixture.ts'
import { type RelayOptions, type StreamEnd, streamRelay } from './relay.ts'

const options: RelayOptions = { now: () => 7, epochSeconds: () => 1, newId: () => 'id', maxBytes: 100_000 }

/** A client that asks for a stream, but not for usage. */
const unasked = () => planOf('completions', 'completions', { stream: true })
const asked = () =>
  planOf('completions', 'completions', { stream: true, stream_options: { include_usage: true } })

interface Relayed {
  /** Everything that the client gets. */
  readonly bytes: Buffer
  readonly failure: StreamEnd['failure']
  readonly plan: LlmPlan
}

/** Sends `bytes` through, in pieces that end at `cuts`. */
function relay(plan: LlmPlan, bytes: Buffer, cuts: readonly number[] = []): Relayed {
  const relayed = streamRelay(plan, options)
  const out: Buffer[] = []
  for (const [index, cut] of [...cuts, bytes.length].entries()) {
    const piece = bytes.subarray(cuts[index - 1] ?? 0, cut)
    out.push(relayed.forward(piece) ?? Buffer.alloc(0))
    relayed.observe(piece)
  }
  const { bytes: last, failure } = relayed.end()
  return { bytes: Buffer.concat([...out, last ?? Buffer.alloc(0)]), failure, plan }
}

const inPieces = (plan: LlmPlan, bytes: Buffer, size: number) =>
  relay(
    plan,
    bytes,
    Array.from({ length: Math.ceil(bytes.length / size) - 1 }, (_, index) => (index + 1) * size),
  )

function eventsOf(bytes: Buffer) {
  const splitter = frameSplitter()
  const frames = [...splitter.push(bytes), splitter.end() ?? Buffer.alloc(0)]
  return frames.map(parseFrame).filter((event) => event !== undefined)
}

describe('pass-through', () => {
  test.each([
    { name: 'a chat with usage asked for', plan: asked, events: CHAT_STREAM },
    {
      name: 'messages',
      plan: () => planOf('messages', 'messages', { stream: true }),
      events: ANTHROPIC_STREAM,
    },
    {
      name: 'responses',
      plan: () => planOf('responses', 'responses', { stream: true }),
      events: RESPONSES_STREAM,
    },
  ])('it keeps every byte in every split, and reads the same: $name', ({ plan, events }) => {
    for (const lineEnd of ['\n', '\r\n', '\r']) {
      const bytes = bytesOf(events, lineEnd)
      const { facts } = relay(plan(), bytes).plan
      expect(facts.responseModel).toBeDefined()
      for (let size = 1; size < bytes.length; size += size < 70 ? 1 : 61) {
        const relayed = inPieces(plan(), bytes, size)
        expect(relayed.bytes.equals(bytes)).toBe(true)
        expect(relayed).toMatchObject({ failure: undefined, plan: { facts } })
      }
    }
  })

  test('it hands on a piece at once, and itself', () => {
    const relayed = streamRelay(asked(), options)
    const half = Buffer.from('data: {"cho')
    expect(relayed.forward(half)).toBe(half)
  })

  test('it goes on with an event that is too large to be read', () => {
    const bytes = Buffer.concat([Buffer.from(`data: ${'x'.repeat(200_000)}\n\n`), bytesOf(CHAT_STREAM)])
    const relayed = inPieces(asked(), bytes, 10_000)
    expect(relayed.bytes.equals(bytes)).toBe(true)
    expect(relayed.failure).toBeUndefined()
  })

  test('it reads nothing of a passthrough route', () => {
    const plan = planLlm(backendOf(), requestOf('/v1/audio', '{"model":"m"}'))
    const relayed = relay(plan, Buffer.from('data: {"error":{"message":"x"}}\n\nnonsense'))
    expect(relayed.bytes.toString()).toBe('data: {"error":{"message":"x"}}\n\nnonsense')
    expect(relayed.failure).toBeUndefined()
    expect(streamRelay(plan, options).observer).toBeUndefined()
    expect(streamRelay(plan, options).cut(502, 'x', 'y')).toBeUndefined()
  })
})

describe('the usage that the client did not ask for', () => {
  const withoutUsage = CHAT_STREAM.filter((_, index) => index !== 4)

  test.each([
    { name: 'line feeds', lineEnd: '\n' },
    { name: 'carriage returns and line feeds', lineEnd: '\r\n' },
    { name: 'carriage returns', lineEnd: '\r' },
  ])('it is taken out in every split, and read: $name', ({ lineEnd }) => {
    const bytes = bytesOf(CHAT_STREAM, lineEnd)
    const left = bytesOf(withoutUsage, lineEnd)
    const check = ({ bytes: out, failure, plan }: Relayed) => {
      // A split between the two line ends may leave a blank line: it is no event.
      if (lineEnd === '\r\n') expect(eventsOf(out)).toEqual(eventsOf(left))
      else expect(out.equals(left)).toBe(true)
      expect(failure).toBeUndefined()
      expect(plan.facts).toMatchObject({ finishReasons: ['stop'], firstTokenAt: 7 })
    }
    for (let size = 1; size <= bytes.length; size += size < 300 ? 1 : 37)
      check(inPieces(unasked(), bytes, size))
    for (let cut = 1; cut < bytes.length; cut++) check(relay(unasked(), bytes, [cut]))
  })

  test('it is counted', () => {
    const relayed = streamRelay(unasked(), options)
    relayed.forward(bytesOf(CHAT_STREAM))
    expect(relayed.observer?.usage()).toMatchObject({ inputTokens: 9, outputTokens: 3 })
    expect(relayed.observer?.usageIsFinal()).toBe(true)
  })

  test('it is taken out when it comes last, without a blank line', () => {
    const bytes = bytesOf(CHAT_STREAM.slice(0, 5))
    const left = bytesOf(CHAT_STREAM.slice(0, 4)).toString()
    for (const missing of [1, 2]) {
      const relayed = relay(unasked(), bytes.subarray(0, bytes.length - missing))
      expect(relayed.bytes.toString()).toBe(left)
      expect(relayed.failure).toBeUndefined()
    }
  })

  test.each([
    { name: 'a comment', text: ': keep-alive\n\n' },
    {
      name: "Azure's first chunk, without choices and without usage",
      text: 'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    },
    { name: 'a chunk whose usage is null', text: 'data: {"choices":[],"usage":null}\n\n' },
    {
      name: 'a last choice with usage',
      text: 'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}\n\n',
    },
    {
      name: 'text that speaks of "usage"',
      text: 'data: {"choices":[{"index":0,"delta":{"content":"\\"usage\\""}}]}\n\n',
    },
    { name: 'an event of another kind', text: 'event: x\nid: 7\ndata: {"usage":{"a":1}}\n\n' },
    { name: 'data that is no JSON', text: 'data: "usage" choices\n\n' },
  ])('it is nothing else: $name', ({ text }) => {
    const bytes = Buffer.concat([Buffer.from(text), bytesOf(withoutUsage)])
    expect(inPieces(unasked(), bytes, 11).bytes.toString()).toBe(bytes.toString())
  })

  test('it is not held back with what is complete', () => {
    const relayed = streamRelay(unasked(), options)
    expect(relayed.forward(Buffer.from('data: {"choices":[]}\n\ndata: {'))?.toString()).toBe(
      'data: {"choices":[]}\n\n',
    )
    expect(relayed.forward(Buffer.from('"x":1}'))).toBeUndefined()
    expect(relayed.forward(Buffer.from('\n\n'))?.toString()).toBe('data: {"x":1}\n\n')
  })

  test('it cannot be looked for in an event without end', () => {
    const relayed = streamRelay(unasked(), options)
    expect(() => relayed.forward(Buffer.alloc(100_001, 'x'))).toThrow(
      expect.objectContaining({ code: 'upstream_bad_response' }),
    )
  })
})

describe('a stream that ends early', () => {
  const told = { error: { message: 'the provider ended the stream early', code: 'upstream_bad_response' } }

  test.each([
    { name: 'a chat', plan: asked, events: CHAT_STREAM.slice(0, 3) },
    { name: 'a chat without usage', plan: unasked, events: CHAT_STREAM.slice(0, 3) },
    { name: 'nothing at all', plan: asked, events: [] },
    {
      name: 'messages',
      plan: () => planOf('messages', 'messages', { stream: true }),
      events: ANTHROPIC_STREAM.slice(0, -1),
    },
    {
      name: 'responses',
      plan: () => planOf('responses', 'responses', { stream: true }),
      events: RESPONSES_STREAM.slice(0, -1),
    },
  ])('it says so to the client, in its own format: $name', ({ plan, events }) => {
    const bytes = bytesOf(events)
    const relayed = inPieces(plan(), bytes, 13)
    expect(relayed.failure).toEqual({ type: 'provider_bad_response', message: told.error.message })
    expect(relayed.bytes.subarray(0, bytes.length).equals(bytes)).toBe(true)
    const [last, ...more] = eventsOf(relayed.bytes.subarray(bytes.length))
    expect(more).toEqual([])
    expect(last?.data).toContain(told.error.message)
  })

  test.each([
    { format: 'messages' as const, event: 'error', json: { type: 'error', error: { type: 'api_error' } } },
    {
      format: 'responses' as const,
      event: 'error',
      json: { type: 'error', code: 'upstream_bad_response', param: null },
    },
    { format: 'completions' as const, event: undefined, json: told },
  ])('it names the event as the SDK of $format knows it', ({ format, event, json }) => {
    const { bytes } = relay(planOf(format, format, { stream: true }), Buffer.alloc(0))
    const [told] = eventsOf(bytes)
    expect(told?.event).toBe(event)
    expect(JSON.parse(told?.data ?? '')).toMatchObject(json)
  })

  test('it keeps a last event that only lacks its blank line', () => {
    const bytes = bytesOf(CHAT_STREAM.slice(0, 2)).subarray(0, -1)
    for (const plan of [asked(), unasked()]) {
      const events = eventsOf(relay(plan, bytes).bytes)
      expect(events).toHaveLength(3)
      expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject(told)
    }
  })

  test('it does not hand on half an event that it still held', () => {
    const whole = bytesOf(CHAT_STREAM.slice(0, 2))
    const relayed = relay(unasked(), Buffer.concat([whole, Buffer.from('data: {"id":"chat')]))
    expect(relayed.bytes.subarray(0, whole.length).equals(whole)).toBe(true)
    const [last, ...more] = eventsOf(relayed.bytes.subarray(whole.length))
    expect(more).toEqual([])
    expect(JSON.parse(last?.data ?? '')).toMatchObject(told)
  })

  test.each([
    { name: 'with its finish reason', events: CHAT_STREAM.slice(0, 4) },
    { name: 'with its end marker', events: [...CHAT_STREAM.slice(0, 3), '[DONE]'] },
  ])('it is whole $name', ({ events }) => {
    expect(relay(asked(), bytesOf(events)).failure).toBeUndefined()
  })
})

describe('an error inside a stream', () => {
  test('it reaches the client as it came, and the record as what the provider said', () => {
    const bytes = bytesOf([
      ...CHAT_STREAM.slice(0, 2),
      { error: { message: 'overloaded', type: 'server_error' } },
    ])
    for (const plan of [asked(), unasked()]) {
      const relayed = relay(plan, bytes)
      expect(relayed.bytes.equals(bytes)).toBe(true)
      expect(relayed.failure).toEqual({ type: 'provider_stream_error', message: 'overloaded' })
    }
  })

  test('it does not repeat the key that was sent', () => {
    const backend = backendOf()
    const headers = { authorization: 'Bearer sk-very-secret' }
    const plan = planLlm(
      backend,
      requestOf('/v1/chat/completions', { model: 'm', messages: [], stream: true }, { headers }),
    )
    const { failure } = relay(plan, bytesOf([{ error: { message: 'wrong key sk-very-secret' } }]))
    expect(failure?.message).toBe('wrong key [redacted]')
  })
})

describe('a stream that is cut', () => {
  const cut = (plan: LlmPlan, text: string) => {
    const relayed = streamRelay(plan, options)
    relayed.forward(Buffer.from(text))
    relayed.observe(Buffer.from(text))
    return relayed.cut(504, 'the response stalled', 'idle_timeout')?.toString()
  }
  const told =
    'data: {"error":{"message":"the response stalled","type":"server_error","param":null,"code":"idle_timeout"}}\n\n'

  test.each(['', 'data: {}\n\n', 'data: {}\r\n\r\n', ': ping\n\n'])(
    'it tells the client between events: %j',
    (text) => {
      expect(cut(asked(), text)).toBe(told)
      expect(cut(unasked(), text)).toBe(told)
    },
  )

  test('it cannot tell anything inside an event that is out', () => {
    expect(cut(asked(), 'data: {}\n\ndata: {"ch')).toBeUndefined()
  })

  test('it can tell inside an event that it still holds', () => {
    expect(cut(unasked(), 'data: {}\n\ndata: {"ch')).toBe(told)
  })
})
