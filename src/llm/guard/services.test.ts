/** How services are asked, what counts as a verdict, and what becomes of one. */
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../core/errors.ts'
import type { GuardCheck } from '../../core/exchange.ts'
import type { Headers } from '../../core/headers.ts'
import type { Ask } from '../../core/upstream.ts'
import { judge, type ServiceGuard } from './judge.ts'
import { moderationWire } from './moderation.ts'
import { promptGuardSchema, type WebhookConfig } from './schema.ts'
import { askOver, type Caller, type Place, type Question, type Verdict, type Wire } from './service.ts'
import { createVerdicts, whenAsked } from './verdicts.ts'
import { webhookWire } from './webhook.ts'

const TEXTS = [
  { role: 'system', content: 'Be kind' },
  { role: 'user', content: 'Hi' },
]
const REQUEST: Question = { phase: 'request', texts: TEXTS }
const RESPONSE: Question = { phase: 'response', texts: TEXTS }

const webhookConfig = (config: object = {}): WebhookConfig =>
  promptGuardSchema.parse({ request: [{ webhook: { target: { host: 'h:1' }, ...config } }] }).request?.[0]
    ?.webhook ?? expect.fail()

const webhook = webhookWire(webhookConfig())
const moderation = moderationWire({ model: 'm' })

describe('what a service is asked', () => {
  test('a webhook is shown messages, or choices', () => {
    expect([webhook.path('request'), webhook.write(REQUEST)]).toEqual([
      '/request',
      { body: { messages: TEXTS } },
    ])
    expect([webhook.path('response'), webhook.write(RESPONSE)]).toEqual([
      '/response',
      { body: { choices: [{ message: TEXTS[0] }, { message: TEXTS[1] }] } },
    ])
  })

  test('a moderation is shown texts alone', () => {
    expect([moderation.path('request'), moderation.write(REQUEST)]).toEqual([
      '/v1/moderations',
      { model: 'm', input: ['Be kind', 'Hi'] },
    ])
  })

  test.each([
    { name: 'none without matches', matches: undefined, shown: {} },
    {
      name: 'one whose value is that',
      matches: [{ name: 'X-A', value: { exact: '1' } }],
      shown: { 'x-a': '1' },
    },
    { name: 'none whose value is another', matches: [{ name: 'x-a', value: { exact: '2' } }], shown: {} },
    {
      name: 'one that a pattern fits',
      matches: [{ name: 'x-b', value: { regex: 't.o' } }],
      shown: { 'x-b': 'two' },
    },
    { name: 'none that it fits in part', matches: [{ name: 'x-b', value: { regex: 'tw' } }], shown: {} },
    {
      name: 'all values of which one fits',
      matches: [{ name: 'x-c', value: { exact: 'b' } }],
      shown: { 'x-c': ['a', 'b'] },
    },
    { name: "none of the connection's", matches: [{ name: 'te', value: { regex: '.*' } }], shown: {} },
    { name: 'none that is not there', matches: [{ name: 'x-z', value: { regex: '.*' } }], shown: {} },
  ])('of headers $name', ({ matches, shown }) => {
    const headers: Headers = { 'x-a': '1', 'x-b': 'two', 'x-c': ['a', 'b'], te: 'trailers' }
    const wire = webhookWire(webhookConfig({ forwardHeaderMatches: matches }))
    expect(wire.shown(callerWith({ headers }))).toEqual(shown)
  })

  test.each([
    { name: 'what one makes', headers: { 'X-Who': 'jwt.sub + "!"' }, shown: { 'x-a': '1', 'x-who': 'ada!' } },
    {
      name: 'that rather than the client’s own',
      headers: { 'X-A': 'request.headers["x-a"] + request.path' },
      shown: { 'x-a': '1/v1/chat/completions' },
    },
    {
      name: 'neither where it fails',
      headers: { 'x-a': 'jwt.email', 'x-b': '"b"' },
      shown: { 'x-b': 'b' },
    },
    { name: 'nothing that breaks its line', headers: { 'x-b': '"b\\r\\nx-evil: 1"' }, shown: { 'x-a': '1' } },
  ])('of expressions $name', ({ headers, shown }) => {
    const forwardHeaderMatches = [{ name: 'x-a', value: { exact: '1' } }]
    const wire = webhookWire(webhookConfig({ headers, forwardHeaderMatches }))
    const request = { path: '/v1/chat/completions', headers: { 'x-a': '1' } }
    const caller = callerWith({
      headers: request.headers,
      variables: () => ({ request, jwt: { sub: 'ada' } }),
    })
    expect(wire.shown(caller)).toEqual(shown)
  })
})

type Row = readonly [name: string, wire: Wire, question: Question, answer: unknown, verdict: Verdict | 'none']

const messages = (...contents: readonly unknown[]) => contents.map((content) => ({ role: 'user', content }))
const choices = (...contents: readonly unknown[]) =>
  contents.map((content) => ({ message: { role: 'assistant', content } }))

const ANSWERS: readonly Row[] = [
  ['an empty action', webhook, REQUEST, { action: {} }, { action: 'pass' }],
  ['a reason', webhook, REQUEST, { action: { reason: 'fine' } }, { action: 'pass' }],
  ['a body of nothing', webhook, RESPONSE, { action: { body: null, reason: 'fine' } }, { action: 'pass' }],
  ['fields of a later version', webhook, REQUEST, { action: { score: 1 }, id: 'x' }, { action: 'pass' }],
  [
    'messages',
    webhook,
    REQUEST,
    { action: { body: { messages: messages('Be *', 'Hi') } } },
    { action: 'mask', texts: ['Be *', 'Hi'] },
  ],
  [
    'choices',
    webhook,
    RESPONSE,
    { action: { body: { choices: choices('', 'Hi') }, reason: 'r' } },
    { action: 'mask', texts: ['', 'Hi'] },
  ],
  [
    'a text and a status',
    webhook,
    REQUEST,
    { action: { body: 'No', status_code: 422 } },
    { action: 'reject', body: 'No', status: 422 },
  ],
  [
    'a text and a status that is none of an error',
    webhook,
    RESPONSE,
    { action: { body: 'No', status_code: 200 } },
    { action: 'reject', body: 'No' },
  ],
  ['no action', webhook, REQUEST, {}, 'none'],
  ['no object', webhook, REQUEST, ['action'], 'none'],
  ['an action that is a word', webhook, REQUEST, { action: 'pass' }, 'none'],
  ['a text without a status', webhook, REQUEST, { action: { body: 'No' } }, 'none'],
  ['a status without a text', webhook, REQUEST, { action: { status_code: 403 } }, 'none'],
  ['a status and nothing', webhook, RESPONSE, { action: { body: null, status_code: 403 } }, 'none'],
  ['choices for messages', webhook, REQUEST, { action: { body: { choices: choices('a', 'b') } } }, 'none'],
  ['messages for choices', webhook, RESPONSE, { action: { body: { messages: messages('a', 'b') } } }, 'none'],
  ['too few messages', webhook, REQUEST, { action: { body: { messages: messages('a') } } }, 'none'],
  ['too many choices', webhook, RESPONSE, { action: { body: { choices: choices('a', 'b', 'c') } } }, 'none'],
  ['no text', webhook, REQUEST, { action: { body: { messages: messages('a', null) } } }, 'none'],
  ['flags', moderation, REQUEST, { results: [{ flagged: false }, { flagged: true }] }, { action: 'reject' }],
  [
    'no flags',
    moderation,
    REQUEST,
    { results: [{ flagged: false }, { flagged: false }] },
    { action: 'pass' },
  ],
  ['one result for two texts', moderation, REQUEST, { results: [{ flagged: false }] }, 'none'],
  ['no results', moderation, REQUEST, { error: { message: 'no' } }, 'none'],
  ['a flag that is a word', moderation, REQUEST, { results: [{ flagged: 'no' }, { flagged: 'no' }] }, 'none'],
]

test.each(ANSWERS)('an answer of %s', (_name, wire, question, answer, verdict) => {
  if (verdict === 'none') expect(() => wire.read(answer, question)).toThrow()
  else expect(wire.read(answer, question)).toEqual(verdict)
})

const PLACE: Place = {
  target: { host: 'h', port: 1, tls: undefined, connectTimeoutMs: undefined },
  authority: 'h:1',
  auth: { header: 'authorization', value: 'Bearer k' },
}

function callerWith(change: Partial<Caller> = {}): Caller {
  return {
    headers: { authorization: 'Bearer client', 'x-a': '1' },
    variables: () => ({}),
    trace: { traceparent: 'tp' },
    signal: new AbortController().signal,
    maxBytes: 99,
    now: () => 0,
    failed: () => {},
    ...change,
  }
}

describe('asking', () => {
  const ask: Ask = () => Promise.resolve({ status: 200, headers: {}, body: Buffer.from('{"action":{}}') })

  test('is a POST within ten seconds, with the trace and a credential of its own', async () => {
    const calls: Parameters<Ask>[] = []
    const caller = callerWith()
    const asking = askOver(
      (...call) => {
        calls.push(call)
        return ask(...call)
      },
      PLACE,
      webhookWire(
        webhookConfig({ forwardHeaderMatches: [{ name: 'authorization', value: { regex: '.*' } }] }),
      ),
    )
    expect(await asking(REQUEST, caller)).toEqual({ action: 'pass' })
    const body = Buffer.from(JSON.stringify({ body: { messages: TEXTS } }))
    expect(calls).toEqual([
      [
        PLACE.target,
        {
          method: 'POST',
          path: '/request',
          headers: {
            authorization: 'Bearer k',
            traceparent: 'tp',
            'content-type': 'application/json',
            'content-length': String(body.length),
            accept: 'application/json',
            'accept-encoding': 'identity',
            host: 'h:1',
          },
          body,
        },
        { timeoutMs: 10_000, maxBytes: 99, signal: caller.signal },
      ],
    ])
  })

  test.each([
    { name: 'a status', status: 500, body: '{"action":{}}', says: 'h:1 answered 500' },
    { name: 'what is no JSON', status: 200, body: 'Hi', says: 'h:1 gave no verdict' },
    { name: 'what is no verdict', status: 200, body: '{"Hi":1}', says: 'h:1 gave no verdict' },
  ])('fails with $name, and does not say what was asked', async ({ status, body, says }) => {
    const asking = askOver(
      () => Promise.resolve({ status, headers: {}, body: Buffer.from(body) }),
      PLACE,
      webhook,
    )
    expect(await asking(REQUEST, callerWith())).toEqual({ action: 'failed', cause: new Error(says) })
  })

  test('fails when there is no answer, and is over when the caller leaves', async () => {
    const asking = askOver(() => Promise.reject(new Error('no answer in time')), PLACE, webhook)
    const cause = expect.objectContaining({ message: 'h:1: no answer in time' })
    expect(await asking(REQUEST, callerWith())).toEqual({ action: 'failed', cause })
    const signal = AbortSignal.abort(new Error('left'))
    await expect(asking(REQUEST, callerWith({ signal }))).rejects.toThrow('left')
  })
})

function guardWith(verdict: Verdict, change: Partial<ServiceGuard['service']> = {}) {
  const asked: Question[] = []
  const guard: ServiceGuard = {
    phase: 'request',
    reply: undefined,
    service: {
      kind: 'webhook',
      id: 'a',
      failsOpen: false,
      ask(question) {
        asked.push(question)
        return Promise.resolve(verdict)
      },
      ...change,
    },
  }
  return { guard, asked }
}

async function judged(guard: ServiceGuard, caller = callerWith(), verdicts = createVerdicts(caller)) {
  let checks: GuardCheck[] = []
  const step = () => {
    checks = []
    return judge(guard, TEXTS, verdicts, checks)
  }
  try {
    return { masks: await whenAsked(step), checks }
  } catch (error) {
    return { error: error instanceof GatewayError ? error : undefined, checks }
  }
}

describe('a verdict', () => {
  const failed: Verdict = { action: 'failed', cause: new Error('h:1 answered 500') }
  const mask: Verdict = { action: 'mask', texts: ['a', 'b'] }

  test.each([
    { verdict: { action: 'pass' } as const, action: 'Allow', masks: undefined },
    { verdict: mask, action: 'Mask', masks: ['a', 'b'] },
    { verdict: failed, failsOpen: true, action: 'FailOpen', masks: undefined },
  ])('of $verdict.action is a check of $action', async ({ verdict, failsOpen = false, action, masks }) => {
    let now = 0
    const { guard } = guardWith(verdict, { failsOpen })
    const caller = callerWith({ now: () => (now += 5) })
    expect(await judged(guard, caller)).toEqual({
      masks,
      checks: [{ phase: 'request', guard: 'webhook', action, waitedMs: 5 }],
    })
  })

  test('that is none closes, and is told to the log', async () => {
    const told: unknown[] = []
    const { guard } = guardWith(failed)
    const { error, checks } = await judged(guard, callerWith({ failed: (...all) => told.push(all) }))
    expect(error).toMatchObject({
      code: 'guard_unavailable',
      status: 503,
      message: 'failed to process LLM request: prompt guard failed',
      cause: failed.cause,
    })
    expect(checks).toMatchObject([{ action: 'Reject' }])
    expect(told).toEqual([['webhook', failed.cause]])
  })

  test.each([
    {
      name: 'in words',
      said: { body: 'Never', status: 422 },
      status: 422,
      reply: { status: 422, body: undefined, headers: {}, message: 'Never' },
    },
    {
      name: 'in JSON',
      said: { body: ' {"a":1}', status: 451 },
      status: 451,
      reply: { status: 451, body: ' {"a":1}', headers: { 'content-type': 'application/json' } },
    },
    {
      name: 'in what only begins like JSON',
      said: { body: '{a' },
      status: 403,
      reply: { status: 403, body: undefined, headers: {}, message: '{a' },
    },
    { name: 'in no words', said: {}, status: 403, reply: { status: 403, body: undefined, headers: {} } },
  ])('rejects $name', async ({ said, status, reply }) => {
    const { guard } = guardWith({ action: 'reject', ...said })
    const { error } = await judged(guard)
    expect(error).toMatchObject({ code: 'guard_rejected', status, reply })
    expect(error?.message).toBe('The request was rejected due to inappropriate content, says webhook')
  })

  test('of one who was asked is not asked for again; of other texts, or of others, it is', async () => {
    const caller = callerWith()
    const verdicts = createVerdicts(caller)
    const { guard, asked } = guardWith({ action: 'pass' })
    await judged(guard, caller, verdicts)
    await judged(guard, caller, verdicts)
    await judged(guardWith({ action: 'pass' }).guard, caller, verdicts)
    expect(asked).toHaveLength(1)
    await judged({ ...guard, phase: 'response' }, caller, verdicts)
    expect(asked).toHaveLength(2)
    await judged({ ...guard, service: { ...guard.service, id: 'b' } }, caller, verdicts)
    expect(asked).toHaveLength(3)
  })

  test('that comes after the caller has left is nobody’s', async () => {
    const leaving = new AbortController()
    const { guard } = guardWith(failed, {
      ask() {
        leaving.abort(new Error('left'))
        return Promise.resolve(failed)
      },
    })
    const told: unknown[] = []
    const caller = callerWith({ signal: leaving.signal, failed: (...all) => told.push(all) })
    expect(await judged(guard, caller)).toEqual({ error: undefined, checks: [] })
    expect(told).toEqual([])
  })

  test('is not waited for where there are no texts', () => {
    const checks: GuardCheck[] = []
    const { guard } = guardWith(failed)
    expect(judge(guard, [], createVerdicts(callerWith()), checks)).toBeUndefined()
    expect(checks).toEqual([{ phase: 'request', guard: 'webhook', action: 'Allow', waitedMs: undefined }])
  })

  test('is never taken for granted', () => {
    expect(() => judge(guardWith({ action: 'pass' }).guard, TEXTS, undefined, [])).toThrow(GatewayError)
  })
})

describe('the configuration', () => {
  const target = { host: 'h:1' }
  test.each([
    { name: 'no kind', entry: {} },
    { name: 'two kinds', entry: { webhook: { target }, openAIModeration: {} } },
    { name: 'a scope for a webhook', entry: { webhook: { target }, scope: ['messages'] } },
    { name: 'no target', entry: { webhook: {} } },
    { name: 'two targets', entry: { webhook: { target: { host: 'h:1', backend: 'a' } } } },
    { name: 'a target of nothing', entry: { webhook: { target: {} } } },
    { name: 'another failure mode', entry: { webhook: { target, failureMode: 'open' } } },
    { name: 'no expression', entry: { webhook: { target, headers: { 'x-a': 'no such' } } } },
    { name: 'what no request has', entry: { webhook: { target, headers: { 'x-a': 'response.code' } } } },
    { name: 'a length of its own', entry: { webhook: { target, headers: { 'Content-Length': '1' } } } },
    { name: 'a type of its own', entry: { webhook: { target, headers: { 'Content-Type': '"a"' } } } },
    {
      name: 'no pattern',
      entry: { webhook: { target, forwardHeaderMatches: [{ name: 'a', value: { regex: '(' } }] } },
    },
  ])('is refused with $name', ({ entry }) => {
    expect(promptGuardSchema.safeParse({ request: [entry] }).success).toBe(false)
  })

  test('of a moderation may be empty, and is for requests', () => {
    const entry = { openAIModeration: null }
    expect(promptGuardSchema.parse({ request: [entry] }).request?.[0]).toEqual({
      openAIModeration: { model: 'omni-moderation-latest' },
    })
    expect(promptGuardSchema.safeParse({ response: [entry] }).success).toBe(false)
  })
})
