/** Prompt guards as clients meet them: the official SDKs, whole and streamed, over every pair of APIs. */
import { APIError as AnthropicError } from '@anthropic-ai/sdk'
import { APIError as OpenAIError } from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LogGot } from '../src/admin/api-types.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { askFor, clientOf } from './admin/lab.fixture.ts'
import { anthropicBackend, chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { ASKS, chatOf, clientsAt, messageOf } from './support/guard-lab.ts'
import { collect } from './support/sdk-lab.ts'
import { sendJson } from './support/wire.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

const MASKING = {
  request: [
    { regex: { action: 'reject', rules: [{ builtin: 'ssn' }] } },
    {
      regex: { action: 'reject', rules: [{ pattern: '(?i)codename-\\w+' }] },
      rejection: { status: 451, body: '{"error":"not with us"}', headers: { set: { 'x-why': 'codename' } } },
    },
    { regex: { rules: [{ builtin: 'email' }] } },
  ],
  response: [
    { regex: { rules: [{ builtin: 'creditCard' }, { builtin: 'email' }] }, scope: ['messages', 'toolInput'] },
  ],
}
const REJECTING = { response: [{ regex: { action: 'reject', rules: [{ builtin: 'creditCard' }] } }] }

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const route = (prefix: string, promptGuard: object, backend: object) => ({
    name: prefix.slice(1),
    matches: under(prefix),
    policies: {
      urlRewrite: { path: { prefix: '/' } },
      ai: {
        promptGuard,
        overrides: { model: prefix.endsWith('openai') ? 'gpt-4o-mini' : 'claude-haiku-4-5' },
      },
    },
    backends: [backend],
  })
  const keeping = {
    config: { database: { url: 'sqlite::memory:' } },
    frontendPolicies: { accessLog: { database: { llm: 'full' } } },
  }
  gateway = await runGateway(
    gatewayWith(
      [
        route('/openai', MASKING, openAIBackend(openAI)),
        route('/anthropic', MASKING, anthropicBackend(anthropic)),
        route('/reject-openai', REJECTING, openAIBackend(openAI)),
        route('/reject-anthropic', REJECTING, anthropicBackend(anthropic)),
      ],
      keeping,
    ),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

beforeEach(() => {
  openAI.clear()
  anthropic.clear()
})

const clients = (prefix: string, script: Script) => clientsAt(`${gateway.url}${prefix}`, script)

const SAID = 'Card 4111 1111 1111 1111, mail ann@example.com. Bye 😀'
const MASKED = 'Card <CREDIT_CARD>, mail <EMAIL_ADDRESS>. Bye 😀'
const ANSWER: Script = { text: SAID, chunks: 23, splitBytes: 7, inputTokens: 30, outputTokens: 40 }
const CALLING: Script = {
  ...ANSWER,
  toolCalls: [{ name: 'send', arguments: JSON.stringify({ to: 'ann@example.com', n: 2 }) }],
}
const QUESTION = 'Hello, I am bob@example.com'

const WAYS = Object.keys(ASKS).flatMap((what) =>
  ['openai', 'anthropic'].map((provider) => ({ what, provider, ask: ASKS[what] ?? expect.fail() })),
)
const providerOf = (name: string) => (name === 'openai' ? openAI : anthropic)

/** Of the request that was last. */
async function lastRecord(already: number) {
  return (await gateway.recorded(already + 1)).at(-1)
}

describe.each(WAYS)('$what of $provider', ({ what, provider, ask }) => {
  test('is masked both ways, and counted as the provider counts', async () => {
    const already = gateway.records().length
    const heard = await ask(clients(`/${provider}`, ANSWER), QUESTION)
    expect(heard).toMatchObject({ text: MASKED, input: 30, output: 40 })
    const asked = providerOf(provider).calls.at(-1)?.body ?? ''
    expect(asked).toContain('Hello, I am <EMAIL_ADDRESS>')
    expect(asked).not.toContain('bob@')
    expect(await lastRecord(already)).toMatchObject({
      'guard.request': 'Mask',
      'guard.response': 'Mask',
      'gen_ai.usage.input_tokens': 30,
      'gen_ai.usage.output_tokens': 40,
      'agw.ai.usage.source': 'provider',
      outcome: 'completed',
    })
  })

  test('has its tool calls masked', async () => {
    const already = gateway.records().length
    const heard = await ask(clients(`/${provider}`, CALLING), QUESTION)
    expect(heard.arguments).toEqual({ to: '<EMAIL_ADDRESS>', n: 2 })
    await lastRecord(already)
  })

  test('is rejected', async () => {
    const already = gateway.records().length
    const error = await ask(clients(`/reject-${provider}`, ANSWER), QUESTION).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    const isStreamed = what.includes('streamed')
    expect(error).toBeInstanceOf(what.includes('message') ? AnthropicError : OpenAIError)
    expect(String(error)).toMatch(/response was rejected due to inappropriate content: it matches creditCard/)
    if (!isStreamed) expect(error).toMatchObject({ status: 403 })
    expect(await lastRecord(already)).toMatchObject({
      'http.status': isStreamed ? 200 : 403,
      'guard.response': 'Reject',
      outcome: 'rejected',
      error_type: 'policy_rejected',
      reason: 'DirectResponse',
    })
    await providerOf(provider).waitFor(() => providerOf(provider).inFlight === 0)
  })
})

describe('a request that is rejected', () => {
  const SSN = 'My number is 123-45-6789.'

  test('reaches nobody, and the OpenAI SDK is told why', async () => {
    const already = gateway.records().length
    const error = await clients('/openai', {})
      .openAI.chat.completions.create({ ...chatOf(SSN) })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ status: 403, code: 'guard_rejected', type: 'permission_error' })
    expect(String(error)).toContain('The request was rejected due to inappropriate content: it matches ssn')
    expect(openAI.calls).toHaveLength(0)
    const record = await lastRecord(already)
    expect(record).toMatchObject({ 'guard.request': 'Reject', outcome: 'rejected', 'http.status': 403 })
    expect(JSON.stringify(record)).not.toContain('123-45')
  })

  test('reaches nobody, and so is Anthropic’s', async () => {
    const error = await clients('/anthropic', {})
      .anthropic.messages.create({ ...messageOf(QUESTION), system: SSN })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      status: 403,
      error: { type: 'error', error: { type: 'permission_error' } },
    })
    expect(anthropic.calls).toHaveLength(0)
  })

  test('gets the answer that is configured', async () => {
    const { status, headers, body } = await sendJson(
      `${gateway.url}/openai/v1/chat/completions`,
      chatBody({ text: 'About CodeName-Zebra', stream: true }),
    )
    expect({ status, body: body.toString() }).toEqual({ status: 451, body: '{"error":"not with us"}' })
    expect(headers['x-why']).toBe('codename')
    expect(openAI.calls).toHaveLength(0)
  })
})

test('the checks are counted', async () => {
  const of = (labels: Record<string, string>) => gateway.metric('agentgateway_guardrail_checks_total', labels)
  const before = {
    allowed: await of({ phase: 'request', action: 'Allow', guard: 'regex' }),
    masked: await of({ phase: 'request', action: 'Mask', guard: 'regex' }),
    answered: await of({ phase: 'response', action: 'Mask', guard: 'regex' }),
  }
  const already = gateway.records().length
  await ASKS['a chat']?.(clients('/openai', ANSWER), QUESTION)
  await gateway.recorded(already + 1)
  expect(await of({ phase: 'request', action: 'Allow' })).toBe(before.allowed + 2)
  expect(await of({ phase: 'request', action: 'Mask' })).toBe(before.masked + 1)
  expect(await of({ phase: 'response', action: 'Mask' })).toBe(before.answered + 1)
})

test('text that needs no holding is not held', async () => {
  const stream = await clients('/openai', {
    text: 'one two three',
    chunks: 3,
  }).openAI.chat.completions.create({
    ...chatOf(QUESTION),
    stream: true,
  })
  const pieces = (await collect(stream)).map(({ choices }) => choices[0]?.delta.content).filter(Boolean)
  expect(pieces.join('')).toBe('one two three')
  expect(pieces.length).toBeGreaterThan(1)
})

test('nothing that was masked or rejected is kept', async () => {
  const kept = await clientOf(gateway.adminUrl).all()
  expect(kept.length).toBe(gateway.records().length)
  let all = ''
  for (const { id, route } of kept) {
    const got = await askFor<LogGot>(gateway.adminUrl, '/api/logs/get', { id, includePayload: true })
    // The others have no guard for requests.
    all += JSON.stringify(got).replaceAll('bob@', route?.startsWith('default/reject') ? '' : 'bob@')
  }
  const heldIn = (texts: readonly string[]) => texts.filter((text) => all.includes(text))
  expect(heldIn(['I am <EMAIL_ADDRESS>', 'Card <CREDIT_CARD>'])).toHaveLength(2)
  // Ids are random digits: a few of them may be there by chance.
  expect(heldIn(['bob@', 'ann@', '4111 1111', '41111111', '123-45-6789'])).toEqual([])
})
