/** A client of the official SDKs that leaves a stream: the provider notices at once, and the record says why. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SimulatedProvider } from '../src/demo/provider.ts'
import { type Prefix, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const MAX_NOTICE_MS = 100
const HELLO = [{ role: 'user' as const, content: 'Hello!' }]
/** Two deltas, then silence. */
const STALLED = simulate({ text: 'One two three four', chunks: 4, fault: 'stall', afterChunks: 2 })

interface Case {
  readonly prefix: Prefix
  readonly model: string
}

/** The texts of the deltas as they come, until the stream ends. */
type Texts = (own: Case, signal: AbortSignal) => AsyncGenerator<string>

async function* chat({ prefix, model }: Case, signal: AbortSignal) {
  const { completions } = lab.openAIClient(prefix).chat
  const stream = await completions.create(
    { model, messages: HELLO, stream: true },
    { signal, headers: STALLED },
  )
  for await (const chunk of stream) yield chunk.choices[0]?.delta.content ?? ''
}

async function* responses({ prefix, model }: Case, signal: AbortSignal) {
  const client = lab.openAIClient(prefix)
  const stream = await client.responses.create(
    { model, input: 'Hello!', stream: true },
    { signal, headers: STALLED },
  )
  for await (const event of stream) yield event.type === 'response.output_text.delta' ? event.delta : ''
}

async function* messages({ prefix, model }: Case, signal: AbortSignal) {
  const client = lab.anthropicClient(prefix)
  const stream = await client.messages.create(
    { model, max_tokens: 100, messages: HELLO, stream: true },
    { signal, headers: STALLED },
  )
  for await (const event of stream)
    yield event.type === 'content_block_delta' && event.delta.type === 'text_delta' ? event.delta.text : ''
}

const PAIRS: readonly (Case & { name: string; texts: Texts; provider: 'openAI' | 'anthropic' })[] = [
  { name: 'chat over OpenAI', texts: chat, prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  {
    name: 'chat over Anthropic',
    texts: chat,
    prefix: '/anthropic',
    provider: 'anthropic',
    model: 'claude-5',
  },
  { name: 'responses over OpenAI', texts: responses, prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  { name: 'responses over chat', texts: responses, prefix: '/chat-only', provider: 'openAI', model: 'local' },
  {
    name: 'responses over Anthropic',
    texts: responses,
    prefix: '/anthropic',
    provider: 'anthropic',
    model: 'claude-5',
  },
  {
    name: 'messages over Anthropic',
    texts: messages,
    prefix: '/anthropic',
    provider: 'anthropic',
    model: 'claude-5',
  },
  { name: 'messages over OpenAI', texts: messages, prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  {
    name: 'messages over responses',
    texts: messages,
    prefix: '/responses-only',
    provider: 'openAI',
    model: 'local',
  },
  { name: 'chat passed through', texts: chat, prefix: '/passthrough', provider: 'openAI', model: 'gpt-4o' },
  { name: 'chat detected', texts: chat, prefix: '/detect', provider: 'openAI', model: 'gpt-4o' },
]

/** The ledger's entry of the request that was left at `leftAt`. */
async function noticed(provider: SimulatedProvider, before: number, leftAt: number) {
  const calls = await provider.waitFor((all) => all.length > before)
  const call = calls[before]
  const noticedAt = (call?.receivedAt ?? 0) + (call?.abortedAfterMs ?? Number.NaN)
  return { call, noticedAfterMs: noticedAt - leftAt }
}

describe.each(PAIRS)('$name', ({ texts, prefix, model, provider }) => {
  test('a stream that is aborted', { retry: 3 }, async () => {
    const before = lab[provider].calls.length
    const controller = new AbortController()
    let pieces = 0
    let leftAt = 0
    for await (const piece of texts({ prefix, model }, controller.signal)) {
      if (piece !== '') pieces += 1
      if (pieces < 2) continue
      leftAt = performance.now()
      controller.abort()
    }
    const { call, noticedAfterMs } = await noticed(lab[provider], before, leftAt)
    expect(call).toMatchObject({ aborted: true, completed: false, status: 200, deltas: 2 })
    expect(noticedAfterMs).toBeLessThan(MAX_NOTICE_MS)
    const record = await lab.lastRecord()
    expect(record).toMatchObject({
      'http.status': 200,
      outcome: 'client_abort',
      error_type: 'caller_abort',
    })
    if (prefix === '/passthrough') expect(record).not.toHaveProperty('gen_ai.usage.output_tokens')
    else {
      expect(['partial', 'estimated']).toContain(record['agw.ai.usage.source'])
      expect(record['gen_ai.usage.output_tokens']).toBeGreaterThan(0)
    }
  })

  test('a stream that is left by break', { retry: 3 }, async () => {
    const before = lab[provider].calls.length
    let pieces = 0
    let leftAt = 0
    for await (const piece of texts({ prefix, model }, new AbortController().signal)) {
      if (piece !== '') pieces += 1
      leftAt = performance.now()
      if (pieces === 2) break
    }
    const { call, noticedAfterMs } = await noticed(lab[provider], before, leftAt)
    expect(call).toMatchObject({ aborted: true, completed: false })
    expect(noticedAfterMs).toBeLessThan(MAX_NOTICE_MS)
    expect(await lab.lastRecord()).toMatchObject({ outcome: 'client_abort' })
  })
})

describe('before the head', () => {
  const headers = simulate({ fault: 'never' })

  test.each([
    {
      name: 'OpenAI',
      provider: 'openAI',
      sdk: OpenAI,
      ask: (signal: AbortSignal) =>
        lab
          .openAIClient('/openai')
          .chat.completions.create({ model: 'gpt-4o', messages: HELLO }, { signal, headers }),
    },
    {
      name: 'Anthropic',
      provider: 'anthropic',
      sdk: Anthropic,
      ask: (signal: AbortSignal) =>
        lab
          .anthropicClient('/anthropic')
          .messages.create({ model: 'claude-5', max_tokens: 9, messages: HELLO }, { signal, headers }),
    },
  ] as const)('$name throws, the record has 499', { retry: 3 }, async ({ provider, sdk, ask }) => {
    const before = lab[provider].calls.length
    const controller = new AbortController()
    const asked = ask(controller.signal)
    await lab[provider].waitFor(() => lab[provider].inFlight === 1)
    const leftAt = performance.now()
    controller.abort()
    await expect(asked).rejects.toBeInstanceOf(sdk.APIUserAbortError)
    const { call, noticedAfterMs } = await noticed(lab[provider], before, leftAt)
    expect(call).toMatchObject({ aborted: true, status: 0 })
    expect(noticedAfterMs).toBeLessThan(MAX_NOTICE_MS)
    expect(await lab.lastRecord()).toMatchObject({ 'http.status': 499, outcome: 'client_abort' })
  })
})
