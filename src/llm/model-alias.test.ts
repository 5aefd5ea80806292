import { expect, test } from 'vitest'
import { modelAlias, routeTypeOf } from './model-alias.ts'

const ALIASES = {
  fast: 'gpt-4o-mini',
  'claude-*': 'claude-any',
  'claude-3-*': 'claude-three',
  'claude-3-exact': 'claude-exact',
  '*-mini': 'some-mini',
  'a*a': 'both-ends',
  '*': 'rest',
}

test.each([
  { name: 'an exact name', model: 'fast', to: 'gpt-4o-mini' },
  { name: 'an exact name before a pattern that fits', model: 'claude-3-exact', to: 'claude-exact' },
  { name: 'the longest pattern that fits', model: 'claude-3-opus', to: 'claude-three' },
  { name: 'a shorter pattern', model: 'claude-2', to: 'claude-any' },
  { name: 'a star that stands for nothing', model: 'claude-', to: 'claude-any' },
  { name: 'a star at the start', model: 'gpt-mini', to: 'some-mini' },
  { name: 'a star in the middle', model: 'abba', to: 'both-ends' },
  { name: 'no character for both ends', model: 'a', to: 'rest' },
  { name: 'a lone star for the rest', model: 'llama', to: 'rest' },
  { name: 'nothing regardless of case', model: 'FAST', to: 'rest' },
  { name: 'a name of an object', model: 'constructor', to: 'rest' },
])('modelAlias takes $name', ({ model, to }) => {
  expect(modelAlias(ALIASES)(model)).toBe(to)
})

test.each<Record<string, string> | undefined>([undefined, {}, { other: 'x' }])(
  'modelAlias leaves a model alone that %j does not name',
  (aliases) => {
    expect(modelAlias(aliases)('gpt-4o')).toBe('gpt-4o')
  },
)

test('modelAlias does not follow an alias of an alias', () => {
  expect(modelAlias({ a: 'b', b: 'c' })('a')).toBe('b')
})

test.each([
  { path: '/v1/messages', type: 'messages' },
  { path: '/proxy/v1/messages', type: 'messages' },
  { path: '/v1/messages/count_tokens', type: 'anthropicTokenCount' },
  { path: '/v2/messages', type: 'detect' },
  { path: '/v1/messages/', type: 'passthrough' },
  { path: '/anything', type: 'passthrough' },
])('routeTypeOf finds $type for $path', ({ path, type }) => {
  const routes = {
    '/messages': 'detect',
    '*': 'passthrough',
    '/v1/messages': 'messages',
    '/v1/messages/count_tokens': 'anthropicTokenCount',
  }
  expect(routeTypeOf(routes, 'completions')(path)).toBe(type)
})

test.each<Record<string, string> | undefined>([undefined, {}, { '/v1/other': 'detect' }])(
  'routeTypeOf falls back without a hit in %j',
  (routes) => {
    expect(routeTypeOf<string>(routes, 'completions')('/v1/messages')).toBe('completions')
  },
)
