/** Following the log: in order, at once, without loss; and no trace of who has left. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import type { LogEntry, LogsSearch, TailLog } from '../../src/admin/api-types.ts'
import { logsRoutes } from '../../src/admin/logs-api.ts'
import type { Store } from '../../src/store/types.ts'
import { chatBody } from '../support/configuration.ts'
import { eventually } from '../support/mcp-lab.ts'
import { eventsIn, open, type SseEvent, sendJson } from '../support/wire.ts'
import { type AdminLab, CHAT, call, KEY, startAdminLab } from './lab.fixture.ts'

const MAX_WAIT_MS = 2000

let lab: AdminLab
beforeAll(async () => {
  lab = await startAdminLab()
  await call(lab, { path: '/nowhere', body: { before: true } })
  await lab.gateway.recorded(1)
})

interface Tail {
  readonly stream: IncomingMessage
  readonly events: readonly SseEvent[]
  readonly told: () => readonly TailLog[]
  /** Resolves once that many entries came. */
  readonly until: (count: number) => Promise<readonly TailLog[]>
  readonly leave: () => void
}

const tails: Tail[] = []
afterEach(() => {
  for (const one of tails.splice(0)) one.leave()
})
afterAll(() => lab?.close())

async function follow(search: LogsSearch = {}): Promise<Tail> {
  const abort = new AbortController()
  const stream = await open(`${lab.gateway.adminUrl}/api/logs/tail`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(search),
    signal: abort.signal,
  })
  expect(stream.statusCode).toBe(200)
  const events: SseEvent[] = []
  const told: TailLog[] = []
  const waiting = new Set<() => void>()
  let rest = ''
  stream.on('error', () => {})
  stream.setEncoding('utf8').on('data', (piece: string) => {
    rest += piece
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) => block.split('\n').find((line) => line.startsWith(`${name}: `))
      const event = { event: field('event')?.slice(7), data: field('data')?.slice(6) ?? '' }
      events.push(event)
      if (event.event === 'log') told.push(JSON.parse(event.data))
    }
    for (const check of waiting) check()
  })
  const tail: Tail = {
    stream,
    events,
    told: () => told,
    leave: () => abort.abort(),
    until: (count) =>
      new Promise((resolve) => {
        function check() {
          if (told.length < count) return
          waiting.delete(check)
          resolve(told)
        }
        waiting.add(check)
        check()
      }),
  }
  tails.push(tail)
  return tail
}

const nowhere = () => call(lab, { path: '/nowhere', body: {} })
const idsOf = (told: readonly TailLog[]) => told.map(({ entry }) => entry.id)
const oldestFirst = (logs: readonly LogEntry[]) => logs.map(({ id }) => id).toReversed()

test('it tells what ends after the call within two seconds, and nothing from before', async () => {
  const tail = await follow()
  const { headers } = await nowhere()
  const endedAt = Date.now()
  const [first] = await tail.until(1)
  expect(Date.now() - endedAt).toBeLessThan(MAX_WAIT_MS)
  expect(first?.entry.traceId).toBe(headers['x-trace-id'])
  expect(tail.told()).toHaveLength(1)
})

test('it tells the same entry as the search', async () => {
  const tail = await follow({ includeAttributes: true })
  await call(lab, { path: CHAT, body: chatBody({ stream: true }) })
  const [first] = await tail.until(1)
  const { logs } = await lab.client.search({ limit: 1, includeAttributes: true })
  expect(first?.entry).toEqual(logs[0])
})

test('it loses none of many that end together, and tells none twice', async () => {
  const before = (await lab.client.all()).length
  const tail = await follow({ limit: 60 })
  await Promise.all(Array.from({ length: 150 }, nowhere))
  const told = await tail.until(150)
  const logs = (await lab.client.all()).slice(0, -before)
  expect(idsOf(told).toSorted()).toEqual(oldestFirst(logs).toSorted())
})

test('it goes on from a cursor without loss or duplicates', async () => {
  const first = await follow()
  await Promise.all(Array.from({ length: 40 }, nowhere))
  const seen = await first.until(10)
  first.leave()
  await Promise.all(Array.from({ length: 30 }, nowhere))
  const newest = (await lab.client.all()).slice(0, 70)
  const at = seen.findIndex((_, index) => index === 9)
  const second = await follow({ cursor: seen[at]?.cursor ?? '' })
  const rest = await second.until(60)
  const both = [...idsOf(seen.slice(0, at + 1)), ...idsOf(rest)]
  expect(both.toSorted()).toEqual(oldestFirst(newest).toSorted())
})

test('it goes on from the cursor of a search', async () => {
  await Promise.all(Array.from({ length: 3 }, nowhere))
  const { logs, nextCursor } = await lab.client.search({ limit: 3 })
  const tail = await follow({ cursor: nextCursor ?? '' })
  // A cursor stands on the last entry that was told.
  expect(idsOf(await tail.until(2))).toEqual(oldestFirst(logs).slice(1))
})

test('it heeds filters', async () => {
  const tail = await follow({ filters: { provider: ['openai'], httpStatus: [200] } })
  await nowhere()
  await call(lab, { path: CHAT, body: chatBody(), script: { status: 500 } })
  const { headers } = await call(lab, { path: CHAT, body: chatBody() })
  await nowhere()
  const told = await tail.until(1)
  expect(told.map(({ entry }) => entry.traceId)).toEqual([headers['x-trace-id']])
})

test('it serves many followers alike', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => follow()))
  await Promise.all(Array.from({ length: 5 }, nowhere))
  const told = await Promise.all(all.map((tail) => tail.until(5)))
  expect(new Set(told.map((one) => idsOf(one).join())).size).toBe(1)
})

const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

test('it leaves neither socket nor timer behind when clients leave', async () => {
  const waits = await eventually(timers, (count) => count <= 3)
  const all = await Promise.all(Array.from({ length: 30 }, () => follow()))
  const sockets = openSockets()
  await eventually(timers, (count) => count >= waits + 25)
  for (const one of all) one.leave()
  // Two ends each, both in this process.
  await eventually(openSockets, (count) => count <= sockets - 60)
  await eventually(timers, (count) => count <= waits)
})

test('it keeps up when many end at once', async () => {
  const tail = await follow()
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 200 }, nowhere))
  const told = await tail.until(1000)
  expect(new Set(idsOf(told)).size).toBe(1000)
})

test.each([
  { name: 'a range that is over', timeRange: { to: '2026-01-01T00:00:00Z' } },
  { name: 'a range of the far future', timeRange: { from: '2999-01-01T00:00:00Z' } },
])('it heeds or refuses $name', async ({ timeRange }) => {
  const { adminUrl } = lab.gateway
  const leave = new AbortController()
  const answer = await open(`${adminUrl}/api/logs/tail`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ timeRange }),
    signal: leave.signal,
  })
  answer.on('error', () => {})
  if (answer.statusCode === 400) return void answer.resume()
  const other = await follow()
  let text = ''
  answer.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  await nowhere()
  await other.until(1)
  await nowhere()
  await other.until(2)
  leave.abort()
  expect(text).not.toContain('event: log')
})

test('it does not let a reader that stands still hold up others or the gateway', async () => {
  const slow = await follow({ includeAttributes: true })
  slow.stream.pause()
  const quick = await follow()
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 200 }, nowhere))
  await quick.until(1000)
  expect((await nowhere()).status).toBe(404)
  slow.stream.resume()
  const told = await slow.until(1000)
  expect(idsOf(told).slice(0, 1000)).toEqual(idsOf(quick.told()).slice(0, 1000))
})

test('it ends with the gateway, and lets the gateway end', async () => {
  const other = await startAdminLab()
  const stream = await open(`${other.gateway.adminUrl}/api/logs/tail`, {
    headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
    body: '{}',
  })
  stream.on('error', () => {}).resume()
  const closed = new Promise<void>((resolve) => stream.once('close', resolve))
  await other.close()
  await closed
  expect(stream.destroyed).toBe(true)
})

test('it tells in the words of every error why it cannot go on', async () => {
  let looks = 0
  const store = {
    follow: () => {
      looks++
      return looks === 1
        ? Promise.resolve({ requests: [], after: 0, more: false })
        : Promise.reject(new Error('the disk is gone'))
    },
  } as unknown as Store
  const routes = logsRoutes({ store: () => store, spansOf: () => [], attributesOf: () => ({}) })
  const tail = routes.find(({ path }) => path === '/api/logs/tail')
  const server = createServer(
    (request, response) => void tail?.handler(request, response, new AbortController().signal),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const { body } = await sendJson(`http://127.0.0.1:${port}/api/logs/tail`, {})
  server.close()
  const [event] = eventsIn(body)
  expect(event?.event).toBe('error')
  expect(JSON.parse(event?.data ?? '')).toEqual({ message: expect.stringMatching(/\S/) })
})

test('it beats while nothing happens', async () => {
  const tail = await follow({ filters: { backend: ['nobody'] } })
  const heard = new Promise<void>((resolve) => tail.stream.once('data', () => resolve()))
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 15_000 })
  onTestFinished(() => void vi.useRealTimers())
  await heard
  expect(tail.events.map(({ event, data }) => [event, data])).toEqual([['heartbeat', '{}']])
})
