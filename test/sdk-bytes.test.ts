/**
 * Where client and provider speak the same API, the bytes that arrive are those that were sent.
 *
 * The provider answers every request of one shape with the same bytes, so that a direct call can be compared with
 * one through the gateway. A stream whose client did not ask for usage is of the shape that did: the gateway asks.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DIRECT_HEADERS, type Prefix, type SdkLab, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab({
    fixed: {
      text: 'Grüße aus Zürich 🚀, 数据',
      chunks: 5,
      inputTokens: 120,
      outputTokens: 45,
      cacheReadTokens: 64,
    },
  })
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const HELLO = [{ role: 'user', content: 'Hello! Grüße' }]
const CHAT = { model: 'gpt-4o', messages: HELLO }
const RESPONSES = { model: 'gpt-4o', input: 'Hello!' }
const MESSAGES = { model: 'claude-5', max_tokens: 100, messages: HELLO }

const HEADERS = {
  authorization: 'Bearer sk-test',
  'x-api-key': 'sk-ant-test',
  'anthropic-version': '2023-06-01',
  'content-type': 'application/json',
}

async function bytes(base: string, path: string, body: string) {
  const isDirect = !base.startsWith(lab.gateway.url)
  const headers = { ...HEADERS, ...(isDirect && DIRECT_HEADERS) }
  const response = await fetch(base + path, { method: 'POST', headers, body })
  expect(response.status).toBe(200)
  return { body: await response.text(), type: response.headers.get('content-type') }
}

interface Case {
  readonly name: string
  readonly provider: 'openAI' | 'anthropic'
  readonly path: string
  readonly ask: object
  readonly prefixes: readonly Prefix[]
}

const OPENAI: readonly Prefix[] = ['/openai', '/passthrough', '/detect']
const ANTHROPIC: readonly Prefix[] = ['/anthropic', '/passthrough-anthropic', '/detect-anthropic']
const usage = { stream: true, stream_options: { include_usage: true } }

const CASES: readonly Case[] = [
  { name: 'chat', provider: 'openAI', path: '/v1/chat/completions', ask: CHAT, prefixes: OPENAI },
  {
    name: 'a chat stream with usage',
    provider: 'openAI',
    path: '/v1/chat/completions',
    ask: { ...CHAT, ...usage },
    prefixes: OPENAI,
  },
  {
    name: 'a chat stream without usage, of which nobody counts the tokens',
    provider: 'openAI',
    path: '/v1/chat/completions',
    ask: { ...CHAT, stream: true },
    prefixes: ['/passthrough', '/detect'],
  },
  { name: 'responses', provider: 'openAI', path: '/v1/responses', ask: RESPONSES, prefixes: OPENAI },
  {
    name: 'a responses stream',
    provider: 'openAI',
    path: '/v1/responses',
    ask: { ...RESPONSES, stream: true },
    prefixes: OPENAI,
  },
  {
    name: 'embeddings',
    provider: 'openAI',
    path: '/v1/embeddings',
    ask: { model: 'text-embedding-3-small', input: 'Hello' },
    prefixes: OPENAI,
  },
  { name: 'messages', provider: 'anthropic', path: '/v1/messages', ask: MESSAGES, prefixes: ANTHROPIC },
  {
    name: 'a messages stream',
    provider: 'anthropic',
    path: '/v1/messages',
    ask: { ...MESSAGES, stream: true },
    prefixes: ANTHROPIC,
  },
  {
    name: 'a token count',
    provider: 'anthropic',
    path: '/v1/messages/count_tokens',
    ask: { model: 'claude-5', messages: HELLO },
    prefixes: ANTHROPIC,
  },
]

describe.each(CASES)('$name', ({ provider, path, ask, prefixes }) => {
  // Spaces and order are the client's own.
  const sent = JSON.stringify(ask, null, 3)

  test.each(prefixes.map((prefix) => ({ prefix })))(
    '$prefix passes both ways as it is',
    async ({ prefix }) => {
      const direct = await bytes(lab[provider].url, path, sent)
      const through = await bytes(lab.gateway.url + prefix, path, sent)
      expect(through).toEqual(direct)
      expect(direct.body.length).toBeGreaterThan(10)
      expect(lab[provider].calls.at(-1)?.body).toBe(sent)
    },
  )
})

describe('a chat stream whose client did not ask for usage', () => {
  const path = '/v1/chat/completions'
  const asked = JSON.stringify({ ...CHAT, ...usage })

  test.each([
    { name: 'no options', options: '' },
    { name: 'usage refused', options: ', "stream_options": {"include_usage": false}' },
    { name: 'options about something else', options: ', "stream_options": {"include_obfuscation": true}' },
  ])('$name: the same bytes but for the usage chunk', async ({ options }) => {
    const sent = `{ "stream": true, "model": "gpt-4o", "messages": ${JSON.stringify(HELLO)}${options} }`
    const direct = await bytes(lab.openAI.url, path, asked)
    const through = await bytes(`${lab.gateway.url}/openai`, path, sent)
    const frames = direct.body.split(/(?<=\n\n)/)
    const expected = frames.filter((frame) => !frame.includes('"choices":[]'))
    expect(frames.length - expected.length).toBe(1)
    expect(through.body).toBe(expected.join(''))
    expect(through.body).not.toContain('prompt_tokens')
    const forwarded = JSON.parse(lab.openAI.calls.at(-1)?.body ?? '')
    expect(forwarded.stream_options).toMatchObject({ include_usage: true })
    const records = await lab.records()
    expect(records.at(-1)).toMatchObject({
      'gen_ai.usage.input_tokens': 120,
      'gen_ai.usage.output_tokens': 45,
    })
  })
})
