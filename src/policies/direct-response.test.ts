import { expect, test } from 'vitest'
import { directResponse, directResponseSchema } from './direct-response.ts'
import { replyOf, requestHead } from './request-head.fixture.ts'

test('it answers with status and body', () => {
  const reply = directResponse({ status: 418, body: 'short and stout' }).onRequest?.(requestHead())
  expect(reply).toEqual({ status: 418, headers: {}, body: 'short and stout' })
})

test('it answers with an empty body', () => {
  expect(directResponse({ status: 204 }).onRequest?.(requestHead())).toMatchObject({ status: 204, body: '' })
})

test('it gives each answer headers of its own, which later policies change', () => {
  const policy = directResponse({ status: 200 })
  const [first, second] = [replyOf(policy, requestHead()), replyOf(policy, requestHead())]
  if (first !== undefined) first.headers['x-a'] = '1'
  expect(second?.headers).toEqual({})
})

test.each([
  {},
  { status: 199 },
  { status: 600 },
  { status: 200.5 },
  { status: 200, body: 1 },
  { status: 200, body: 'a', bodyExpression: '"a"' },
  { status: 200, bodyExpression: 'no such' },
  { status: 200, headers: { 'content-length': '1' } },
])('it refuses %j', (config) => {
  expect(directResponseSchema.safeParse(config).success).toBe(false)
})

test.each([
  { bodyExpression: '"for " + source.address', body: 'for 127.0.0.1' },
  { bodyExpression: '{"path": request.path, "n": 1}', body: '{"path":"/","n":1}' },
  { bodyExpression: 'jwt.sub', body: '' },
  { bodyExpression: '9223372036854775807', body: '' },
])('it answers with what $bodyExpression makes', ({ bodyExpression, body }) => {
  expect(replyOf(directResponse({ status: 200, bodyExpression }), requestHead())?.body).toBe(body)
})

test('it answers with the headers that have a value', () => {
  const headers = { 'X-A': 'request.method', 'x-b': '"a\\r\\nx-evil: 1"', 'x-c': 'jwt.sub' }
  const reply = replyOf(directResponse({ status: 200, headers }), requestHead())
  expect(reply?.headers).toStrictEqual({ 'x-a': 'GET' })
})
