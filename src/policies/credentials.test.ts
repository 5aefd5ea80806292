import { describe, expect, test } from 'vitest'
import { credentialLocation, credentialsAt, placeOf } from './credentials.ts'
import { requestHead } from './request-head.fixture.ts'

/** What is found, and what is left of the request without it. */
function taken(location: object, { query = '', ...headers }: Readonly<Record<string, string>>) {
  const place = placeOf(credentialLocation.parse(location))
  const head = requestHead({ query, headers })
  head.exchange.query = query
  const found = credentialsAt(head, place)
  place.removeFrom(head)
  expect(head.exchange.query).toBe(head.query)
  return { found, query: head.query, headers: head.headers }
}

describe('in the query', () => {
  const location = { queryParameter: { name: 'key' } }
  test.each([
    { query: 'key=abc', found: ['abc'], left: '' },
    { query: 'a=1&key=abc&b=%20', found: ['abc'], left: 'a=1&b=%20' },
    { query: 'a=1&k%65y=a%2Bb', found: ['a+b'], left: 'a=1' },
    { query: 'key=one&a=1&key=two', found: ['one', 'two'], left: 'a=1' },
    { query: 'key', found: [''], left: '' },
    { query: 'Key=abc&keys=1&a=key=b', found: [], left: 'Key=abc&keys=1&a=key=b' },
    { query: 'a=%zz&key=%zz', found: ['%zz'], left: 'a=%zz' },
    { query: '', found: [], left: '' },
  ])('$query', ({ query, found, left }) => {
    expect(taken(location, { query })).toMatchObject({ found, query: left })
  })
})

describe('in a cookie', () => {
  const location = { cookie: { name: 'session' } }
  test.each([
    { cookie: 'session=abc', found: ['abc'], left: undefined },
    { cookie: 'a=1; session=a=b==; c=2', found: ['a=b=='], left: 'a=1; c=2' },
    { cookie: 'a=1;session="abc";', found: ['abc'], left: 'a=1; ' },
    { cookie: 'session=one; session=two; a=1', found: ['one', 'two'], left: 'a=1' },
    { cookie: 'Session=abc; sessions=1', found: [], left: 'Session=abc; sessions=1' },
  ])('$cookie', ({ cookie, found, left }) => {
    const { headers, ...rest } = taken(location, { cookie, accept: 'x' })
    expect(rest.found).toEqual(found)
    expect(headers).toEqual({ accept: 'x', ...(left !== undefined && { cookie: left }) })
  })
})

test('in a header, after its prefix in any case', () => {
  const location = { header: { name: 'X-Key', prefix: 'Key ' } }
  expect(taken(location, { 'x-key': 'kEY abc ' })).toMatchObject({ found: ['abc'], headers: {} })
  expect(taken(location, { 'x-key': 'Token abc' }).found).toEqual([])
})

describe('by an expression', () => {
  const header = (name: string) => `request.headers["${name}"]`
  test.each<{
    name: string
    expression: string
    headers: Record<string, string>
    found: string[]
    left: object
  }>([
    {
      name: 'out of a header',
      expression: `${header('x-auth')}.split(":")[1]`,
      headers: { 'x-auth': 'key:abc', 'x-a': '1' },
      found: ['abc'],
      left: { 'x-a': '1' },
    },
    {
      name: 'out of one of two, and neither is passed on',
      expression: `"x-one" in request.headers ? ${header('x-one')} : ${header('x-two')}`,
      headers: { 'x-one': 'abc', 'x-two': 'def' },
      found: ['abc'],
      left: {},
    },
    {
      name: 'changed',
      expression: `${header('x-auth')}.lowerAscii()`,
      headers: { 'x-auth': 'ABC' },
      found: ['abc'],
      left: {},
    },
    {
      name: 'out of a header that another one names',
      expression: `request.headers[${header('x-where')}]`,
      headers: { 'x-where': 'x-any', 'x-any': 'abc', 'x-a': 'b' },
      found: ['abc'],
      left: { 'x-a': 'b' },
    },
    {
      name: 'out of the path, where it stays, and out of no header that the message needs',
      expression: 'request.path.split("/")[1] + request.headers.host.substring(0, 0)',
      headers: { host: 'of-abc.test', 'x-copy': 'key abc' },
      found: ['abc'],
      left: { host: 'of-abc.test' },
    },
    {
      name: 'not where it fails',
      expression: header('x-auth'),
      headers: { 'x-a': '1' },
      found: [],
      left: { 'x-a': '1' },
    },
    { name: 'not as no text', expression: '"abc".size()', headers: {}, found: [], left: {} },
    { name: 'not as an empty text', expression: '""', headers: {}, found: [], left: {} },
    {
      name: 'twice, which is one too many',
      expression: `${header('x-auth')}.split(",")`,
      headers: { 'x-auth': 'abc,def' },
      found: ['abc', 'def'],
      left: {},
    },
  ])('$name', ({ expression, headers, found, left }) => {
    const place = placeOf(credentialLocation.parse({ expression }))
    const head = requestHead({ headers, exchange: { ...requestHead().exchange, path: '/abc/chat' } })
    expect(credentialsAt(head, place)).toEqual(found)
    place.removeFrom(head)
    expect(head.headers).toEqual(left)
  })
})

test.each([
  {},
  { expression: 'no such' },
  { expression: 'request.body' },
  { expression: '"a"', cookie: { name: 'a' } },
  { header: { name: 'a' }, cookie: { name: 'a' } },
  { cookie: { name: 'a b' } },
  { queryParameter: { name: '' } },
])('%j is no place', (location) => {
  expect(credentialLocation.safeParse(location).success).toBe(false)
})
