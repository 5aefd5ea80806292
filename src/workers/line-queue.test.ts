import { expect, test } from 'vitest'
import { createLineQueue } from './line-queue.ts'

test('gives lines as bytes, once', () => {
  const queue = createLineQueue(() => expect.unreachable())
  expect(queue.take()).toBe(undefined)
  const long = `${'ä€😀'.repeat(20_000)}\n`
  queue.write('one\n')
  queue.write(long)
  const taken = queue.take()
  expect(taken?.lines).toBe(2)
  expect(Buffer.from(taken?.bytes ?? []).toString()).toBe(`one\n${long}`)
  queue.write('two\n')
  expect(Buffer.from(queue.take()?.bytes ?? []).toString()).toBe('two\n')
  expect(Buffer.from(taken?.bytes ?? []).toString()).toBe(`one\n${long}`)
  expect(queue.take()).toBe(undefined)
})

test('drops and counts what does not fit', () => {
  let dropped = 0
  const queue = createLineQueue((lines) => {
    dropped += lines
  }, 10)
  for (const line of ['12345\n', '67890\n', 'abc\n']) queue.write(line)
  expect(dropped).toBe(1)
  expect(queue.take()).toEqual({ bytes: Buffer.from('12345\nabc\n'), lines: 2 })
  queue.write('67890\n')
  expect(queue.take()?.lines).toBe(1)
})
