/** What models were asked and what they answered: only where it is wanted, only when it is asked for. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogEntry, LogGot } from '../../src/admin/api-types.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startSimulatedOpenAI } from '../../src/demo/provider.ts'
import type { Script } from '../../src/demo/script.ts'
import { chatBody, gatewayWith, messagesBody, openAIBackend, under } from '../support/configuration.ts'
import { runGateway } from '../support/gateway.ts'
import {
  type AdminLab,
  askFor,
  type Call,
  CHAT,
  call,
  clientOf,
  KEY,
  MESSAGES,
  REWRITE,
  startAdminLab,
} from './lab.fixture.ts'
import { faults, schemaNamed } from './schema.fixture.ts'

const ASKED = 'What is the capital of France?'
const ANSWER = 'Paris, with “quotes” and 🗼, of course.'
const LIKE_A_KEY = 'sk-proj-abcdefghij0123456789'

const CALLS: readonly (Call & { readonly name: string })[] = [
  { name: 'chat', path: CHAT, body: chatBody({ text: ASKED }) },
  { name: 'a chat stream', path: CHAT, body: chatBody({ text: ASKED, stream: true }) },
  { name: 'messages', path: MESSAGES, body: messagesBody({ text: ASKED }) },
  { name: 'a messages stream', path: MESSAGES, body: messagesBody({ text: ASKED, stream: true }) },
  {
    name: 'a chat stream of Claude',
    path: '/anthropic/v1/chat/completions',
    body: chatBody({ model: 'claude-sonnet-4-5', text: ASKED, stream: true }),
  },
  { name: 'a response', path: '/openai/v1/responses', body: { model: 'gpt-4o', input: ASKED } },
]

let lab: AdminLab
/** The oldest first. */
let logs: readonly LogEntry[]
const get = (id: string, includePayload?: boolean) =>
  askFor<LogGot>(lab.gateway.adminUrl, '/api/logs/get', {
    id,
    ...(includePayload !== undefined && { includePayload }),
  })

beforeAll(async () => {
  lab = await startAdminLab({ more: { frontendPolicies: { accessLog: { database: { llm: 'full' } } } } })
  for (const one of CALLS) await call(lab, { ...one, script: { text: ANSWER } })
  await call(lab, {
    path: CHAT,
    body: chatBody({ text: `My key is ${LIKE_A_KEY}.` }),
    script: { text: `It is ${LIKE_A_KEY}.` },
  })
  await call(lab, { path: '/plain', body: { secret: 'plain body' } })
  await lab.gateway.recorded(CALLS.length + 2)
  logs = (await lab.client.all()).toReversed()
})
afterAll(() => lab?.close())

describe.each(CALLS.map(({ name }, index) => ({ name, index })))('$name', ({ index }) => {
  test('it keeps what was asked and what was answered', async () => {
    const { id = '' } = logs[index] ?? {}
    const { log } = await get(id, true)
    expect(log?.hasPayload).toBe(true)
    expect(log?.payload?.requestPrompt).toContain(ASKED)
    expect(log?.payload?.responseCompletion).toContain(ANSWER)
    expect(faults(schemaNamed('LogGot'), await get(id, true))).toEqual([])
  })

  test('it tells neither unasked', async () => {
    const { id = '' } = logs[index] ?? {}
    for (const included of [undefined, false]) {
      const { log } = await get(id, included)
      expect(log?.payload).toBeUndefined()
      expect(JSON.stringify(log)).not.toContain('capital of France')
    }
  })
})

test('it never has payloads in a search', async () => {
  const { logs: found } = await lab.client.search({ includeAttributes: true })
  expect(JSON.stringify(found)).not.toMatch(/capital of France|Paris/)
})

test('it finds what has a payload', async () => {
  const withPayload = await lab.client.all({ filters: { hasPayload: true } })
  expect(withPayload).toHaveLength(CALLS.length + 1)
  const without = await lab.client.all({ filters: { hasPayload: false } })
  expect(without.map(({ path }) => path)).toEqual(['/plain'])
})

test('it keeps no key, neither that of the request nor one in a text', async () => {
  const { id = '' } = logs[CALLS.length] ?? {}
  const text = JSON.stringify(await get(id, true))
  expect(text).toContain('My key is')
  expect(text).not.toContain(LIKE_A_KEY)
  expect(text).not.toContain(KEY)
})

test.each([
  {
    name: 'it ends at once by a reload, of requests under way too',
    from: 'full',
    to: 'metadata',
    kept: [true, false, false],
  },
  { name: 'it begins by a reload', from: 'metadata', to: 'full', kept: [false, false, true] },
] as const)('$name', async ({ from, to, kept }) => {
  const openAI = await startSimulatedOpenAI()
  const yaml = (llm: string) =>
    gatewayWith([{ matches: under('/openai'), policies: REWRITE, backends: [openAIBackend(openAI)] }], {
      config: { database: { url: 'sqlite::memory:' } },
      frontendPolicies: { accessLog: { database: { llm } } },
    })
  const next = loadConfig({ text: yaml(to), file: 'next.yaml', environment: {} })
  const gateway = await runGateway(yaml(from))
  const ask = (script: Script = {}) =>
    call({ gateway }, { path: CHAT, body: chatBody({ text: ASKED }), script })
  try {
    await ask()
    const release = openAI.hold()
    const underWay = ask()
    await openAI.waitFor(() => openAI.inFlight === 1)
    if (next.ok) await gateway.gateway.reload(next.config)
    release()
    await underWay
    await ask()
    await gateway.recorded(3)
    const logs = (await clientOf(gateway.adminUrl).all()).toReversed()
    expect(logs.map(({ hasPayload }) => hasPayload)).toEqual(kept)
  } finally {
    await gateway.close()
    await openAI.close()
  }
})

test('it keeps nothing where nobody asked for it', async () => {
  const other = await startAdminLab()
  try {
    await call(other, { path: CHAT, body: chatBody({ text: ASKED }) })
    const [log] = (await other.client.search()).logs
    expect(log?.hasPayload).toBe(false)
    const got = await askFor<LogGot>(other.gateway.adminUrl, '/api/logs/get', {
      id: log?.id,
      includePayload: true,
    })
    expect(JSON.stringify(got)).not.toContain('capital of France')
  } finally {
    await other.close()
  }
})
