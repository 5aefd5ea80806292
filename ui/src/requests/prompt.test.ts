import { expect, test } from 'vitest'
import { readPrompt } from './prompt.ts'

test.each([
  {
    name: 'chat completions',
    body: {
      model: 'm',
      messages: [
        { role: 'system', content: 'Short.' },
        { role: 'user', content: 'Hello' },
      ],
    },
    turns: ['system: Short.', 'user: Hello'],
  },
  {
    name: 'messages, their system prompt first',
    body: {
      model: 'm',
      system: 'Short.',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
    },
    turns: ['system: Short.', 'user: Hello'],
  },
  {
    name: 'responses',
    body: { model: 'm', instructions: 'Short.', input: 'Hello' },
    turns: ['system: Short.', 'user: Hello'],
  },
  {
    name: 'a call of a tool as JSON',
    body: { model: 'm', messages: [{ role: 'assistant', content: null, tool_calls: [] }] },
    turns: ['assistant: {\n  "role": "assistant",\n  "content": null,\n  "tool_calls": []\n}'],
  },
  { name: 'what else was sent', body: { model: 'm', input: 'Hello' }, turns: ['user: Hello'] },
])('reads $name', ({ body, turns }) => {
  const prompt = readPrompt(JSON.stringify(body))
  expect(prompt?.turns.map(({ role, text }) => `${role}: ${text}`)).toEqual(turns)
  expect(prompt?.others).toEqual({ model: 'm' })
})

test.each(['Hello', '[1]', '{"model":"m"}', '{"messages":[]}', '{"mess'])('leaves %s as it is', (text) => {
  expect(readPrompt(text)).toBeUndefined()
})
