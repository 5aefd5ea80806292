/** Several processes on one port, as one gateway: real processes, real signals. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { endCommands, says, startCommand } from './support/command.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { collect, open, send, sendJson } from './support/wire.ts'
import { type Crew, childrenOf, isGone, replaced, startCrew } from './support/workers.ts'

let provider: SimulatedProvider
let folder: string

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  folder = mkdtempSync(join(tmpdir(), 'workers-'))
})

afterAll(async () => {
  endCommands()
  await provider.close()
  rmSync(folder, { recursive: true })
})

const saying = (body: string, more: object = {}) =>
  gatewayWith(
    [
      { matches: under('/say'), policies: { directResponse: { status: 200, body } } },
      { backends: [openAIBackend(provider)] },
    ],
    { config: { connectionTerminationDeadline: '20s' }, ...more },
  )

const AUTHORIZED = { authorization: 'Bearer sk-test' }
const chat = (url: string) => sendJson(`${url}/v1/chat/completions`, chatBody(), AUTHORIZED)

const times = async <T>(count: number, of: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, of))

/** Counters and histograms never go back. */
function expectGrown(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) {
  for (const [name, value] of before)
    if (/(_total|_bucket|_count|_sum)(\{|$)/.test(name))
      expect(after.get(name) ?? Number.NaN, name).toBeGreaterThanOrEqual(value)
}

async function expectAgreement(crew: Crew, answered: number) {
  expect(await crew.sum('agentgateway_requests_total')).toBe(answered)
  expect(await crew.sum('agentgateway_request_duration_seconds_count')).toBe(answered)
  expect(await crew.kept()).toBe(answered)
  await expect.poll(() => crew.records().length).toBe(answered)
}

test('it counts every request once, over all workers and over the death of one', async () => {
  const crew = await startCrew(['-c', saying('hello'), '--workers', '2'])
  const workers = crew.pids()
  expect(workers).toHaveLength(2)
  const answers = await times(20, () => send(`${crew.url}/say`))
  expect(answers.every(({ status, body }) => status === 200 && body === 'hello')).toBe(true)
  expect((await times(10, () => chat(crew.url))).map(({ status }) => status)).toEqual(Array(10).fill(200))
  const first = await crew.samples()
  await expectAgreement(crew, 30)
  expect(first.get('agentgateway_workers')).toBe(2)
  expect(first.get('agentgateway_requests_in_flight')).toBe(0)
  expect(await crew.sum('agentgateway_downstream_connections_total')).toBe(30)
  expect(await crew.sum('agentgateway_downstream_connections_active')).toBe(0)

  process.kill(workers[0] ?? 0, 'SIGKILL')
  await crew.command.line(says('a worker process ended'))
  const second = await crew.samples()
  expectGrown(first, second)
  expect(second.get('agentgateway_workers')).toBe(1)
  // One is enough.
  expect(await send(`${crew.readinessUrl}/healthz/ready`)).toMatchObject({ status: 200 })
  expect((await times(5, () => chat(crew.url))).map(({ status }) => status)).toEqual(Array(5).fill(200))
  await replaced(crew, 1)
  expect(crew.pids()).toHaveLength(2)
  expect(crew.pids()).toContain(workers[1])
  await times(15, () => send(`${crew.url}/say`))

  const third = await crew.samples()
  expectGrown(second, third)
  await expectAgreement(crew, 50)
  expect(third.get('agentgateway_workers')).toBe(2)
  expect(third.get('agentgateway_worker_restarts_total{reason="signal"}')).toBe(1)
  expect(third.get('agentgateway_worker_restarts_total{reason="exit"}')).toBe(0)
  expect(crew.command.lines().filter(says('a worker process ended'))).toMatchObject([
    { level: 'warn', reason: 'signal', signal: 'SIGKILL', requests: 0, pid: workers[0] },
  ])

  // Both formats tell the same.
  const openMetrics = await crew.samples('application/openmetrics-text')
  for (const [name, value] of third)
    if (name.startsWith('agentgateway_request')) expect(openMetrics.get(name), name).toBe(value)
  expect(
    (await send(`${crew.statsUrl}/metrics`, { headers: { accept: 'application/openmetrics-text' } })).body,
  ).toMatch(/# EOF\n$/)

  crew.command.kill('SIGTERM')
  expect(await crew.command.exited).toMatchObject({ code: 0, stderr: '' })
  expect(crew.records()).toHaveLength(50)
})

/** False when there is no such process any more. */
function terminate(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGTERM')
  } catch {
    return false
  }
}

test('a reload reaches all workers, also one that comes later, or none; then all drain', async () => {
  const file = join(folder, 'config.yaml')
  writeFileSync(file, saying('one'))
  const crew = await startCrew(['-f', file, '--workers', '2'])
  const said = async () => new Set((await times(16, () => send(`${crew.url}/say`))).map(({ body }) => body))
  expect(await said()).toEqual(new Set(['one']))

  writeFileSync(file, saying('two'))
  await crew.command.line(says('configuration reloaded'))
  expect(await said()).toEqual(new Set(['two']))

  writeFileSync(file, saying('three', { nonsense: true }))
  await crew.command.line(says('the new configuration is not valid'))
  expect(await said()).toEqual(new Set(['two']))
  expect(await crew.sum('agentgateway_config_reloads_total')).toBe(2)
  expect(await crew.sum('agentgateway_config_synchronized')).toBe(0)

  // It is started with the first configuration and gets the one in force.
  process.kill(crew.pids()[0] ?? 0, 'SIGKILL')
  await replaced(crew, 1)
  expect(await said()).toEqual(new Set(['two']))

  const release = provider.hold()
  const script = { text: 'word '.repeat(20), chunks: 20, chunkDelayMs: 30 }
  const asked = Array.from({ length: 8 }, () =>
    send(`${crew.url}/v1/chat/completions`, {
      headers: { ...AUTHORIZED, 'content-type': 'application/json', 'x-simulate': JSON.stringify(script) },
      body: JSON.stringify(chatBody({ stream: true })),
    }),
  )
  await provider.waitFor(() => provider.inFlight === asked.length)
  const workers = crew.pids()
  crew.command.kill('SIGTERM')
  await crew.command.line(says('draining'))
  // Workers do nothing of their own accord. One that has none of these to do may have ended already.
  expect(workers.filter(terminate)).not.toEqual([])
  release()
  const replies = await Promise.all(asked)
  expect(replies.every(({ body, broken }) => !broken && body.includes('[DONE]'))).toBe(true)
  expect(await crew.command.exited).toMatchObject({ code: 0, stderr: '' })
  const records = crew.records().filter((line) => String(line['http.path']).startsWith('/v1/'))
  expect(records.map(({ outcome }) => outcome)).toEqual(Array(8).fill('completed'))
  for (const pid of workers) await isGone(pid)
})

test('a port that another program has is an error at the start', async () => {
  const busy = JSON.stringify({
    binds: [{ port: provider.port, listeners: [{ routes: [{ backends: [openAIBackend(provider)] }] }] }],
  })
  const { code, stderr } = await startCommand(['-c', busy, '--workers', '2']).exited
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/cannot start: listen EADDRINUSE: address already in use .*:\d+\n$/),
  })
})

test('a primary that is killed takes its workers along, after what is under way; as many as there are processors', async () => {
  const crew = await startCrew(['-c', saying('hello'), '--workers', 'auto'])
  const workers = crew.pids()
  if (availableParallelism() > 1) expect(workers).toHaveLength(availableParallelism())
  const script = { text: 'word '.repeat(20), chunks: 20, chunkDelayMs: 20 }
  const response = await open(`${crew.url}/v1/chat/completions`, {
    headers: { ...AUTHORIZED, 'content-type': 'application/json', 'x-simulate': JSON.stringify(script) },
    body: JSON.stringify(chatBody({ stream: true })),
  })
  crew.command.kill('SIGKILL')
  expect(await collect(response)).toMatchObject({ broken: false, body: expect.stringContaining('[DONE]') })
  for (const pid of workers) await isGone(pid)
  await expect(send(`${crew.url}/say`)).rejects.toThrow('ECONNREFUSED')
})

test('one that is ended before all is up leaves nothing behind', async () => {
  const temporary = mkdtempSync(join(folder, 'temporary-'))
  const command = startCommand(['-c', saying('hello'), '--workers', '2'], {
    environment: { TMPDIR: temporary, NODE_DISABLE_COMPILE_CACHE: '1' },
  })
  const workers = () => childrenOf(command.pid)
  await expect.poll(() => workers().length, { timeout: 10_000, interval: 5 }).toBeGreaterThan(0)
  const begun = workers()
  command.kill('SIGTERM')
  expect(await command.exited).toMatchObject({ code: 143, stdout: '', stderr: '' })
  for (const pid of begun) await isGone(pid)
  expect(readdirSync(temporary)).toEqual([])
})
