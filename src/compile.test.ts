import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { compile, type ForwardingBackend, type Snapshot } from './compile.ts'
import { configSchema } from './config/schema.ts'

type Input = z.input<typeof configSchema>
type RouteInput = NonNullable<NonNullable<Input['binds']>[number]['listeners'][number]['routes']>[number]

const pem = (name: string) => readFileSync(new URL(`../test/fixtures/tls/${name}`, import.meta.url), 'utf8')

const FILES: Record<string, string> = {
  'key.txt': '  sk-file\n',
  'root.pem': pem('ca.pem'),
  'cert.pem': pem('one.pem'),
  'key.pem': pem('one.key'),
}
function read(path: string): string {
  const text = FILES[path]
  if (text === undefined) throw new Error('ENOENT: no such file')
  return text
}

const compiled = (config: Input): Snapshot => compile(configSchema.parse(config), read)
const withRoute = (route: RouteInput, more: Input = {}): Input => ({
  ...more,
  binds: [{ port: 3000, listeners: [{ routes: [route] }] }],
})

function matched(config: Input) {
  const head = { method: 'GET', hostname: 'a.test', path: '/', query: '', headers: {} }
  const route = compiled(config).binds[0]?.listeners[0]?.match(head)?.target
  if (route === undefined) throw new Error('no route matched')
  return route
}

function onlyBackend(route: RouteInput, more: Input = {}): ForwardingBackend {
  const [backend] = matched(withRoute(route, more)).backends
  if (backend === undefined || !('tiers' in backend)) throw new Error('the route has no such backend')
  const [only, ...others] = backend.tiers.flat()
  if (only === undefined || others.length > 0) throw new Error('the backend has several upstreams')
  return only
}

const openAI = { name: 'main', provider: { openAI: {} } }

describe('a host backend', () => {
  test('it is what is written', () => {
    expect(onlyBackend({ backends: [{ host: 'one.test:81' }] })).toMatchObject({
      name: 'one.test:81',
      target: { host: 'one.test', port: 81, tls: undefined, connectTimeoutMs: undefined },
      authority: 'one.test:81',
      endpoint: 'one.test:81',
      llm: undefined,
      auth: undefined,
      timeouts: { requestMs: 0, firstByteMs: 600_000, idleMs: 600_000, totalMs: 0 },
    })
  })

  test('it may be an IPv6 address', () => {
    expect(onlyBackend({ backends: [{ host: '[::1]:81' }] })).toMatchObject({
      target: { host: '::1', port: 81 },
      authority: '[::1]:81',
    })
  })

  test('it presents its credential itself', () => {
    const policies = { backendAuth: { key: { file: 'key.txt' } } }
    expect(onlyBackend({ backends: [{ host: 'one.test:81', policies }] }).auth).toMatchObject({
      header: 'authorization',
      value: 'Bearer sk-file',
    })
  })
})

describe('layers of policies', () => {
  const named: Input = {
    backends: [{ name: 'shared', host: 'one.test:81', policies: { backendAuth: { key: 'sk-named' } } }],
  }

  test.each<{ name: string; route: RouteInput; more?: Input; key: string }>([
    {
      name: "the route's",
      route: { policies: { backendAuth: { key: 'sk-route' } }, backends: [{ host: 'one.test:81' }] },
      key: 'sk-route',
    },
    {
      name: "the backend's over the route's",
      route: {
        policies: { backendAuth: { key: 'sk-route' } },
        backends: [{ host: 'one.test:81', policies: { backendAuth: { key: 'sk-backend' } } }],
      },
      key: 'sk-backend',
    },
    {
      name: "the named backend's over the route's",
      route: { policies: { backendAuth: { key: 'sk-route' } }, backends: [{ backend: 'shared' }] },
      more: named,
      key: 'sk-named',
    },
    {
      name: "the reference's over the named backend's",
      route: { backends: [{ backend: '/shared', policies: { backendAuth: { key: 'sk-reference' } } }] },
      more: named,
      key: 'sk-reference',
    },
  ])('it takes $name', ({ route, more, key }) => {
    expect(onlyBackend(route, more).auth?.key).toBe(key)
  })

  test("it takes the provider's over the backend's", () => {
    const ai = { ...openAI, policies: { backendAuth: { key: 'sk-provider' } } }
    const backend = onlyBackend({ backends: [{ ai, policies: { backendAuth: { key: 'sk-backend' } } }] })
    expect(backend.llm?.credential?.key).toBe('sk-provider')
    expect(backend.auth).toBeUndefined()
  })

  test('it takes `ai` field by field, and each field as a whole', () => {
    const { llm } = onlyBackend({
      policies: {
        ai: {
          overrides: { a: 1, b: 1 },
          defaults: { c: 1 },
          modelAliases: { x: 'route' },
          routes: { '*': 'detect' },
        },
      },
      backends: [
        {
          policies: { ai: { overrides: { a: 2 } } },
          ai: { ...openAI, policies: { ai: { modelAliases: { y: 'provider' } } } },
        },
      ],
    })
    expect(llm?.overrides).toEqual({ a: 2 })
    expect(llm?.defaults).toEqual({ c: 1 })
    expect([llm?.alias?.('x'), llm?.alias?.('y')]).toEqual(['x', 'provider'])
    expect(llm?.routeType('/any')).toBe('detect')
  })

  test('it takes the limits of the route, and the own one of the backend', () => {
    const backend = onlyBackend({
      policies: {
        timeout: { requestTimeout: '1s', backendRequestTimeout: '2s', idleTimeout: '3s', totalTimeout: '4s' },
      },
      backends: [
        { host: 'one.test:81', policies: { http: { requestTimeout: '5s' }, tcp: { connectTimeout: '6s' } } },
      ],
    })
    expect(backend.timeouts).toEqual({ requestMs: 1000, firstByteMs: 5000, idleMs: 3000, totalMs: 4000 })
    expect(backend.target.connectTimeoutMs).toBe(6000)
  })

  test('it runs header modifiers of the route once, those of backend and provider each in turn', () => {
    const set = (value: string) => ({ requestHeaderModifier: { set: { 'x-by': value } } })
    const route = matched(
      withRoute({
        policies: set('route'),
        backends: [{ policies: set('backend'), ai: { ...openAI, policies: set('provider') } }],
      }),
    )
    expect(route.policies).toHaveLength(1)
    const [backend] = route.backends
    expect(backend?.policies).toHaveLength(1)
    expect(backend).toMatchObject({ tiers: [[{ policies: [expect.anything()] }]] })
  })
})

describe('a named backend', () => {
  const ai = { name: 'inner', provider: { anthropic: { model: 'claude' } } }
  const more: Input = {
    backends: [
      { name: 'one', host: 'one.test:81' },
      { name: 'two', ai },
    ],
  }

  test('it goes by its name, or by that of its provider', () => {
    const route = { backends: [{ backend: '/one', weight: 3 }] }
    expect(matched(withRoute(route, more)).backends[0]).toMatchObject({ name: 'one', weight: 3 })
    expect(onlyBackend(route, more).name).toBe('one')
    expect(onlyBackend({ backends: [{ backend: 'two' }] }, more)).toMatchObject({
      name: 'inner',
      llm: { pinnedModel: 'claude' },
    })
  })
})

describe('where a provider is', () => {
  test.each<{
    name: string
    ai: Partial<NonNullable<NonNullable<RouteInput['backends']>[number]['ai']>>
    tls: boolean
    host: string
    port: number
    authority: string
  }>([
    {
      name: 'its own host, with TLS',
      ai: {},
      tls: true,
      host: 'api.openai.com',
      port: 443,
      authority: 'api.openai.com',
    },
    {
      name: "Anthropic's",
      ai: { provider: { anthropic: {} } },
      tls: true,
      host: 'api.anthropic.com',
      port: 443,
      authority: 'api.anthropic.com',
    },
    {
      name: 'the override, without TLS',
      ai: { hostOverride: '127.0.0.1:9999' },
      tls: false,
      host: '127.0.0.1',
      port: 9999,
      authority: '127.0.0.1:9999',
    },
    {
      name: 'the override, without TLS, even on port 443',
      ai: { hostOverride: 'a.test:443' },
      tls: false,
      host: 'a.test',
      port: 443,
      authority: 'a.test:443',
    },
    {
      name: 'the override, with TLS where it is asked for',
      ai: { hostOverride: 'a.test:443', policies: { backendTLS: {} } },
      tls: true,
      host: 'a.test',
      port: 443,
      authority: 'a.test',
    },
    {
      name: 'the override on the usual port',
      ai: { hostOverride: 'a.test:80' },
      tls: false,
      host: 'a.test',
      port: 80,
      authority: 'a.test',
    },
    {
      name: 'an IPv6 override on the usual port',
      ai: { hostOverride: '[::1]:80' },
      tls: false,
      host: '::1',
      port: 80,
      authority: '[::1]',
    },
    {
      name: 'that of a custom provider',
      ai: { provider: { custom: {} }, hostOverride: 'a.test:8000' },
      tls: false,
      host: 'a.test',
      port: 8000,
      authority: 'a.test:8000',
    },
  ])('it is $name', ({ ai, tls, host, port, authority }) => {
    const { target, authority: named, endpoint } = onlyBackend({ backends: [{ ai: { ...openAI, ...ai } }] })
    expect(target).toMatchObject({ host, port })
    expect(target.tls !== undefined).toBe(tls)
    expect(named).toBe(authority)
    expect(endpoint).toBe(ai.hostOverride ?? `${host}:${port}`)
  })

  test("it takes the route's TLS for an override, too", () => {
    const ai = { ...openAI, hostOverride: 'a.test:443' }
    expect(onlyBackend({ policies: { backendTLS: null }, backends: [{ ai }] }).target.tls).toBeDefined()
  })

  test('it reads what TLS needs', () => {
    const backendTLS = {
      root: 'root.pem',
      cert: 'cert.pem',
      key: 'key.pem',
      hostname: 'b.test',
    }
    expect(
      onlyBackend({ backends: [{ host: 'a.test:443', policies: { backendTLS } }] }).target.tls,
    ).toMatchObject({
      ca: FILES['root.pem'],
      cert: FILES['cert.pem'],
      key: FILES['key.pem'],
      servername: 'b.test',
    })
  })
})
