import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import type { RequestHead } from './policy.ts'
import { requestHead } from './request-head.fixture.ts'
import { transformations, transformationsSchema } from './transformations.ts'

type Input = z.input<typeof transformationsSchema>
type Change = NonNullable<Input['response']>

const policy = (config: Input) => transformations(transformationsSchema.parse(config))

function changed(request: NonNullable<Input['request']>, head: Partial<RequestHead> = {}): RequestHead {
  const made = requestHead(head)
  expect(policy({ request }).onRequest?.(made)).toBeUndefined()
  return made
}

const ROWS: readonly { name: string; change: Change; before?: Headers; after: Headers }[] = [
  { name: 'sets what an expression says', change: { set: { 'X-A': '"a" + "b"' } }, after: { 'x-a': 'ab' } },
  {
    name: 'sets numbers and booleans',
    change: { set: { 'x-a': '1 + 1', 'x-b': 'true' } },
    after: { 'x-a': '2', 'x-b': 'true' },
  },
  {
    name: 'adds beside what is there',
    change: { add: { 'x-a': '"2"' } },
    before: { 'x-a': '1' },
    after: { 'x-a': ['1', '2'] },
  },
  { name: 'removes', change: { remove: ['X-A'] }, before: { 'x-a': '1' }, after: {} },
  {
    name: 'adds nothing for an expression that fails, or gives null',
    change: { add: { 'x-a': 'jwt.sub', 'x-b': 'null' } },
    before: { 'x-a': '1' },
    after: { 'x-a': '1' },
  },
]

describe.each(ROWS)('it $name', ({ change, before = {}, after }) => {
  test('in requests', () => {
    const { headers } = changed(change, { headers: { ...before } })
    expect(headers).toEqual(Array.isArray(after['x-a']) ? after : expect.objectContaining(after))
  })

  test('in responses', () => {
    const headers: Headers = { ...before }
    policy({ response: change }).onResponse?.(headers, requestHead(), 200)
    expect(Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, flat(value)]))).toEqual(
      after,
    )
  })
})

const flat = (value: Headers[string]) => (Array.isArray(value) && value.length === 1 ? value[0] : value)

test.each<{ name: string; source: string; headers?: Headers }>([
  { name: 'fails', source: 'jwt.sub' },
  { name: 'gives null', source: 'null' },
  { name: 'gives a list', source: '["a"]' },
  { name: 'gives a map', source: '{"a": 1}' },
  { name: 'gives bytes', source: 'b"a"' },
  { name: 'injects a header', source: '"a\\r\\nx-evil: 1"' },
  { name: 'ends the line', source: '"a\\n"' },
  { name: 'holds NUL', source: '"a\\u0000"' },
  { name: 'holds what no byte can', source: '"\\u2603"' },
  {
    name: 'grows beyond 16 KiB',
    source: 'request.headers["x-long"] + "a"',
    headers: { 'x-long': 'a'.repeat(16 * 1024) },
  },
])('it removes a header whose expression $name: the client may have sent it', ({ source, headers }) => {
  const sent = { ...headers, 'x-user': 'admin' }
  expect(changed({ set: { 'x-user': source } }, { headers: sent }).headers).not.toHaveProperty('x-user')
  const answered: Headers = { 'x-user': 'admin' }
  policy({ response: { set: { 'x-user': source } } }).onResponse?.(
    answered,
    requestHead({ headers: sent }),
    200,
  )
  expect(answered).toEqual({})
})

test('it sees the headers as they were', () => {
  const before = { 'x-a': 'a', 'x-b': 'b' }
  const set = { 'x-a': 'request.headers["x-b"]', 'x-b': 'request.headers["x-a"]' }
  expect(changed({ set, remove: ['x-c'] }, { headers: before }).headers).toEqual({ 'x-a': 'b', 'x-b': 'a' })
})

test('it knows who asks', () => {
  const set = {
    'x-who': 'source.address + " " + apiKey.user + " " + basicAuth.username + " " + jwt.sub',
  }
  const who = { apiKey: { user: 'key' }, basicAuth: { username: 'basic' }, jwt: { sub: 'token' } }
  expect(changed({ set }, who).headers['x-who']).toBe('127.0.0.1 key basic token')
})

test('it notes what expressions say, for those of answers and whoever comes later', () => {
  const metadata = {
    team: 'jwt.team + "!"',
    list: '["a", 1, true]',
    map: '{"a": {"b": 1}}',
    failed: 'jwt.absent',
    none: 'null',
    time: 'timestamp("2026-01-01T00:00:00Z")',
    bytes: 'b"a"',
  }
  const config: Input = {
    request: { metadata },
    response: { set: { 'x-team': 'metadata.team + string(metadata.map.a.b)', 'x-none': 'metadata.failed' } },
  }
  const head = requestHead({ jwt: { team: 'red' } })
  policy(config).onRequest?.(head)
  expect(head.metadata).toEqual({ team: 'red!', list: ['a', 1, true], map: { a: { b: 1 } } })
  const headers: Headers = { 'x-none': 'client' }
  policy(config).onResponse?.(headers, head, 200)
  expect(headers).toEqual({ 'x-team': 'red!1' })
})

describe('a body', () => {
  const changed = (body: string, sent: string | Buffer, change: NonNullable<Input['request']> = {}) => {
    const head = requestHead({ headers: { 'x-a': 'a' }, jwt: { sub: 'ada' } })
    policy({ request: { ...change, body } }).onRequest?.(head)
    return head.changeBody?.(Buffer.from(sent), 30).toString()
  }

  test.each([
    { name: 'a text as it is', body: 'request.body + jwt.sub', sent: 'I am ', after: 'I am ada' },
    { name: 'bytes as they are', body: 'bytes(request.body)', sent: 'é', after: 'é' },
    {
      name: 'a map as JSON',
      body: '{"a": json(request.body).b}',
      sent: '{"b":[1,null]}',
      after: '{"a":[1,null]}',
    },
    { name: 'a list as JSON', body: '[request.path, true, 1]', sent: '', after: '["/",true,1]' },
    { name: 'nothing at all', body: '""', sent: 'a', after: '' },
    { name: 'the client’s where it fails', body: 'json(request.body).b', sent: 'no JSON', after: 'no JSON' },
    { name: 'the client’s where it is null', body: 'null', sent: 'a', after: 'a' },
    { name: 'the client’s where it is no value of JSON', body: 'timestamp(0)', sent: 'a', after: 'a' },
    {
      name: 'the client’s where it is too long',
      body: 'request.body + request.body',
      sent: '1234567890123456',
      after: '1234567890123456',
    },
    { name: 'what no number can hold', body: '[9223372036854775807]', sent: 'a', after: 'a' },
  ])('is $name', ({ body, sent, after }) => {
    expect(changed(body, sent)).toBe(after)
  })

  test('that is no text is not read', () => {
    const sent = Buffer.from([0xff, 0x00])
    expect(changed('request.body + "a"', sent)).toBe(sent.toString())
    expect(changed('"a"', sent)).toBe('a')
  })

  test('is made of the headers as they were', () => {
    expect(changed('request.headers["x-a"]', 'b', { set: { 'x-a': '"c"' } })).toBe('a')
  })

  test('goes on as it comes without an expression', () => {
    const head = requestHead()
    policy({ request: { set: { 'x-a': '"a"' } } }).onRequest?.(head)
    expect(head.changeBody).toBeUndefined()
  })
})

test('it knows the response, and the request that it answers', () => {
  const set = { 'x-seen': 'string(response.code) + response.headers["x-a"] + request.method' }
  const headers: Headers = { 'x-a': 'a' }
  policy({ response: { set } }).onResponse?.(headers, requestHead(), 418)
  expect(headers['x-seen']).toBe('418aGET')
})

test.each<{ source: string; path: string; query: string }>([
  { source: '"/new" + request.path', path: '/new/', query: '' },
  { source: '"/a?b=c?d"', path: '/a', query: 'b=c?d' },
  { source: '"no-slash"', path: '/old', query: 'q' },
  { source: '"/a b"', path: '/old', query: 'q' },
  { source: '"/a\\r\\n"', path: '/old', query: 'q' },
  { source: '"/a#b"', path: '/old', query: 'q' },
  { source: 'jwt.sub', path: '/old', query: 'q' },
])('it takes $source for a path, or leaves it', ({ source, path, query }) => {
  const head = requestHead({ path: '/old', query: 'q' })
  policy({ request: { set: { ':path': source } } }).onRequest?.(head)
  expect(head).toMatchObject({ path, query })
  expect(head.headers).not.toHaveProperty(':path')
})

test.each<{ source: string; authority: string | undefined }>([
  { source: '"other.test:81"', authority: 'other.test:81' },
  { source: '"[::1]:81"', authority: '[::1]:81' },
  { source: '"a/b"', authority: undefined },
  { source: '"a@b"', authority: undefined },
  { source: '"a\\r\\nx-evil: 1"', authority: undefined },
  { source: 'jwt.host', authority: undefined },
])('it takes $source for an authority, or leaves it', ({ source, authority }) => {
  expect(changed({ set: { ':authority': source } }).authority).toBe(authority)
})

test.each([
  { request: { set: { host: '"a"' } } },
  { request: { set: { 'Content-Length': '1' } } },
  { request: { add: { 'transfer-encoding': '"chunked"' } } },
  { request: { remove: ['connection'] } },
  { request: { add: { ':path': '"/"' } } },
  { request: { set: { 'x a': '"a"' } } },
  { request: { set: { 'x-a': 'no such' } } },
  { request: { set: { 'x-a': 'response.code' } } },
  { request: { set: { 'x-a': 'metadata.a' } } },
  { request: { set: { 'x-a': 'request.body' } } },
  { request: { body: 'response.code' } },
  { response: { body: '"a"' } },
  { request: { metadata: { a: 'no such' } } },
  { request: { metadata: { a: 'metadata.b' } } },
  { response: { set: { ':authority': '"a"' } } },
  { response: { set: { 'content-length': '1' } } },
  { response: { set: { 'x-a': 'request.body' } } },
])('it refuses %j', (config) => {
  expect(transformationsSchema.safeParse(config).success).toBe(false)
})
