import { expect, test } from 'vitest'
import { requestHead } from './request-head.fixture.ts'
import { urlRewrite, urlRewriteSchema } from './url-rewrite.ts'

test.each([
  { path: { full: '/b' }, matched: '/a', from: '/a/x', to: '/b' },
  { path: { full: '/b' }, matched: undefined, from: '/a/x', to: '/b' },
  { path: { prefix: '/b' }, matched: '/a', from: '/a/x', to: '/b/x' },
  { path: { prefix: '/b' }, matched: '/a', from: '/a', to: '/b' },
  { path: { prefix: '/b' }, matched: '/a', from: '/a/', to: '/b/' },
  { path: { prefix: '/b/' }, matched: '/a', from: '/a/x', to: '/b/x' },
  { path: { prefix: '/b/c' }, matched: '/a/d', from: '/a/d/x/y', to: '/b/c/x/y' },
  { path: { prefix: '/' }, matched: '/a', from: '/a/x', to: '/x' },
  { path: { prefix: '/' }, matched: '/a', from: '/a', to: '/' },
  { path: { prefix: '/b' }, matched: '/', from: '/x', to: '/b/x' },
  { path: { prefix: '/b' }, matched: '/', from: '/', to: '/b/' },
  { path: { prefix: '/b' }, matched: undefined, from: '/x', to: '/b/x' },
  { path: undefined, matched: '/a', from: '/a/x', to: '/a/x' },
])('it writes $from, matched by $matched, with $path as $to', ({ path, matched, from, to }) => {
  const head = requestHead({ path: from, query: 'q=1', matchedPrefix: matched })
  urlRewrite({ path }).onRequest?.(head)
  expect(head).toMatchObject({ path: to, query: 'q=1', authority: undefined })
})

test.each([
  { authority: 'auto' as const, host: 'in.test:3000', becomes: undefined },
  { authority: 'none' as const, host: 'in.test:3000', becomes: 'in.test:3000' },
  { authority: { full: 'out.test:81' }, host: 'in.test:3000', becomes: 'out.test:81' },
  { authority: { full: 'out.test' }, host: 'in.test:3000', becomes: 'out.test' },
  { authority: { host: 'out.test' }, host: 'in.test:3000', becomes: 'out.test:3000' },
  { authority: { host: 'out.test' }, host: 'in.test', becomes: 'out.test' },
  { authority: { port: 82 }, host: 'in.test:3000', becomes: 'in.test:82' },
  { authority: { port: 82 }, host: 'in.test', becomes: 'in.test:82' },
  { authority: { port: 82 }, host: '[::1]', becomes: '[::1]:82' },
  { authority: { host: 'out.test' }, host: '[::1]:3000', becomes: 'out.test:3000' },
])('it makes the authority of $host with $authority: $becomes', ({ authority, host, becomes }) => {
  const head = requestHead({ host })
  urlRewrite({ authority }).onRequest?.(head)
  expect(head.authority).toBe(becomes)
})

test.each([
  { path: { full: 'b' } },
  { path: { prefix: '' } },
  { path: { full: '/a', prefix: '/b' } },
  { path: {} },
  { authority: 'other' },
  { authority: { port: 0 } },
  { authority: { host: 'a', port: 1 } },
])('it refuses %j', (config) => {
  expect(urlRewriteSchema.safeParse(config).success).toBe(false)
})
