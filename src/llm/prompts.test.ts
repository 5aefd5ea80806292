import { describe, expect, test } from 'vitest'
import { enrich } from './prompts.ts'

const system = { role: 'system', content: 'be kind' }
const developer = { role: 'developer', content: 'be short' }
const user = { role: 'user', content: 'remember' }
const hello = { role: 'user', content: 'hello' }
const text = (content: string) => ({ type: 'text', text: content })

describe('enrich', () => {
  test('it puts messages of a chat around those of the client, in order', () => {
    const body = { model: 'm', messages: [hello] }
    expect(enrich('completions', body, { prepend: [system, developer], append: [user] })).toEqual({
      model: 'm',
      messages: [system, developer, hello, user],
    })
    expect(body.messages).toEqual([hello])
  })

  test.each([
    { name: 'a string', input: 'hello', own: [hello] },
    {
      name: 'a list',
      input: [hello, { type: 'item_reference', id: 'x' }],
      own: [hello, { type: 'item_reference', id: 'x' }],
    },
    { name: 'nothing', input: undefined, own: [] },
  ])('it puts items around an input of responses that is $name', ({ input, own }) => {
    const { input: enriched } = enrich('responses', { input }, { prepend: [system], append: [user] })
    expect(enriched).toEqual([system, ...own, user])
  })

  test.each([
    { name: 'no system prompt', own: undefined, system: [text('be kind'), text('be short')] },
    { name: 'a system prompt', own: 'you are', system: [text('be kind'), text('you are'), text('be short')] },
    {
      name: 'a system prompt of blocks, cache marks and all',
      own: [{ ...text('you are'), cache_control: { type: 'ephemeral' } }],
      system: [
        text('be kind'),
        { ...text('you are'), cache_control: { type: 'ephemeral' } },
        text('be short'),
      ],
    },
  ])('it puts system prompts of messages around $name', ({ own, system: expected }) => {
    const body = { messages: [hello], ...(own !== undefined && { system: own }) }
    expect(enrich('messages', body, { prepend: [system], append: [developer] })).toEqual({
      system: expected,
      messages: [hello],
    })
  })

  test('it puts turns of messages among the messages, and adds no system prompt for them', () => {
    expect(enrich('messages', { messages: [hello] }, { prepend: [user], append: [user] })).toEqual({
      messages: [user, hello, user],
    })
  })

  test('it leaves embeddings alone: there is no conversation', () => {
    const body = { input: 'hello' }
    expect(enrich('embeddings', body, { prepend: [system] })).toBe(body)
  })
})
