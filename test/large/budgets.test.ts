/**
 * Half a minute of two gateways that spend the same budgets, over a provider that fails in every way, clients that
 * leave, reloads, a database that is away for a while and a gateway that is started anew: in the end the database has
 * spent what the records say, and what the provider billed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../../src/demo/provider.ts'
import { seeded } from '../../src/store/exchanges.fixture.ts'
import { findPostgres, type Postgres, startPostgres } from '../../src/store/postgres.fixture.ts'
import {
  type Command,
  endCommands,
  type LogLine,
  type Ready,
  ready,
  startCommand,
} from '../support/command.ts'
import { gatewayWith, under } from '../support/configuration.ts'
import { type Asked, count, isRecord, mixOf, sumOf, tokensOf } from './mix.fixture.ts'

const SECONDS = 30
const CLIENTS = 16
const RELOAD_MS = 2000
const USERS = ['ann', 'bob', 'cleo', 'dan']
/** Of a user's budget that is soon spent. */
const FEW_TOKENS = 2000
/** USD per million tokens. */
const RATES = { input: 7, output: 11 }
const MODELS = ['gpt-4o-mini', 'gpt-4o-mini-2024-07-18']

const programs = findPostgres()
const { pick, spoil, ask } = mixOf(seeded(11))

let folder: string
let server: Postgres
let url: string
let providers: readonly SimulatedProvider[]
const records: LogLine[] = []
const asked: Asked[] = []
let reloads = 0

function configuration(generation: number): string {
  const large = [
    { name: 'money', limit: { usd: 1_000_000 }, window: 'month', key: 'apiKey.user' },
    { name: 'tokens', limit: { tokens: 1_000_000_000 + generation }, window: 'month' },
  ]
  const few = { name: 'few', limit: { tokens: FEW_TOKENS }, window: 'month', key: 'apiKey.user' }
  const groups = providers.map(({ port }, index) => ({
    providers: [{ name: `provider-${index}`, hostOverride: `127.0.0.1:${port}`, provider: { openAI: {} } }],
  }))
  const policies = {
    apiKey: { keys: USERS.map((user) => ({ key: `gw-key-of-${user}`, metadata: { user } })) },
    timeout: { backendRequestTimeout: '300ms', idleTimeout: '300ms' },
    retry: { attempts: 4, backoff: '5ms' },
    urlRewrite: { path: { prefix: '/' } },
    responseHeaderModifier: { set: { 'x-generation': String(generation) } },
  }
  const ai = { routes: { '*': 'completions' } }
  const health = { eviction: { duration: '20ms' } }
  const models = Object.fromEntries(MODELS.map((model) => [model, { rates: RATES }]))
  return gatewayWith(
    Object.entries({ large, few: [few, ...large] }).map(([name, budgets]) => ({
      name,
      matches: under(`/${name}`),
      policies: { ...policies, budgets },
      backends: [{ ai: { policies: { ai, health, backendAuth: { key: 'sk-owner' } }, groups } }],
    })),
    { config: { database: { url }, modelCatalog: [{ inline: { providers: { openai: { models } } } }] } },
  )
}

interface Running {
  command: Command
  urls: Ready
}

async function start(file: string): Promise<Running> {
  const command = startCommand(['-f', file])
  return { command, urls: await ready(command) }
}

/** All that it was asked is done, and is in its records. */
async function end({ command, urls }: Running): Promise<void> {
  await vi.waitFor(
    async () => {
      const exposed = await (await fetch(`${urls.statsUrl}/metrics`)).text()
      expect(sumOf(exposed, 'agentgateway_requests_in_flight')).toBe(0)
      expect(command.lines().filter(isRecord)).toHaveLength(sumOf(exposed, 'agentgateway_requests_total'))
    },
    { timeout: 10_000, interval: 200 },
  )
  await stop({ command, urls })
}

async function stop({ command }: Running): Promise<void> {
  command.kill('SIGTERM')
  expect(await command.exited).toMatchObject({ code: 0 })
  records.push(...command.lines().filter(isRecord))
}

async function rows(sql: string): Promise<Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

const totalOf = <T>(list: readonly T[], of: (one: T) => number) => list.reduce((sum, one) => sum + of(one), 0)
const costOf = (record: LogLine) => count(record, 'agw.ai.usage.cost.total')
const traceOf = (record: LogLine) => String(record['trace.id'])

describe.skipIf(programs === undefined)('two gateways on one PostgreSQL', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'budgets-'))
    server = await startPostgres(programs ?? '')
    url = await server.newUrl()
    providers = [await startSimulatedOpenAI(), await startSimulatedOpenAI()]
    const file = join(folder, 'gateway.json')
    await writeFile(file, configuration(0))
    const gateways = [await start(file), await start(file)]
    const until = performance.now() + SECONDS * 1000
    const hex = seeded(13)
    const id = (digits: number) =>
      Array.from({ length: digits }, () => Math.floor(hex() * 16).toString(16)).join('')

    async function client(): Promise<void> {
      while (performance.now() < until) {
        const { urls } = pick(gateways)
        for (const provider of providers) spoil(provider, 0.05)
        const place = pick(['large', 'large', 'large', 'few'])
        const { status, ...one } = await ask(`${urls.url}/${place}`, {
          authorization: `Bearer gw-key-of-${pick(USERS)}`,
          traceparent: `00-${id(31)}1-${id(15)}1-01`,
        })
        asked.push({ ...one, status })
        // Nobody is there, or the budget is spent: to ask at once again tells nothing new.
        if (status === 0 || status === 429) await pause(20)
      }
    }
    async function reloading(): Promise<void> {
      while (performance.now() < until) {
        await pause(RELOAD_MS)
        reloads += 1
        await writeFile(file, configuration(reloads))
      }
    }
    async function disturbing(): Promise<void> {
      await pause(SECONDS * 250)
      await server.stop()
      await pause(2000)
      await server.start()
      await pause(SECONDS * 250)
      const [, second] = gateways
      if (second !== undefined) await stop(second)
      gateways[1] = await start(file)
    }
    await Promise.all([reloading(), disturbing(), ...Array.from({ length: CLIENTS }, client)])
    for (const gateway of gateways) await end(gateway)
  }, 120_000)

  afterAll(async () => {
    await endCommands()
    for (const provider of providers) await provider.close()
    await server.close()
    await rm(folder, { recursive: true })
  })

  test('there was something to spend, and to refuse', () => {
    const outcomes = Object.groupBy(records, ({ outcome }) => String(outcome))
    console.info(
      Object.entries(outcomes)
        .map(([outcome, list]) => `${outcome}: ${list?.length}`)
        .join(', '),
    )
    expect(reloads).toBeGreaterThan(10)
    expect(outcomes.completed?.length).toBeGreaterThan(500)
    for (const outcome of ['client_abort', 'upstream_midstream_error', 'rejected'])
      expect(outcomes[outcome]?.length).toBeGreaterThan(5)
    expect(totalOf(records, (record) => count(record, 'retry.attempt'))).toBeGreaterThan(100)
  })

  test('every request has one record, in the log and in the database', async () => {
    const traces = records.map(traceOf)
    expect(new Set(traces).size).toBe(traces.length)
    const kept = (await rows('SELECT trace_id FROM requests')).map(({ trace_id }) => String(trace_id))
    expect(kept.sort()).toEqual(traces.sort())
    for (const { traceId } of asked) if (traceId !== undefined) expect(traces).toContain(traceId)
  })

  test('the budgets have spent what the records say', async () => {
    const spent = await rows('SELECT budget, unit, holder, amount FROM budget_spending')
    const of = (budget: string) => totalOf(spent, (row) => (row.budget === budget ? Number(row.amount) : 0))
    expect(of('tokens')).toBe(totalOf(records, tokensOf))
    expect(Math.abs(of('money') - totalOf(records, costOf))).toBeLessThan(1e-9)
    const onFew = records.filter(({ route }) => route === 'default/few')
    expect(of('few')).toBe(totalOf(onFew, tokensOf))
    const holders = new Set(spent.filter(({ budget }) => budget === 'few').map(({ holder }) => holder))
    expect(holders).toEqual(new Set(USERS.map((user) => `=${user}`)))
  })

  test('and whole answers what the provider billed for them', () => {
    // Of several attempts the last one's.
    const answered = new Map(
      providers
        .flatMap(({ calls }) => calls)
        .filter(({ completed, status }) => completed && status === 200)
        .sort((a, b) => a.receivedAt - b.receivedAt)
        .map((call) => [call.traceparent?.split('-')[1], call]),
    )
    const completed = records.filter(({ outcome }) => outcome === 'completed')
    const billed = completed.map((record) => answered.get(traceOf(record)))
    expect(billed).not.toContain(undefined)
    expect(totalOf(completed, tokensOf)).toBe(
      totalOf(billed, (call) => (call === undefined ? 0 : call.inputTokens + call.outputTokens)),
    )
    expect(
      Math.abs(
        totalOf(completed, costOf) -
          totalOf(billed, (call) =>
            call === undefined
              ? 0
              : (call.inputTokens * RATES.input + call.outputTokens * RATES.output) / 1e6,
          ),
      ),
    ).toBeLessThan(1e-6)
  })
})
