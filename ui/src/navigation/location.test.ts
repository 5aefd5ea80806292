import { expect, test } from 'vitest'
import { changed, href, toPlace } from './location.ts'

test.each([
  ['http://localhost:15000/ui/', '/'],
  ['http://localhost:15000/ui', '/'],
  ['http://localhost:15000/ui/requests', '/requests'],
  ['http://localhost:15000/ui/requests/', '/requests'],
  ['http://localhost:15000/ui/traces/4bf9?x=1', '/traces/4bf9'],
])('finds the place of %s', (url, path) => {
  expect(toPlace(new URL(url)).path).toBe(path)
})

test('writes lists as repeated parameters and leaves out what is empty', () => {
  expect(href('/requests', { model: ['a', 'b/c'], q: '', open: undefined })).toBe(
    '/ui/requests?model=a&model=b%2Fc',
  )
})

test('changes some parameters and keeps the others', () => {
  const next = changed(new URLSearchParams('model=a&model=b&range=1h'), { model: ['c'], open: '7' })
  expect(next.toString()).toBe('range=1h&model=c&open=7')
})
