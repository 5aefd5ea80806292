import { expect, test } from 'vitest'
import { rawServer, upstreamsWith } from '../upstream/client.fixture.ts'
import { askingOver } from './fetch-url.ts'

const ANSWER =
  'HTTP/1.1 302 Found\r\nlocation: /b\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\n42'

test.each<{ name: string; answer: Parameters<typeof rawServer>[0]; timeoutMs: number; outcome: object }>([
  {
    name: 'takes the answer as it is, and follows nothing',
    answer: ANSWER,
    timeoutMs: 60_000,
    outcome: {
      value: {
        status: 302,
        headers: { location: '/b', 'set-cookie': ['a=1', 'b=2'], 'content-length': '2' },
        body: Buffer.from('42'),
      },
    },
  },
  {
    name: 'waits no longer than it is told',
    answer: () => {},
    timeoutMs: 1,
    outcome: { reason: expect.objectContaining({ message: 'a.test: no answer in time' }) },
  },
  {
    name: 'holds no more than it is told',
    answer: ANSWER.replace('length: 2', 'length: 5').replace('42', '12345'),
    timeoutMs: 60_000,
    outcome: { reason: expect.objectContaining({ message: 'the answer exceeds 4 bytes' }) },
  },
])('it $name', async ({ answer, timeoutMs, outcome }) => {
  const server = await rawServer(answer)
  const upstreams = upstreamsWith()
  const question = { method: 'GET', path: '/a', headers: { host: 'a.test' }, body: null }
  const asked = askingOver(upstreams)(server.target, question, { timeoutMs, maxBytes: 4 })
  const [settled] = await Promise.allSettled([asked])
  expect(settled).toMatchObject(outcome)
  await upstreams.close()
  server.close()
})
