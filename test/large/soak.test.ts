/**
 * A minute of a provider that fails in every way, of impatient and slow clients and of reloads: whoever stays gets an
 * answer, every request has one record, the numbers are the providers' own, and memory stays what it was.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import { seeded } from '../../src/store/exchanges.fixture.ts'
import {
  type Command,
  endCommands,
  type LogLine,
  type Ready,
  ready,
  startCommand,
} from '../support/command.ts'
import { chatBody, gatewayWith, under } from '../support/configuration.ts'
import { sendJson } from '../support/wire.ts'
import { type Asked, count, isRecord, mixOf, sumOf, tokensOf } from './mix.fixture.ts'

const SECONDS = 60
const CLIENTS = 24
const RELOAD_MS = 2000
const BUCKET = 1_000_000_000

/** Routes: one that leaves who fails alone, and one that asks again and again. */
const HEALTHS = {
  lenient: { eviction: { consecutiveFailures: 1_000_000, duration: '1ms' } },
  strict: { eviction: { duration: '20ms' } },
}
let folder: string
let flaky: SimulatedProvider
let steady: SimulatedProvider
let command: Command
let urls: Ready

const { pick, spoil, ask } = mixOf(seeded(7))

function configuration(generation: number): string {
  const provider = (name: string, { port }: SimulatedProvider, kind: object) => ({
    name,
    hostOverride: `127.0.0.1:${port}`,
    provider: kind,
    policies: { backendAuth: { key: `sk-of-${name}` } },
  })
  const policies = {
    timeout: { backendRequestTimeout: '300ms', idleTimeout: '300ms' },
    retry: { attempts: 4, backoff: '5ms' },
    urlRewrite: { path: { prefix: '/' } },
    // Changes with each reload, and nothing else does.
    responseHeaderModifier: { set: { 'x-generation': String(generation) } },
    localRateLimit: [{ type: 'tokens', maxTokens: BUCKET, tokensPerFill: 1, fillInterval: '24h' }],
  }
  const groups = [
    { providers: [provider('flaky', flaky, { openAI: {} })] },
    { providers: [provider('steady', steady, { anthropic: { model: 'claude-sonnet-4-5' } })] },
  ]
  const ai = { routes: { '*': 'completions' } }
  return gatewayWith(
    Object.entries(HEALTHS).map(([name, health]) => ({
      name,
      matches: under(`/${name}`),
      policies,
      backends: [{ ai: { policies: { ai, health }, groups } }],
    })),
  )
}

const metrics = async () => (await fetch(`${urls.statsUrl}/metrics`)).text()

const asked: Asked[] = []
const resident: number[] = []
let records: readonly LogLine[]
let exposed: string
let reloads = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soak-'))
  flaky = await startSimulatedOpenAI()
  steady = await startSimulatedAnthropic()
  const file = join(folder, 'gateway.json')
  await writeFile(file, configuration(0))
  command = startCommand(['-f', file])
  urls = await ready(command)
  const end = performance.now() + SECONDS * 1000

  async function client(): Promise<void> {
    while (performance.now() < end) {
      spoil(flaky)
      asked.push(await ask(`${urls.url}/${pick(['lenient', 'strict'])}`))
    }
  }
  async function reloading(): Promise<void> {
    while (performance.now() < end) {
      await pause(RELOAD_MS)
      reloads += 1
      await writeFile(file, configuration(reloads))
      resident.push(sumOf(await metrics(), 'process_resident_memory_bytes'))
    }
  }
  await Promise.all([reloading(), ...Array.from({ length: CLIENTS }, client)])

  await vi.waitFor(
    async () => {
      exposed = await metrics()
      records = command.lines().filter(isRecord)
      expect(sumOf(exposed, 'agentgateway_requests_in_flight')).toBe(0)
      expect(records).toHaveLength(sumOf(exposed, 'agentgateway_requests_total'))
    },
    { timeout: 10_000, interval: 200 },
  )
}, 120_000)

afterAll(async () => {
  await endCommands()
  await flaky.close()
  await steady.close()
  await rm(folder, { recursive: true })
})

describe('after a minute', () => {
  test('there was something to survive', () => {
    const failed = flaky.calls.filter(({ status }) => status >= 400 || status === 0)
    expect(asked.length).toBeGreaterThan(1000)
    expect(failed.length).toBeGreaterThan(100)
    expect(reloads).toBeGreaterThan(20)
    expect(sumOf(exposed, 'agentgateway_retries_total')).toBeGreaterThan(100)
    expect(sumOf(exposed, 'agentgateway_backend_evictions_total')).toBeGreaterThan(5)
  })

  test('whoever stayed got a whole answer', () => {
    const stayed = asked.filter(({ kind }) => kind !== 'leaves')
    expect(stayed.filter(({ status, isWhole }) => status !== 200 || !isWhole)).toEqual([])
  })

  test('every request has one record, with the outcome that its client saw', () => {
    const byTrace = new Map(records.map((record) => [record['trace.id'], record]))
    expect(byTrace.size).toBe(records.length)
    // Who left before there was an answer may have left before there was a request.
    const known = asked.filter(({ traceId }) => traceId !== undefined)
    expect(records.length).toBeLessThanOrEqual(asked.length)
    expect(records.length).toBeGreaterThanOrEqual(known.length)
    for (const { kind, traceId = '', isWhole } of known) {
      const record = byTrace.get(traceId)
      if (isWhole) expect(record).toMatchObject({ 'http.status': 200, outcome: 'completed' })
      // Who leaves while the last bytes are on their way has been sent all.
      else {
        expect(kind).toBe('leaves')
        expect(['client_abort', 'completed']).toContain(record?.outcome)
      }
    }
    expect(new Set(records.map(({ outcome }) => outcome))).toEqual(new Set(['completed', 'client_abort']))
  })

  test('metrics are the records', () => {
    const attempts = records.reduce((sum, record) => sum + count(record, 'retry.attempt'), 0)
    expect(sumOf(exposed, 'agentgateway_retries_total')).toBe(attempts)
    const tokens = records.reduce((sum, record) => sum + tokensOf(record), 0)
    const counted = exposed
      .split('\n')
      .filter(
        (line) =>
          line.startsWith('agentgateway_gen_ai_client_token_usage_sum') &&
          /gen_ai_token_type="(?:input|output)"/.test(line),
      )
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    expect(counted).toBe(tokens)
  })

  test('answers cost what their providers billed', () => {
    const completed = records.filter(({ outcome }) => outcome === 'completed')
    const billed = { flaky: 0, steady: 0 }
    for (const record of completed)
      billed[record.backend as 'flaky' | 'steady'] += count(record, 'gen_ai.usage.output_tokens')
    expect(billed.steady).toBeGreaterThan(0)
    // Calls that were cut off are billed as well: what was answered is never more than that.
    expect(billed.flaky).toBeLessThanOrEqual(flaky.totals.outputTokens)
    expect(billed.steady).toBeLessThanOrEqual(steady.totals.outputTokens)
  })

  test.each(['lenient', 'strict'])(
    'the limit of %s has lost exactly the tokens that were used',
    async (place) => {
      const used = records
        .filter(({ route }) => route === `default/${place}`)
        .reduce((sum, record) => sum + tokensOf(record), 0)
      // It says what is left while its own request is reserved: 4 bytes a token, rounded up.
      flaky.clear()
      const body = chatBody()
      const reply = await sendJson(`${urls.url}/${place}/v1/chat/completions`, body)
      const reserved = Math.ceil(Buffer.byteLength(JSON.stringify(body)) / 4)
      expect(used).toBeGreaterThan(0)
      expect(Number(reply.headers['x-ratelimit-remaining'])).toBe(BUCKET - used - reserved)
    },
  )

  test('memory is what it was', () => {
    // The first third is warming up.
    const third = Math.floor(resident.length / 3)
    const most = (list: readonly number[]) => Math.max(...list)
    const [before, after] = [resident.slice(third, 2 * third), resident.slice(2 * third)]
    expect(most(after) / most(before)).toBeLessThan(1.2)
  })
})
