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
  { status: 200, bodyExpression: '1' },
])('it refuses %j', (config) => {
  expect(directResponseSchema.safeParse(config).success).toBe(false)
})
