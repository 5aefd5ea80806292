/**
 * Ten thousand requests as nobody should send them, at a gateway that does all it can: none of them is an error of the
 * gateway's own, each has one record, and good ones are served all the while.
 */
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  messagesBody,
  openAIBackend,
  under,
} from '../support/configuration.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { type Reply, send, sendJson } from '../support/wire.ts'

/** Of each kind; the same ones each time, so that a failure repeats. */
const RUNS = { numRuns: 2500, seed: 20 }

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

const PATTERNS = [{ builtin: 'email' }, { builtin: 'creditCard' }, { pattern: 'secret-\\d+' }]
const GUARDED = {
  promptGuard: {
    request: [{ regex: { rules: PATTERNS }, scope: ['systemPrompt', 'messages', 'toolInput', 'toolOutput'] }],
    response: [{ regex: { rules: PATTERNS } }],
  },
}

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const toRoot = { urlRewrite: { path: { prefix: '/' } } }
  const policies = {
    cors: { allowOrigins: ['https://a.example'], allowMethods: ['*'] },
    csrf: {},
    authorization: { rules: ['request.method != "DELETE"', { deny: 'request.path.contains("blocked")' }] },
    localRateLimit: [
      { maxTokens: 1e9, tokensPerFill: 1, fillInterval: '1h', type: 'tokens', key: 'apiKey.user' },
    ],
    retry: { attempts: 1, backoff: '1ms' },
  }
  const keyed = {
    apiKey: {
      mode: 'permissive',
      keys: [{ key: 'gw-key-of-ann', metadata: { user: 'ann' }, allowedModels: ['gpt-*', 'claude-*'] }],
    },
  }
  const basic = {
    basicAuth: { mode: 'permissive', htpasswd: 'ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=' },
  }
  const key = { backendAuth: { key: 'sk-owner' } }
  gateway = await runGateway(
    gatewayWith([
      {
        matches: under('/chat'),
        policies: { ...policies, ...keyed, ...toRoot, ai: GUARDED },
        backends: [openAIBackend(openAI, key)],
      },
      {
        matches: under('/messages'),
        policies: { ...policies, ...keyed, ...toRoot, ai: GUARDED },
        backends: [openAIBackend(openAI, key)],
      },
      {
        matches: under('/plain'),
        policies: { ...policies, ...basic, ...toRoot },
        backends: [{ host: `127.0.0.1:${openAI.port}` }],
      },
      { policies: { ...policies, ...keyed, ai: GUARDED }, backends: [anthropicBackend(anthropic, key)] },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

const GOOD = [chatBody(), chatBody({ stream: true }), messagesBody(), messagesBody({ stream: true })]
const PATHS = [
  '/chat/v1/chat/completions',
  '/messages/v1/messages',
  '/v1/chat/completions',
  '/v1/messages',
  '/v1/responses',
  '/plain/v1/chat/completions',
]

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\u0000', '{"', '\ud800'),
)
const anyJson = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom<unknown>(null, [], {}, -1, 1e308, 2 ** 53, 'x'.repeat(5000), [[[[[]]]]], { __proto__: 1 }),
)

/** A good body with something else in one of its places. */
const bentBody = fc
  .tuple(fc.constantFrom(...GOOD), anyText, anyJson, fc.boolean())
  .map(([body, name, value, inside]) => {
    const bent = structuredClone(body) as Record<string, unknown>
    const keys = [
      'model',
      'messages',
      'stream',
      'max_tokens',
      'tools',
      'stop',
      'user',
      'stream_options',
      name,
    ]
    const place = keys[Math.abs(JSON.stringify(value).length) % keys.length] ?? name
    if (inside && Array.isArray(bent.messages)) bent.messages = [...(bent.messages as unknown[]), value]
    else bent[place] = value
    return JSON.stringify(bent)
  })

/** What Node lets a client write. */
const headerValue = fc.string({
  unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)),
})
const headers = fc.dictionary(
  fc.constantFrom(
    ...['authorization', 'x-api-key', 'traceparent', 'tracestate', 'origin', 'sec-fetch-site', 'cookie'],
    ...[
      'accept',
      'accept-encoding',
      'user-agent',
      'content-encoding',
      'expect',
      'anthropic-version',
      'x-odd',
    ],
    ...['te', 'via', 'upgrade', 'range', 'if-none-match', 'access-control-request-method', 'x-forwarded-for'],
  ),
  fc.oneof(
    headerValue,
    fc.constantFrom(
      'Bearer gw-key-of-ann',
      'Bearer ',
      'Basic YW5uOnNlY3JldA==',
      'Basic !!',
      'gzip',
      'br, gzip',
    ),
  ),
  { maxKeys: 6 },
)

function isNobodysFault({ status, body }: Reply): void {
  expect(status).toBeGreaterThanOrEqual(200)
  expect(body).not.toContain('internal error')
  expect(status).not.toBe(500)
}

const GOOD_ONES = [
  ['/chat/v1/chat/completions', chatBody()],
  ['/messages/v1/messages', messagesBody({ model: 'gpt-4o-mini' })],
  ['/v1/messages', messagesBody()],
  ['/v1/chat/completions', chatBody({ model: 'claude-sonnet-4-5' })],
  ['/plain/v1/chat/completions', chatBody()],
] as const

/** Says that this was all: whoever waits for the rest of a request need not. Resolves with what came back. */
function sendAll(bytes: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(gateway.url).port), allowHalfOpen: true })
  let answer = ''
  socket.setEncoding('utf8').on('data', (piece: string) => {
    answer += piece
  })
  socket.on('error', () => {})
  socket.on('end', () => socket.destroy())
  socket.end(bytes)
  return new Promise((resolve) => socket.once('close', () => resolve(answer)))
}

describe('requests as nobody should send them', () => {
  test('bodies that are nearly right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), bentBody, async (path, body) => {
        isNobodysFault(
          await send(gateway.url + path, { headers: { 'content-type': 'application/json' }, body }),
        )
      }),
      RUNS,
    )
  })

  test('bodies that are anything', async () => {
    const anyBody = fc.oneof(anyText.map(Buffer.from), fc.uint8Array({ maxLength: 2000 }).map(Buffer.from))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), anyBody, headers, async (path, body, more) => {
        const { expect: _, upgrade: __, ...sendable } = more
        isNobodysFault(
          await send(gateway.url + path, {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...sendable },
            body,
          }),
        )
      }),
      RUNS,
    )
  })

  test('methods, paths and headers that are anything', async () => {
    const path = fc.oneof(
      fc.webPath(),
      fc.constantFrom(...PATHS, '/%', '/%00', '//', '/..%2f..', '/v1/../v1', '/?', '/v1/messages?%ff=%'),
    )
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND')
    await fc.assert(
      fc.asyncProperty(method, path, headers, async (verb, target, more) => {
        const { expect: _, upgrade: __, ...sendable } = more
        isNobodysFault(await send(gateway.url + (target || '/'), { method: verb, headers: sendable }))
      }),
      RUNS,
    )
  })

  test('bytes that are nearly HTTP', async () => {
    const line = fc.oneof(
      anyText,
      fc.constantFrom(
        ...[
          'Host: a',
          'Host: a\r\nHost: b',
          'Content-Length: 5',
          'Content-Length: -1',
          'Content-Length: 5, 6',
        ],
        ...['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked, gzip', 'Transfer-Encoding: x', ': x'],
        ...['Expect: 100-continue', 'Connection: upgrade\r\nUpgrade: websocket', 'X: \u0001', ' folded'],
      ),
    )
    const request = fc
      .tuple(
        fc.constantFrom('GET', 'POST', 'get', 'G E T', '', 'CONNECT', 'PRI'),
        fc.oneof(fc.constantFrom(...PATHS, '*', 'a:443', 'http://b/c', ''), anyText),
        fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''),
        fc.array(line, { maxLength: 6 }),
        fc.oneof(
          anyText,
          fc.constantFrom('5\r\nhello\r\n0\r\n\r\n', 'ffffffffffffffffff\r\n', '0\r\n\r\nGET / HTTP/1.1'),
        ),
      )
      .map(
        ([method, path, version, lines, body]) =>
          `${method} ${path} ${version}\r\n${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`,
      )
    await fc.assert(
      fc.asyncProperty(request, async (bytes) => {
        const answer = await sendAll(bytes)
        expect(answer).not.toContain('internal error')
      }),
      RUNS,
    )
  })

  test('good ones are served still, and the books are in order', async () => {
    for (const [path, body] of GOOD_ONES) {
      const reply = await sendJson(gateway.url + path, body, { authorization: 'Bearer gw-key-of-ann' })
      expect([path, reply.status]).toEqual([path, 200])
    }
    expect(gateway.records().filter(({ error_type }) => error_type === 'gateway_internal')).toEqual([])
    const traces = gateway.records().map((record) => record['trace.id'])
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
    expect(await gateway.metric('agentgateway_requests_total')).toBe(traces.length)
    expect(gateway.log()).not.toContain('uncaught')
  })
})
