/** Names, order, catalogs, and where a mistake is that only shows now. Policies and backends: `compile.test.ts`. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { compile } from './compile.ts'
import { configSchema } from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'

type Input = z.input<typeof configSchema>
type RouteInput = NonNullable<NonNullable<Input['binds']>[number]['listeners'][number]['routes']>[number]

const pem = (name: string) => readFileSync(new URL(`../test/fixtures/tls/${name}`, import.meta.url), 'utf8')

const FILES: Record<string, string> = {
  'empty.txt': '\n',
  'lines.txt': 'sk-1\nsk-2',
  'cert.pem': pem('one.pem'),
  'key.pem': pem('one.key'),
  'other.pem': pem('wild.pem'),
  'prices.json': '{"providers":{"openai":{"models":{"m":{"rates":{"input":"1"}}}}}}',
  'broken.json': '{"providers":',
  'wrong.json': '{"providers":{"openai":{"models":{"m":{"rates":{"input":"free"}}}}}}',
}
const compiled = (config: Input) =>
  compile(configSchema.parse(config), (path) => {
    const text = FILES[path]
    if (text === undefined) throw new Error('ENOENT: no such file')
    return text
  })
const withRoute = (route: RouteInput, more: Input = {}): Input => ({
  ...more,
  binds: [{ port: 3000, listeners: [{ routes: [route] }] }],
})
const openAI = { name: 'main', provider: { openAI: {} } }

describe('names and order', () => {
  test('it names what has no name by its place', () => {
    const { binds } = compiled({
      binds: [
        {
          port: 3000,
          listeners: [
            { routes: [{ matches: [{ path: { exact: '/a' } }] }, { name: 'chat' }] },
            { hostname: 'b.test' },
          ],
        },
      ],
    })
    const [bind] = binds
    expect(bind).toMatchObject({ name: 'bind/3000', port: 3000 })
    const first = bind?.listeners.find(({ name }) => name === 'listener0')
    const ask = (path: string) =>
      first?.match({ method: 'GET', hostname: 'x', path, query: '', headers: {} })?.target.name
    expect([ask('/a'), ask('/b')]).toEqual(['default/route0', 'default/chat'])
  })

  test('it puts the listener with the best host name first', () => {
    const hostnames = [undefined, '*.a.test', 'x.a.test', '*.b.a.test', 'a.longer.name.test']
    const listeners = hostnames.map((hostname) => ({
      ...(hostname && { hostname }),
      name: hostname ?? 'any',
    }))
    const [bind] = compiled({ binds: [{ port: 1, listeners }] }).binds
    expect(bind?.listeners.map(({ name }) => name)).toEqual([
      'a.longer.name.test',
      'x.a.test',
      '*.b.a.test',
      '*.a.test',
      'any',
    ])
  })

  test('it reads the certificate of a listener', () => {
    const tls = { cert: 'cert.pem', key: 'key.pem' }
    const listeners = [{ hostname: 'a.test', protocol: 'HTTPS' as const, tls }]
    const [bind] = compiled({ binds: [{ port: 1, listeners }] }).binds
    expect(bind?.listeners[0]?.tls).toEqual({
      cert: FILES['cert.pem'],
      key: FILES['key.pem'],
      hostname: 'a.test',
    })
  })

  test('it sums weights, and knows every place that requests may go', () => {
    const backends = [{ host: 'a.test:1', weight: 3 }, { ai: openAI }, { host: 'b.test:1', weight: 0 }]
    const { binds, targets } = compiled(withRoute({ backends }))
    const head = { method: 'GET', hostname: 'x', path: '/', query: '', headers: {} }
    expect(binds[0]?.listeners[0]?.match(head)?.target.totalWeight).toBe(4)
    expect(targets.map(({ host }) => host)).toEqual(['a.test', 'api.openai.com', 'b.test'])
  })

  test('it runs cors, header modifiers, rewrite and direct response in this order', () => {
    const { binds } = compiled(
      withRoute({
        policies: {
          directResponse: { status: 200 },
          urlRewrite: { authority: 'none' },
          requestHeaderModifier: { set: { host: 'set.test' } },
          cors: { allowOrigins: ['*'] },
        },
      }),
    )
    const head = { method: 'GET', hostname: 'x', path: '/', query: '', headers: {} }
    const policies = binds[0]?.listeners[0]?.match(head)?.target.policies ?? []
    expect(
      policies.map((policy) => [policy.onRequest !== undefined, policy.onResponse !== undefined]),
    ).toEqual([
      [true, true],
      [true, false],
      [true, false],
      [true, false],
    ])
  })

  test('it compiles nothing to nothing', () => {
    expect(compiled({})).toEqual({ binds: [], targets: [], catalogs: [], mcp: [], healths: [], budgets: [] })
  })
})

describe('price catalogs', () => {
  test('it takes files, text and objects, in order', () => {
    const { catalogs } = compiled({
      config: {
        modelCatalog: [
          { file: 'prices.json' },
          { inline: FILES['prices.json'] ?? '' },
          { inline: { providers: { x: { models: {} } } } },
        ],
      },
    })
    expect(catalogs.map(({ providers }) => Object.keys(providers))).toEqual([['openai'], ['openai'], ['x']])
  })
})

const ROUTE = 'binds.0.listeners.0.routes.0'
const host = (policies: object): Input => withRoute({ backends: [{ host: 'a.test:1', policies }] })
const key = (value: { file: string } | { value: { file: string } }) => ({ backendAuth: { key: value } })

test.each<{ name: string; config: Input; path: string; says: RegExp }>([
  {
    name: 'a key',
    config: host(key({ file: 'no.txt' })),
    path: `${ROUTE}.backends.0.policies.backendAuth.key.file`,
    says: /no\.txt.*ENOENT/,
  },
  {
    name: 'a key with a place',
    config: host(key({ value: { file: 'no.txt' } })),
    path: `${ROUTE}.backends.0.policies.backendAuth.key.value.file`,
    says: /ENOENT/,
  },
  {
    name: 'a key of the route',
    config: withRoute({ policies: key({ file: 'no.txt' }), backends: [{ host: 'a.test:1' }] }),
    path: `${ROUTE}.policies.backendAuth.key.file`,
    says: /ENOENT/,
  },
  {
    name: 'a key of a provider',
    config: withRoute({ backends: [{ ai: { ...openAI, policies: key({ file: 'no.txt' }) } }] }),
    path: `${ROUTE}.backends.0.ai.policies.backendAuth.key.file`,
    says: /ENOENT/,
  },
  {
    name: 'a key of a named backend',
    config: withRoute(
      { backends: [{ backend: 'two' }] },
      {
        backends: [
          { name: 'one', host: 'a.test:1' },
          { name: 'two', host: 'a.test:2', policies: key({ file: 'no.txt' }) },
        ],
      },
    ),
    path: 'backends.1.policies.backendAuth.key.file',
    says: /ENOENT/,
  },
  {
    name: 'an empty key',
    config: host(key({ file: 'empty.txt' })),
    path: `${ROUTE}.backends.0.policies.backendAuth.key.file`,
    says: /does not hold a key/,
  },
  {
    name: 'a key of two lines',
    config: host(key({ file: 'lines.txt' })),
    path: `${ROUTE}.backends.0.policies.backendAuth.key.file`,
    says: /on one line/,
  },
  {
    name: 'a root',
    config: host({ backendTLS: { root: 'no.pem' } }),
    path: `${ROUTE}.backends.0.policies.backendTLS.root`,
    says: /no\.pem/,
  },
  {
    name: 'a certificate of a listener',
    config: {
      binds: [{ port: 1, listeners: [{ protocol: 'HTTPS', tls: { cert: 'no.pem', key: 'key.pem' } }] }],
    },
    path: 'binds.0.listeners.0.tls.cert',
    says: /no\.pem/,
  },
  {
    name: 'a certificate for another key',
    config: {
      binds: [{ port: 1, listeners: [{ protocol: 'HTTPS', tls: { cert: 'other.pem', key: 'key.pem' } }] }],
    },
    path: 'binds.0.listeners.0.tls.cert',
    says: /cannot be used/,
  },
  {
    name: 'a custom provider without a host',
    config: withRoute({ backends: [{ ai: { name: 'c', provider: { custom: {} } } }] }),
    path: `${ROUTE}.backends.0.ai.hostOverride`,
    says: /hostOverride/,
  },
  {
    name: 'a backend that is not there',
    config: withRoute(
      { backends: [{ backend: '/three' }] },
      { backends: [{ name: 'one', host: 'a.test:1' }] },
    ),
    path: `${ROUTE}.backends.0.backend`,
    says: /three/,
  },
  {
    name: 'a regular expression',
    config: withRoute({ matches: [{}, { path: { regex: '(' } }] }),
    path: `${ROUTE}.matches.1.path.regex`,
    says: /regular expression/,
  },
  {
    name: 'a catalog that is missing',
    config: { config: { modelCatalog: [{ file: 'no.json' }] } },
    path: 'config.modelCatalog.0.file',
    says: /ENOENT/,
  },
  {
    name: 'a catalog that is no JSON',
    config: { config: { modelCatalog: [{ file: 'broken.json' }] } },
    path: 'config.modelCatalog.0.file',
    says: /not valid JSON/,
  },
  {
    name: 'a catalog with a mistake',
    config: { config: { modelCatalog: [{ inline: '{"providers":{}}' }, { file: 'wrong.json' }] } },
    path: 'config.modelCatalog.1.file',
    says: /providers\.openai\.models\.m\.rates\.input/,
  },
  {
    name: 'a catalog in place with a mistake',
    config: { config: { modelCatalog: [{ inline: { providers: [] } }] } },
    path: 'config.modelCatalog.0.inline',
    says: /providers/,
  },
])('it tells where it is: $name', ({ config, path, says }) => {
  let problem: unknown
  try {
    compiled(config)
  } catch (error) {
    problem = error
  }
  expect(problem).toBeInstanceOf(ConfigProblem)
  expect(problem).toMatchObject({ message: expect.stringMatching(says) })
  expect(problem instanceof ConfigProblem && problem.path.join('.')).toBe(path)
})
