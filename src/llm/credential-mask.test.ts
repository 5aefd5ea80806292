import { expect, test } from 'vitest'
import { withoutCredentials } from './credential-mask.ts'

test.each([
  { name: 'a bearer token', headers: { authorization: 'Bearer opaque-key' } },
  { name: 'a key of its own header', headers: { 'x-api-key': 'opaque-key' } },
  { name: 'one value of several', headers: { 'x-token': ['other-one', 'opaque-key'] } },
])('it takes out $name', ({ headers }) => {
  expect(withoutCredentials('no such key: opaque-key, opaque-key', headers, '/')).toBe(
    'no such key: [redacted], [redacted]',
  )
})

test.each([
  { name: 'of other headers', headers: { 'content-type': 'application/json' } },
  { name: 'that are too short to be keys', headers: { 'x-api-key': 'json' } },
  { name: 'that are missing', headers: { authorization: undefined } },
])('it leaves words $name', ({ headers }) => {
  expect(withoutCredentials('not application/json', headers, '/')).toBe('not application/json')
})

test.each([
  { path: '/v1?key=opaque-key&a=1', said: 'opaque-key' },
  { path: '/v1?api_key=a%20long%20key', said: 'a long key, a%20long%20key' },
])('it takes out what the query of $path has', ({ path, said }) => {
  const masked = withoutCredentials(`no such key: ${said}`, {}, path)
  expect(masked).toMatch(/^no such key: \[redacted\](?:, \[redacted\])?$/)
})
