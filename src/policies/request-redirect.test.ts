import { expect, test } from 'vitest'
import type { z } from 'zod'
import { replyOf, requestHead } from './request-head.fixture.ts'
import { requestRedirect, requestRedirectSchema } from './request-redirect.ts'

type Input = z.input<typeof requestRedirectSchema>

const redirected = (config: Input, head: Parameters<typeof requestHead>[0] = {}) =>
  replyOf(
    requestRedirect(requestRedirectSchema.parse(config)),
    requestHead({ host: 'in.test:3000', path: '/a/x', query: 'q=1', matchedPrefix: '/a', ...head }),
  )

test.each<{ config: Input; location: string }>([
  { config: {}, location: 'http://in.test:3000/a/x?q=1' },
  { config: { scheme: 'https' }, location: 'https://in.test/a/x?q=1' },
  { config: { authority: 'none' }, location: 'http://in.test:3000/a/x?q=1' },
  { config: { authority: { full: 'out.test' } }, location: 'http://out.test/a/x?q=1' },
  { config: { authority: { host: 'out.test' } }, location: 'http://out.test:3000/a/x?q=1' },
  { config: { scheme: 'https', authority: { host: 'out.test' } }, location: 'https://out.test/a/x?q=1' },
  { config: { scheme: 'https', authority: { port: 8443 } }, location: 'https://in.test:8443/a/x?q=1' },
  { config: { scheme: 'https', authority: { full: 'b.test:81' } }, location: 'https://b.test:81/a/x?q=1' },
  { config: { path: { full: '/b' } }, location: 'http://in.test:3000/b?q=1' },
  { config: { path: { prefix: '/b' } }, location: 'http://in.test:3000/b/x?q=1' },
])('it sends with $config to $location', ({ config, location }) => {
  expect(redirected(config)).toEqual({ status: 302, headers: { location }, body: '' })
})

test('it stays on the host, whatever the path looks like', () => {
  expect(redirected({}, { path: '//evil.test/', query: '' })?.headers.location).toBe(
    'http://in.test:3000//evil.test/',
  )
})

test.each([{ host: '' }, { host: 'in.test/evil' }, { host: 'user@in.test' }, { path: '*' }])(
  'it sends nowhere from %j',
  (head) => {
    expect(() => redirected({}, head)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  },
)

test.each([
  { status: 200 },
  { status: 304 },
  { scheme: 'ftp' },
  { path: { full: 'b' } },
  { authority: 'other' },
])('it refuses %j', (config) => {
  expect(requestRedirectSchema.safeParse(config).success).toBe(false)
})
