import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { linkedPair } from './link.fixture.ts'
import { channelOf, createLink, type Link } from './link.ts'

interface Questions {
  double(body: number): number
  later(body: string): string
  fail(body: { readonly code?: string }): never
  shape(body: unknown): unknown
}

interface Told {
  word: string
  bytes: Uint8Array
}

const pair = () => linkedPair<Questions, Told>()

test('asks and is answered, whatever the order of the answers', async () => {
  const { one, other } = pair()
  const gate = Promise.withResolvers<void>()
  other.onAsk('double', (body) => body * 2)
  other.onAsk('later', async (body) => {
    await gate.promise
    return `${body}!`
  })
  const later = one.ask('later', 'now')
  expect(await Promise.all([one.ask('double', 2), one.ask('double', 21)])).toEqual([4, 42])
  gate.resolve()
  expect(await later).toBe('now!')
})

test('both ends may ask, under the same names', async () => {
  const { one, other } = pair()
  one.onAsk('double', (body) => body * 2)
  other.onAsk('double', (body) => body * 20)
  expect(await Promise.all([one.ask('double', 1), other.ask('double', 1)])).toEqual([20, 2])
})

test('sends what comes up in one turn as one, in order', async () => {
  const { one, other, sent } = pair()
  const heard: string[] = []
  const done = Promise.withResolvers<void>()
  other.onTell('word', (word) => {
    heard.push(word)
    if (word === 'last') done.resolve()
  })
  other.onAsk('double', (body) => {
    heard.push(String(body))
    return body
  })
  one.tell('word', 'first')
  void one.ask('double', 2)
  await Promise.resolve()
  one.tell('word', 'last')
  await done.promise
  expect(heard).toEqual(['first', '2', 'last'])
  expect(sent[0]).toHaveLength(3)
})

test('sends at once when it is told to', () => {
  const { one, sent } = pair()
  one.tell('word', 'farewell')
  one.flush()
  expect(sent).toHaveLength(1)
})

test.each([
  { name: 'with the code of its error', body: { code: 'EADDRINUSE' }, code: 'EADDRINUSE' },
  { name: 'without a code', body: {}, code: undefined },
])('a failure comes back $name', async ({ body, code }) => {
  const { one, other } = pair()
  other.onAsk('fail', (given) => {
    throw Object.assign(new Error('no'), given)
  })
  await expect(one.ask('fail', body)).rejects.toMatchObject({ name: 'LinkError', message: 'no', code })
})

test('a question that nobody answers fails', async () => {
  await expect(pair().one.ask('double', 1)).rejects.toThrow('nobody answers double')
})

test('questions fail when the other end goes, and from then on', async () => {
  const { one, other, sent, close } = pair()
  other.onAsk('later', () => new Promise(() => {}))
  const asked = one.ask('later', 'never')
  close()
  await one.closed
  await expect(asked).rejects.toMatchObject({ code: 'closed' })
  await expect(one.ask('double', 1)).rejects.toMatchObject({ code: 'closed' })
  one.tell('word', 'lost')
  one.flush()
  expect(sent).toEqual([])
})

test('carries bytes and failures between real processes, and knows when the other is gone', async () => {
  const child = fork(new URL('link-child.fixture.ts', import.meta.url), {
    serialization: 'advanced',
    execArgv: [],
  })
  const link: Link<Questions, Told> = createLink(channelOf(child))
  expect(await link.ask('double', 21)).toBe(42)
  const shape = {
    bytes: new Uint8Array([1, 255]),
    map: new Map([['a', 1n]]),
    none: undefined,
    nan: Number.NaN,
  }
  expect(await link.ask('shape', shape)).toEqual(shape)
  await expect(link.ask('fail', { code: 'ENOENT' })).rejects.toMatchObject({ code: 'ENOENT' })
  const told = Promise.withResolvers<string>()
  link.onTell('word', told.resolve)
  const unanswered = link.ask('later', 'the end')
  await expect(unanswered).rejects.toMatchObject({ code: 'closed' })
  // Said in its last breath, when its event loop had ended.
  expect(await told.promise).toBe('farewell')
  await link.closed
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  expect(await link.ask('double', 1).catch((error) => error.code)).toBe('closed')
})

test.each([
  { name: 'when it is', isOpen: true },
  { name: 'also when nobody is there to take it', isOpen: false },
])('says that something was sent $name', async ({ isOpen }) => {
  const { one, close } = pair()
  const waiting = new Promise<void>((resolve) => one.tell('word', 'before', resolve))
  if (!isOpen) close()
  await waiting
  await new Promise<void>((resolve) => one.tell('word', 'after', resolve))
})
