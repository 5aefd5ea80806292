/** Where the services of guards are, and what they are shown to prove who asks. */
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { compile } from './compile.ts'
import { configSchema } from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { Ask } from './core/upstream.ts'
import { createLasting } from './lasting.ts'
import type { Caller } from './llm/guard/service.ts'

type Input = z.input<typeof configSchema>
type Backends = Input['backends']

const BACKENDS: Backends = [
  { name: 'judge', host: 'judge.test:443', policies: { backendTLS: {}, backendAuth: { key: 'abc' } } },
  { name: 'model', ai: { name: 'model', provider: { openAI: {} } } },
]

const caller: Caller = {
  headers: {},
  variables: () => ({}),
  trace: {},
  signal: new AbortController().signal,
  maxBytes: 1,
  now: () => 0,
  failed: () => {},
}

/** Of the only guard: whom it asks, and how. */
async function askedBy(guard: object) {
  const asked: Parameters<Ask>[] = []
  const ask: Ask = (...call) => {
    asked.push(call)
    return Promise.reject(new Error('nobody is here'))
  }
  const lasting = createLasting({ ask, fetch: () => expect.fail(), now: () => 0 })
  const config = configSchema.parse({
    backends: BACKENDS,
    llm: { port: 1, models: [{ name: 'm', provider: 'openAI', guardrails: { request: [guard] } }] },
  })
  const read = (path: string) => (path === 'key.txt' ? 'from-file\n' : expect.fail())
  const { binds, targets } = compile(config, read, lasting)
  const head = { method: 'POST', hostname: 'a', path: '/v1/chat/completions', query: '', headers: {} }
  const backend = binds[0]?.listeners[0]?.match(head)?.target.backends[0]
  const choose = backend !== undefined && 'models' in backend ? backend.models?.find('m') : undefined
  const llm = choose?.({ random: () => 0, variables: () => ({}) }).flat()[0]?.llm
  const service = llm?.guard?.request[0]?.service
  await service?.ask({ phase: 'request', texts: [] }, caller)
  const [target, request] = asked[0] ?? expect.fail()
  expect(targets).toContain(target)
  const { host, authorization } = request.headers
  return { target, host, authorization, id: service?.id }
}

describe('a service', () => {
  test.each([
    {
      name: 'at a host is asked in plain HTTP',
      guard: { webhook: { target: { host: 'hook.test:80' } } },
      asked: { target: { host: 'hook.test', port: 80, tls: undefined }, host: 'hook.test' },
    },
    {
      name: 'that is a backend has its policies',
      guard: { webhook: { target: { backend: '/judge' } } },
      asked: {
        target: { host: 'judge.test', port: 443, tls: {} },
        host: 'judge.test',
        authorization: 'Bearer abc',
      },
    },
    {
      name: 'of OpenAI has TLS, and the key that is configured',
      guard: { openAIModeration: { policies: { backendAuth: { key: { file: 'key.txt' } } } } },
      asked: {
        target: { host: 'api.openai.com', port: 443, tls: {} },
        host: 'api.openai.com',
        authorization: 'Bearer from-file',
      },
    },
    {
      name: 'like that elsewhere has none',
      guard: { openAIModeration: { host: 'own.test:8080' } },
      asked: { target: { host: 'own.test', port: 8080, tls: undefined }, host: 'own.test:8080' },
    },
    {
      name: 'like that elsewhere has it where it is asked for',
      guard: { openAIModeration: { host: 'own.test:8443', policies: { backendTLS: { insecure: true } } } },
      asked: { target: { host: 'own.test', port: 8443, tls: { insecure: true } }, host: 'own.test:8443' },
    },
  ])('$name', async ({ guard, asked }) => {
    const found = await askedBy(guard)
    expect(found).toMatchObject(asked)
    expect(found.authorization).toBe('authorization' in asked ? asked.authorization : undefined)
  })

  test.each([
    { backend: 'judges', says: 'there is no top-level backend named judges' },
    { backend: 'model', says: 'model has no `host`' },
  ])('cannot be the backend $backend', async ({ backend, says }) => {
    const asking = askedBy({ webhook: { target: { backend } } })
    await expect(asking).rejects.toThrow(ConfigProblem)
    await expect(asking).rejects.toThrow(says)
  })

  test('is the same wherever the same is configured', async () => {
    const [one, same, other] = [{ model: 'a' }, { model: 'a' }, { model: 'b' }].map((openAIModeration) =>
      askedBy({ openAIModeration }),
    )
    expect((await one)?.id).toBe((await same)?.id)
    expect((await one)?.id).not.toBe((await other)?.id)
  })
})
