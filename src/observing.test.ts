import { expect, test } from 'vitest'
import { loadConfig } from './config/load.ts'
import { accessLogOf, createObserving, labelsOf } from './observing.ts'
import { httpExchange } from './store/exchanges.fixture.ts'
import type { Seen } from './telemetry/variables.ts'

function read(text: string) {
  const loaded = loadConfig({ text, file: 'gateway.yaml', environment: {} })
  return loaded.ok ? loaded.config : expect.unreachable(JSON.stringify(loaded.problems))
}

const SEEN: Seen = {
  requestHeaders: {
    'x-user': 'ann',
    'x-pin': 'canary',
    'x-badge': 'canary',
    'x-card': 'canary',
    'x-access-token': 'canary',
  },
  responseHeaders: {},
  apiKey: undefined,
  basicAuth: undefined,
  jwt: { groups: ['a', 'b'] },
}

function viewOf(text: string) {
  const config = read(text)
  const options = { labels: labelsOf(config), onFailed: () => {} }
  const exchange = { ...httpExchange({ completedAt: Date.now() }), user: 'by-policy', group: 'by-policy' }
  return { exchange, view: createObserving(config, undefined, options).view?.(exchange, () => SEEN) }
}

test.each([
  '{}',
  'config: {logging: {level: info, format: text}, metrics: {remove: [requests]}}',
  'frontendPolicies: {accessLog: {database: {llm: full}}}',
  'config: {standardAttributes: {}, metrics: {fields: {add: {}}}, logging: {fields: {remove: []}}}',
])('there is no view of %s', (text) => {
  expect(viewOf(text).view).toBeUndefined()
})

test.each([
  { standard: 'user: request.headers["x-user"]', expected: ['ann', 'by-policy'] },
  { standard: 'group: jwt.groups[1]', expected: ['by-policy', 'b'] },
  { standard: 'user: jwt.absent', expected: [undefined, 'by-policy'] },
  { standard: 'group: "null"', expected: ['by-policy', undefined] },
])('$standard says who asked: $expected', ({ standard, expected }) => {
  const { view, exchange } = viewOf(`config:\n  standardAttributes:\n    ${standard}`)
  view?.identify()
  expect([exchange.user, exchange.group]).toEqual(expected)
})

test('headers are hidden by their names, where the configuration says so, and where it looks for credentials', () => {
  const { view } = viewOf(`
config:
  sensitiveHeaders: [X-Pin]
  metrics: {fields: {add: {all: 'request.headers.map(name, name).join(" ")'}}}
binds:
- port: 0
  listeners:
  - routes:
    - policies: {apiKey: {keys: [{key: a}], location: {header: {name: X-Badge}}}, directResponse: {status: 200}}
    - policies: {apiKey: {keys: [{key: a}], location: {expression: 'request.headers["x-card"]'}}, directResponse: {status: 200}}`)
  expect(view?.labels()).toEqual(['x-user'])
})

test.each([
  { name: 'as it was', text: 'config: {logging: {filter: "true", fields: {add: {a: "1"}, remove: [b]}}}' },
  { name: 'as it is', text: 'frontendPolicies: {accessLog: {filter: "true", add: {a: "1"}, remove: [b]}}' },
  {
    name: 'by its other name',
    text: 'frontendPolicies: {logging: {filter: "true", add: {a: "1"}, remove: [b]}}',
  },
])('the access log is the same $name', ({ text }) => {
  expect(accessLogOf(read(text))).toEqual({
    filter: 'true',
    add: { a: '1' },
    remove: ['b'],
    database: undefined,
  })
})

test('what is kept has texts, numbers and booleans, lists and maps as JSON, and nothing that fails', () => {
  const { view, exchange } = viewOf(`
frontendPolicies:
  accessLog:
    database: {add: {groups: jwt.groups, first: 'jwt.groups[0]', n: '1.5', on: 'true', failed: jwt.absent, pin: 'request.headers["x-access-token"]'}}`)
  view?.keep()
  expect(exchange.attributes).toEqual([
    ['groups', '["a","b"]'],
    ['first', 'a'],
    ['n', 1.5],
    ['on', true],
  ])
})

test.each([
  { filter: 'jwt.groups[0] == "a"', isKept: true },
  { filter: 'jwt.groups[0] == "b"', isKept: false },
  { filter: 'proxy.outcome == "completed" || llm.cost.total > 0.01', isKept: true },
  { filter: 'proxy.outcome != "completed" || llm.cost.total > 0.01', isKept: false },
  { filter: 'jwt.absent', isKept: false },
])('kept is what $filter is true of', ({ filter, isKept }) => {
  const { view } = viewOf(`frontendPolicies: {accessLog: {database: {filter: ${JSON.stringify(filter)}}}}`)
  expect(view?.isKept()).toBe(isKept)
  expect(view?.isLogged()).toBe(true)
})

test('the older form of fields and the newer form of what is kept go together', () => {
  const text = 'config: {logging: {filter: "true"}}\nfrontendPolicies: {logging: {database: {llm: full}}}'
  expect(accessLogOf(read(text))).toMatchObject({ filter: 'true', database: { llm: 'full' } })
})
