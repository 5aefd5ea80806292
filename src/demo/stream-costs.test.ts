import { describe, expect, test } from 'vitest'
import type { Answer } from './answer.ts'
import { answerMessages } from './anthropic-messages.ts'
import { answerChat } from './openai-chat.ts'
import { answerResponses } from './openai-responses.ts'
import { pieces } from './reply.ts'
import type { Script } from './script.ts'

test.each<{ text: string; chunks: number | undefined; parts: string[] }>([
  { text: 'How are you?', chunks: undefined, parts: ['How', ' are', ' you', '?'] },
  { text: 'How are you?', chunks: 3, parts: ['How', ' are', ' you?'] },
  { text: 'Hi there', chunks: 4, parts: ['Hi', ' t', 'he', 're'] },
  { text: 'a🚀b', chunks: undefined, parts: ['a', '🚀', 'b'] },
])('streams "$text" in pieces: $chunks', ({ text, chunks, parts }) => {
  expect(pieces(text, chunks)).toEqual(parts)
})

const user = { messages: [{ role: 'user', content: 'Hi' }], stream: true }
const APIS: Record<string, (script: Script) => Answer> = {
  chat: (script) => answerChat({ model: 'gpt-4o', ...user }, script, 'req_1'),
  'chat with choices': (script) => answerChat({ model: 'gpt-4o', n: 3, ...user }, script, 'req_1'),
  responses: (script) => answerResponses({ model: 'gpt-4.1', input: 'Hi', stream: true }, script),
  'responses with a summary': (script) =>
    answerResponses(
      { model: 'gpt-5', input: 'Hi', stream: true, reasoning: { effort: 'low', summary: 'auto' } },
      script,
    ),
  messages: (script) =>
    answerMessages({ model: 'claude-haiku-5-5', max_tokens: 4096, ...user }, script, {
      requestId: 'req_1',
      strictness: { joinsTurns: false },
    }),
  'messages with thinking': (script) =>
    answerMessages(
      {
        model: 'claude-haiku-5-5',
        max_tokens: 4096,
        thinking: { type: 'enabled', budget_tokens: 1024 },
        ...user,
      },
      script,
      { requestId: 'req_1', strictness: { joinsTurns: false } },
    ),
}

function framesOf(answer: Answer) {
  if (answer.body.kind !== 'stream') throw new Error('no stream')
  return answer.body.frames
}

describe.each(Object.keys(APIS))('a stream of %s', (api) => {
  test.each<Script>([
    {},
    { text: 'One two three' },
    { text: 'Hi' },
    { text: '' },
    { text: '🚀' },
    { text: 'One two three', chunks: 5 },
    { text: 'One two three', outputTokens: 300 },
    { text: 'One two three', outputTokens: 0, reasoningTokens: 0 },
    { text: '', outputTokens: 200, reasoningTokens: 7 },
    { textBytes: 70_000, chunks: 10 },
    { toolCalls: [{ name: 'f', arguments: '{"city":"Paris"}' }] },
    { text: 'One two', toolCalls: [{ name: 'f', arguments: '{}' }] },
  ])('costs what is billed: %o', (script) => {
    const answer = APIS[api]?.(script)
    if (answer === undefined) throw new Error('no answer')
    const frames = framesOf(answer)
    expect(frames.reduce((sum, frame) => sum + frame.outputTokens, 0)).toBe(answer.usage.outputTokens)
    expect(frames.every((frame) => frame.outputTokens >= frame.reasoningTokens)).toBe(true)
    expect(frames.every((frame) => frame.reasoningTokens >= 0)).toBe(true)
  })

  test('costs the own tokens of each delta of text', () => {
    const answer = APIS[api]?.({ text: 'How are you?', chunks: 3 })
    if (answer === undefined) throw new Error('no answer')
    // The first token of messages is told of, and paid, before; it is the text's unless there are thoughts.
    const expected = api === 'messages' ? [0, 1, 2] : [1, 1, 2]
    const deltas = framesOf(answer).filter(
      (frame) => /How| are| you/.test(frame.text) && frame.kind === 'delta',
    )
    expect(deltas.slice(0, 3).map((frame) => frame.outputTokens)).toEqual(expected)
  })
})
