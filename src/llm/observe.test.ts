import { describe, expect, test } from 'vitest'
import type { LlmFacts, WireFormat } from '../core/exchange.ts'
import { observeStream, type StreamObserver } from './observe.ts'
import { planOf } from './plan.fixture.ts'
import { ANTHROPIC_STREAM, CHAT_STREAM, RESPONSES_STREAM } from './recorded-streams.fixture.ts'

const facts = (): LlmFacts => planOf('completions', 'completions').facts
/** A clock that moves on with each look at it. */
const clock = () => {
  let now = 0
  return () => ++now
}

interface Seen {
  readonly facts: LlmFacts
  readonly observer: StreamObserver
}

function seen(format: WireFormat, events: readonly unknown[]): Seen {
  const noted = facts()
  const observer = observeStream(format, noted, clock())
  for (const event of events) {
    if (event === '[DONE]') observer.done()
    else observer.event(event)
  }
  return { facts: noted, observer }
}

const chunk = (delta: object, more: object = {}) => ({
  id: 'c',
  model: 'm',
  choices: [{ index: 0, delta, ...more }],
})

describe('a whole stream', () => {
  test.each([
    {
      name: 'OpenAI chat completions',
      format: 'completions' as const,
      events: CHAT_STREAM,
      facts: {
        responseModel: 'gpt-4o-mini-2024-07-18',
        responseId: 'chatcmpl-1',
        finishReasons: ['stop'],
        firstTokenAt: 1,
      },
      usage: { inputTokens: 9, outputTokens: 3, cacheReadTokens: 4, cacheWriteTokens: 0, reasoningTokens: 1 },
      text: 'Hello!',
    },
    {
      name: 'Anthropic messages with thinking and a tool',
      format: 'messages' as const,
      events: ANTHROPIC_STREAM,
      facts: {
        responseModel: 'claude-sonnet-4-20250514',
        responseId: 'msg_1',
        finishReasons: ['tool_use'],
        firstTokenAt: 1,
      },
      usage: {
        inputTokens: 482,
        outputTokens: 89,
        cacheReadTokens: 10,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
      },
      text: 'Let me thinkOkayget_weather{"location":"Paris"}',
    },
    {
      name: 'OpenAI responses',
      format: 'responses' as const,
      events: RESPONSES_STREAM,
      facts: {
        responseModel: 'gpt-4o-mini-2024-07-18',
        responseId: 'resp_1',
        finishReasons: ['completed'],
        firstTokenAt: 1,
      },
      usage: {
        inputTokens: 37,
        outputTokens: 11,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
      },
      text: 'Hi there!{"a":1}',
    },
  ])('it yields the facts of $name', ({ format, events, facts: expected, usage, text }) => {
    const { facts: noted, observer } = seen(format, events)
    expect(noted).toMatchObject(expected)
    expect(observer.usage()).toEqual(usage)
    expect([observer.complete(), observer.usageIsFinal(), observer.error()]).toEqual([true, true, undefined])
    expect(observer.output()).toEqual({ text, extraCharacters: 0 })
  })

  test.each([
    { format: 'completions' as const, events: CHAT_STREAM, last: 2 },
    { format: 'messages' as const, events: ANTHROPIC_STREAM, last: 1 },
    { format: 'responses' as const, events: RESPONSES_STREAM, last: 1 },
  ])(
    'it is not whole, and has no last word on usage, at any cut before the end: $format',
    ({ format, events, last }) => {
      for (let cut = 0; cut < events.length - last - 1; cut++) {
        const { observer } = seen(format, events.slice(0, cut))
        expect([cut, observer.complete()]).toEqual([cut, false])
        expect([cut, observer.usageIsFinal()]).toEqual([cut, false])
      }
    },
  )
})

describe('usage in a stream', () => {
  test('it is what Anthropic had said before a cut, not its last word', () => {
    const { observer } = seen('messages', ANTHROPIC_STREAM.slice(0, 3))
    expect(observer.usage()).toMatchObject({ inputTokens: 482, outputTokens: 3 })
    expect(observer.usageIsFinal()).toBe(false)
  })

  test('it is the last of those servers that put it into every chunk', () => {
    const counted = (tokens: number) => ({ usage: { prompt_tokens: 5, completion_tokens: tokens } })
    const first = [
      { ...chunk({ content: 'a' }), ...counted(1) },
      { ...chunk({ content: 'b' }), ...counted(2) },
    ]
    expect(seen('completions', first).observer.usageIsFinal()).toBe(false)
    const { observer } = seen('completions', [
      ...first,
      { ...chunk({}, { finish_reason: 'stop' }), ...counted(3) },
    ])
    expect(observer.usage()?.outputTokens).toBe(3)
    expect(observer.usageIsFinal()).toBe(true)
  })

  test('it is null in all chunks but one', () => {
    const { observer } = seen('completions', [{ ...chunk({ content: 'a' }), usage: null }])
    expect(observer.usage()).toBeUndefined()
  })

  test("it is found in Groq's place", () => {
    const usage = { prompt_tokens: 5, completion_tokens: 2 }
    const { observer } = seen('completions', [{ ...chunk({}, { finish_reason: 'stop' }), x_groq: { usage } }])
    expect(observer.usage()).toMatchObject({ inputTokens: 5, outputTokens: 2 })
  })

  test('it is reported where Anthropic changes its mind about the input', () => {
    const { observer } = seen('messages', [
      { type: 'message_start', message: { usage: { input_tokens: 10, output_tokens: 1 } } },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { input_tokens: 12, output_tokens: 7 },
      },
    ])
    expect(observer.usage()).toMatchObject({ inputTokens: 12, outputTokens: 7 })
  })
})

describe('the first token', () => {
  test.each([
    { name: 'text', format: 'completions' as const, event: chunk({ content: 'a' }) },
    { name: 'reasoning', format: 'completions' as const, event: chunk({ reasoning_content: 'a' }) },
    { name: 'a refusal', format: 'completions' as const, event: chunk({ refusal: 'a' }) },
    {
      name: 'a tool call',
      format: 'completions' as const,
      event: chunk({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '' } }] }),
    },
    {
      name: 'thinking',
      format: 'messages' as const,
      event: { type: 'content_block_delta', delta: { type: 'thinking_delta', thinking: 'a' } },
    },
    {
      name: 'a reasoning summary',
      format: 'responses' as const,
      event: { type: 'response.reasoning_summary_text.delta', delta: 'a' },
    },
    {
      name: 'input of a custom tool',
      format: 'responses' as const,
      event: { type: 'response.custom_tool_call_input.delta', delta: 'a' },
    },
  ])('it is $name of $format', ({ format, event }) => {
    expect(seen(format, [event]).facts.firstTokenAt).toBe(1)
  })

  test.each([
    { name: 'a role', format: 'completions' as const, event: chunk({ role: 'assistant', content: '' }) },
    { name: 'a null', format: 'completions' as const, event: chunk({ content: null }) },
    { name: 'a ping', format: 'messages' as const, event: { type: 'ping' } },
    {
      name: 'an empty block',
      format: 'messages' as const,
      event: { type: 'content_block_start', content_block: { type: 'text', text: '' } },
    },
    {
      name: 'a created response',
      format: 'responses' as const,
      event: { type: 'response.created', response: { id: 'r' } },
    },
  ])('it is not $name of $format', ({ format, event }) => {
    expect(seen(format, [event]).facts.firstTokenAt).toBeUndefined()
  })
})

describe('what goes wrong', () => {
  test.each([
    {
      format: 'completions' as const,
      event: { error: { message: 'too much', type: 'server_error' } },
      says: 'too much',
    },
    {
      format: 'messages' as const,
      event: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      says: 'Overloaded',
    },
    {
      format: 'responses' as const,
      event: { type: 'error', code: 'server_error', message: 'broken' },
      says: 'broken',
    },
    {
      format: 'responses' as const,
      event: {
        type: 'response.failed',
        response: { status: 'failed', error: { code: 'x', message: 'failed so' } },
      },
      says: 'failed so',
    },
    {
      format: 'responses' as const,
      event: { type: 'response.failed', response: { status: 'failed', error: null } },
      says: 'the provider failed the response',
    },
  ])('it is told by an error event of $format: $says', ({ format, event, says }) => {
    expect(seen(format, [event]).observer.error()).toBe(says)
  })

  test.each(['completions', 'messages', 'responses'] as const)(
    'it skips what it does not know in %s',
    (format) => {
      const strange = [
        null,
        7,
        'x',
        [],
        {},
        { type: 'new.event' },
        { type: 'message_start' },
        { type: 'message_start', message: 7 },
        { type: 'content_block_delta' },
        { type: 'message_delta', delta: null, usage: null },
        { choices: null },
        { choices: [null, 7, { delta: 7 }, { delta: { tool_calls: [null, { function: 7 }] } }] },
        { type: 'response.created', response: null },
        { error: null },
      ]
      const { facts: noted, observer } = seen(format, strange)
      expect(noted).toMatchObject({ responseModel: undefined, finishReasons: [], firstTokenAt: undefined })
      expect([observer.complete(), observer.error(), observer.usage()]).toEqual([false, undefined, undefined])
    },
  )

  test('it keeps no more text than an estimate needs, and counts the rest', () => {
    const piece = 'x'.repeat(100_000)
    const { observer } = seen(
      'completions',
      Array.from({ length: 5 }, () => chunk({ content: piece })),
    )
    const { text, extraCharacters } = observer.output()
    expect(text.length + extraCharacters).toBe(500_000)
    expect(text.length).toBe(300_000)
  })
})
