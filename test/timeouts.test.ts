/** Connect, first byte, idle, whole request, total: each limit ends what it is for, in time, and nothing else. */

import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { recordOf } from './support/records.ts'
import { eventsIn, sendJson } from './support/wire.ts'

let provider: SimulatedProvider
/** Accepts connections and says nothing, not even a TLS greeting. */
let mute: Server
let gateway: RunningGateway

const LIMIT_MS = 300
const LIMIT = `${LIMIT_MS}ms`

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  mute = createServer()
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const { port } = mute.address() as AddressInfo
  const limited = (path: string, timeout: object, policies = {}) => ({
    matches: under(path),
    policies: { timeout, urlRewrite: { path: { prefix: '/' } } },
    backends: [openAIBackend(provider, policies)],
  })
  gateway = await runGateway(
    gatewayWith([
      limited('/request', { requestTimeout: LIMIT }),
      limited('/first-byte', { backendRequestTimeout: LIMIT }),
      limited('/backend', { backendRequestTimeout: '1m' }, { http: { requestTimeout: LIMIT } }),
      limited('/idle', { idleTimeout: LIMIT }),
      limited('/total', { totalTimeout: LIMIT }),
      limited('/heads', { requestTimeout: LIMIT, backendRequestTimeout: LIMIT }),
      limited('/none', { backendRequestTimeout: '0s', idleTimeout: '0s' }),
      {
        matches: under('/connect'),
        backends: [
          {
            host: `127.0.0.1:${port}`,
            policies: { tcp: { connectTimeout: LIMIT }, backendTLS: { insecure: true } },
          },
        ],
      },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await provider.close()
  mute.close()
})

const ask = (path: string, script: Script, stream: boolean) =>
  sendJson(`${gateway.url}${path}/v1/chat/completions`, chatBody({ stream }), {
    authorization: 'Bearer sk-test',
    'x-simulate': JSON.stringify(script),
  })

const SLOW_STREAM: Script = { text: 'word '.repeat(60), chunks: 60, chunkDelayMs: 25 }

interface Row {
  readonly path: string
  readonly what: string
  readonly script: Script
  readonly stream?: boolean
  readonly status: 200 | 504
  readonly errorType: string
  readonly says: string
}

const ROWS: readonly Row[] = [
  {
    path: '/request',
    what: 'no head for a request',
    script: { fault: 'never' },
    status: 504,
    errorType: 'gateway_timeout',
    says: 'request timeout',
  },
  {
    path: '/first-byte',
    what: 'no head from a provider',
    script: { fault: 'never' },
    status: 504,
    errorType: 'provider_timeout',
    says: 'upstream call timeout',
  },
  {
    path: '/backend',
    what: 'no head, by the backend own limit',
    script: { fault: 'never' },
    status: 504,
    errorType: 'provider_timeout',
    says: 'upstream call timeout',
  },
  {
    path: '/connect',
    what: 'no connection',
    script: {},
    status: 504,
    errorType: 'provider_connect_timeout',
    says: 'upstream call timeout',
  },
  {
    path: '/idle',
    what: 'silence in a stream',
    script: { fault: 'stall', afterChunks: 3, chunks: 9 },
    stream: true,
    status: 200,
    errorType: 'provider_idle_timeout',
    says: 'upstream call timeout',
  },
  {
    path: '/total',
    what: 'a stream that takes too long',
    script: SLOW_STREAM,
    stream: true,
    status: 200,
    errorType: 'gateway_timeout',
    says: 'request timeout',
  },
]

test.concurrent.each(ROWS)(
  'it ends $what after its limit',
  async ({ path, script, stream = false, ...expected }) => {
    const reply = await ask(path, script, stream)
    const record = await recordOf(gateway, reply)
    expect(reply.status).toBe(expected.status)
    expect(record).toMatchObject({ outcome: 'timeout', error_type: expected.errorType })
    const told = stream ? (eventsIn(reply.body).at(-1)?.data ?? '') : reply.body
    expect(told).toContain(expected.says)
    const durationMs = Number.parseFloat(String(record.duration))
    expect(durationMs).toBeGreaterThanOrEqual(LIMIT_MS - 1)
    // Far below every other limit, and far above what a loaded machine adds.
    expect(durationMs).toBeLessThan(20_000)
  },
)

test.concurrent.each([
  { path: '/heads', name: 'the limits for the head' },
  { path: '/idle', name: 'the limit for silence' },
  { path: '/none', name: 'a limit of 0s' },
])('it does not cut a long stream by $name', async ({ path }) => {
  const reply = await ask(path, SLOW_STREAM, true)
  expect(reply.body).toContain('[DONE]')
  const record = await recordOf(gateway, reply)
  expect(record).toMatchObject({ outcome: 'completed' })
  expect(Number.parseFloat(String(record.duration))).toBeGreaterThan(LIMIT_MS * 2)
})

test.concurrent('it lets every limit be another: a request under all of them is left alone', async () => {
  const replies = await Promise.all(
    ['/request', '/first-byte', '/backend', '/idle', '/total', '/heads', '/none'].map((path) =>
      ask(path, {}, false),
    ),
  )
  expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200))
})
