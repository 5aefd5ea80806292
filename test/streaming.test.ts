/** Streams: the first byte goes on at once, and a client that leaves takes the provider's work with it. */
import type { IncomingMessage } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { open } from './support/wire.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

const named = (backend: string) => ({
  matches: [{ headers: [{ name: 'x-backend', value: { exact: backend } }] }],
})

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  gateway = await runGateway(
    gatewayWith([
      { ...named('openai'), backends: [openAIBackend(openAI)] },
      { ...named('anthropic'), backends: [anthropicBackend(anthropic)] },
      { ...named('plain'), backends: [hostBackend(openAI)] },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

afterEach(async () => {
  for (const provider of [openAI, anthropic]) {
    await provider.waitFor(() => provider.inFlight === 0)
    provider.clear()
  }
})

const WAYS = [
  {
    way: 'OpenAI, as it comes',
    backend: 'openai',
    path: '/v1/chat/completions',
    body: chatBody({ stream: true }),
  },
  {
    way: 'OpenAI, with usage asked for',
    backend: 'openai',
    path: '/v1/chat/completions',
    body: { ...chatBody({ stream: true }), stream_options: { include_usage: true } },
  },
  {
    way: 'Anthropic, as it comes',
    backend: 'anthropic',
    path: '/v1/messages',
    body: messagesBody({ stream: true }),
  },
  {
    way: 'Anthropic to OpenAI',
    backend: 'openai',
    path: '/v1/messages',
    body: messagesBody({ stream: true, model: 'gpt-4o-mini' }),
  },
  {
    way: 'OpenAI to Anthropic',
    backend: 'anthropic',
    path: '/v1/chat/completions',
    body: chatBody({ stream: true, model: 'claude-sonnet-4-5' }),
  },
  { way: 'a plain route', backend: 'plain', path: '/v1/chat/completions', body: chatBody({ stream: true }) },
] as const

type Way = (typeof WAYS)[number]

const providerOf = ({ backend }: Way) => (backend === 'anthropic' ? anthropic : openAI)

const start = (
  { backend, path, body }: Way,
  script: Script,
  signal?: AbortSignal,
): Promise<IncomingMessage> =>
  open(`${gateway.url}${path}`, {
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer sk-test',
      'anthropic-version': '2023-06-01',
      'x-backend': backend,
      'x-simulate': JSON.stringify(script),
    },
    body: JSON.stringify(body),
    signal,
  })

/** Reads until the text holds `mark`. */
async function readUntil(response: IncomingMessage, mark: string): Promise<string> {
  let text = ''
  for await (const piece of response.iterator({ destroyOnReturn: false })) {
    text += piece
    if (text.includes(mark)) break
  }
  return text
}

describe.each(WAYS)('$way', (way) => {
  test('it forwards the head and the first event while the provider still works', async () => {
    // The provider stops after the first word and never goes on: what arrives cannot have waited for more.
    const before = gateway.records().length
    const script: Script = { text: 'Alpha beta gamma delta', chunks: 4, fault: 'stall', afterChunks: 1 }
    const response = await start(way, script)
    expect(response.statusCode).toBe(200)
    expect(await readUntil(response, 'Alpha')).toContain('Alpha')
    response.destroy()
    await gateway.recorded(before + 1)
  })

  test('it ends the call of the provider within 100 ms when the client leaves', { retry: 3 }, async () => {
    const before = gateway.records().length
    const response = await start(way, { chunks: 1000, chunkDelayMs: 20, text: 'word '.repeat(1000) })
    await readUntil(response, 'word')
    const leftAt = performance.now()
    response.destroy()
    const [call] = await providerOf(way).waitFor((calls) => calls.length === 1)
    const seenAt = (call?.receivedAt ?? 0) + (call?.abortedAfterMs ?? Number.NaN)
    expect(call?.aborted).toBe(true)
    expect(seenAt - leftAt).toBeLessThan(100)
    const record = (await gateway.recorded(before + 1))[before]
    expect(record).toMatchObject({ outcome: 'client_abort', error_type: 'caller_abort', 'http.status': 200 })
  })

  test('it ends the call when the client leaves before the head', async () => {
    const provider = providerOf(way)
    const before = gateway.records().length
    const client = new AbortController()
    const answer = expect(start(way, { fault: 'never' }, client.signal)).rejects.toThrow()
    await provider.waitFor(() => provider.inFlight === 1)
    client.abort()
    await answer
    const [call] = await provider.waitFor((calls) => calls.length === 1)
    expect(call?.aborted).toBe(true)
    const record = (await gateway.recorded(before + 1))[before]
    expect(record).toMatchObject({ outcome: 'client_abort', 'http.status': 499 })
  })
})
