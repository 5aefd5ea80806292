import { describe, expect, test } from 'vitest'
import { ConfigProblem } from '../core/config-problem.ts'
import { compileRoutes, hostTest, type RouteHead, type RouteSource } from './match.ts'
import type { Match } from './schema.ts'

const head = (path: string, more: Partial<RouteHead> = {}): RouteHead => ({
  method: 'GET',
  hostname: 'localhost',
  path,
  query: '',
  headers: {},
  ...more,
})

const source = (target: string, matches?: Match[], hostnames?: string[]): RouteSource<string> => ({
  hostnames,
  matches,
  target,
  path: [],
})

describe('one match', () => {
  const value = { name: 'x-team', value: { exact: 'a' } }
  test.each<[string, Match, RouteHead, boolean]>([
    ['no path fits all', {}, head('/any'), true],
    ['a prefix fits itself', { path: { pathPrefix: '/v1' } }, head('/v1'), true],
    ['a prefix fits below', { path: { pathPrefix: '/v1' } }, head('/v1/x'), true],
    ['a prefix ends at a segment', { path: { pathPrefix: '/v1' } }, head('/v10'), false],
    ['a trailing slash is ignored', { path: { pathPrefix: '/v1/' } }, head('/v1'), true],
    ['an exact path fits itself', { path: { exact: '/v1' } }, head('/v1'), true],
    ['an exact path fits nothing below', { path: { exact: '/v1' } }, head('/v1/x'), false],
    ['a regex fits the whole path', { path: { regex: '/v\\d' } }, head('/v1'), true],
    ['a regex fits no part', { path: { regex: '/v\\d' } }, head('/v1/x'), false],
    ['a method', { method: 'POST' }, head('/', { method: 'POST' }), true],
    ['another method', { method: 'POST' }, head('/'), false],
    ['a header', { headers: [value] }, head('/', { headers: { 'x-team': 'a' } }), true],
    ['a header with another value', { headers: [value] }, head('/', { headers: { 'x-team': 'b' } }), false],
    ['a missing header', { headers: [value] }, head('/'), false],
    [
      'a header name in capitals',
      { headers: [{ ...value, name: 'X-Team' }] },
      head('/', { headers: { 'x-team': 'a' } }),
      true,
    ],
    ['a pseudo header', { headers: [{ name: ':method', value: { regex: 'G.T' } }] }, head('/'), true],
    [
      'a query parameter',
      { query: [{ name: 'a', value: { exact: '1 2' } }] },
      head('/', { query: 'b=0&a=1%202' }),
      true,
    ],
    [
      'another query parameter',
      { query: [{ name: 'a', value: { exact: '1' } }] },
      head('/', { query: 'a=2' }),
      false,
    ],
  ])('%s', (_name, match, request, expected) => {
    expect(compileRoutes([source('x', [match])])(request)?.target).toBe(expected ? 'x' : undefined)
  })
})

test.each<[string, RouteSource<string>[], RouteHead, string]>([
  [
    'an exact host beats a wildcard',
    [source('w', undefined, ['*.a.com']), source('e', undefined, ['x.a.com'])],
    head('/', { hostname: 'x.a.com' }),
    'e',
  ],
  [
    'a longer wildcard beats a shorter',
    [source('s', undefined, ['*.com']), source('l', undefined, ['*.a.com'])],
    head('/', { hostname: 'x.a.com' }),
    'l',
  ],
  [
    'a host beats none, even with a worse path',
    [source('p', [{ path: { exact: '/v1' } }]), source('h', undefined, ['a.com'])],
    head('/v1', { hostname: 'a.com' }),
    'h',
  ],
  [
    'an exact path beats a prefix',
    [source('p', [{ path: { pathPrefix: '/v1' } }]), source('e', [{ path: { exact: '/v1' } }])],
    head('/v1'),
    'e',
  ],
  [
    'a longer prefix beats a shorter',
    [source('s', [{ path: { pathPrefix: '/v1' } }]), source('l', [{ path: { pathPrefix: '/v1/chat' } }])],
    head('/v1/chat'),
    'l',
  ],
  [
    'a regex beats a prefix, however long',
    [source('p', [{ path: { pathPrefix: '/v1/chat' } }]), source('r', [{ path: { regex: '/v1/.*' } }])],
    head('/v1/chat'),
    'r',
  ],
  ['a method beats none', [source('n', [{}]), source('m', [{ method: 'GET' }])], head('/'), 'm'],
  [
    'more headers beat fewer',
    [source('n', [{}]), source('h', [{ headers: [{ name: 'a', value: { exact: '1' } }] }])],
    head('/', { headers: { a: '1' } }),
    'h',
  ],
  ['equal ones keep their order', [source('first', [{}]), source('second', [{}])], head('/'), 'first'],
])('%s', (_name, sources, request, expected) => {
  expect(compileRoutes(sources)(request)?.target).toBe(expected)
})

test.each([
  [undefined, 'a.com', true],
  ['*', 'a.com', true],
  ['a.com', 'a.com', true],
  ['A.com', 'a.com', true],
  ['*.a.com', 'a.com', false],
  ['*.a.com', 'x.a.com', true],
  ['*.a.com', 'xa.com', false],
])('hostTest(%s) on %s is %s', (pattern, hostname, expected) => {
  expect(hostTest(pattern).fits(hostname)).toBe(expected)
})

test('a broken regular expression is a problem with a place', () => {
  const broken = { ...source('x', [{ path: { regex: '(' } }]), path: ['binds', 0] }
  expect(() => compileRoutes([broken])).toThrow(ConfigProblem)
})
