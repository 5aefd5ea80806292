import { expect, test } from 'vitest'
import { filesFor, openFilesUpTo, streamsWithin } from './open-files.ts'

test('each stream takes two files', () => {
  expect(filesFor(10_000)).toBe(20_100)
})

test('where the limit allows, as many are held as are wanted', () => {
  expect(streamsWithin(10_000, 20_100)).toEqual({ streams: 10_000, openFiles: 20_100, short: undefined })
})

test('where it does not, fewer are, and it says why', () => {
  expect(streamsWithin(10_000, 4096)).toEqual({
    streams: 1998,
    openFiles: 4096,
    short: '10000 streams want 20100 open files, and the hard limit is 4096 (ulimit -Hn)',
  })
})

test('the limit is the one that a child gets', () => {
  expect(openFilesUpTo(64)).toBe(64)
  expect(openFilesUpTo(2 ** 40)).toBeGreaterThan(64)
})
