/** Process, store and MCP servers as the console tells of them. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CostsModels, McpState, Runtime } from '../../src/admin/api-types.ts'
import { endCommands, ready, startCommand } from '../support/command.ts'
import { chatBody, gatewayWith } from '../support/configuration.ts'
import { freePort } from '../support/free-port.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import {
  callOf,
  eventually,
  type Lab as McpLab,
  openSession,
  post,
  request,
  startLab,
} from '../support/mcp-lab.ts'
import { open } from '../support/wire.ts'
import {
  type AdminLab,
  askFor,
  CHAT,
  call,
  callAsk,
  clientOf,
  sendEverything,
  startAdminLab,
} from './lab.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-admin-state-'))
let lab: AdminLab
beforeAll(async () => {
  lab = await startAdminLab({
    config: {
      tracing: {
        otlpEndpoint: 'http://127.0.0.1:1',
        otlpProtocol: 'http',
        randomSampling: 0.25,
      },
    },
    database: { url: `sqlite:${join(directory, 'requests.db')}`, retention: { age: '7d' } },
  })
  await sendEverything(lab)
})
afterAll(async () => {
  await lab?.close()
  endCommands()
  rmSync(directory, { recursive: true })
})

const runtime = () => lab.client.get<Runtime>('/api/runtime')

describe('the process', () => {
  test('it tells its ports as they are', async () => {
    const { ports } = await runtime()
    const { binds, ...side } = lab.gateway.gateway.ports()
    expect(ports).toEqual({ binds: binds.map((port) => ({ port, tls: false })), ...side })
  })

  test('it tells what it is and since when', async () => {
    const { version, node, startedAt, now, residentBytes, isDemo } = await runtime()
    expect({ version, node, isDemo }).toEqual({
      version: '0.0.0-test',
      node: process.versions.node,
      isDemo: false,
    })
    expect(Math.abs(Date.parse(now) - Date.now())).toBeLessThan(5000)
    expect(Date.parse(now) - Date.parse(startedAt)).toBeCloseTo(process.uptime() * 1000, -3.5)
    expect(residentBytes).toBeGreaterThan(10_000_000)
  })

  test('it tells where spans go and how many', async () => {
    const { tracing } = await runtime()
    expect(tracing?.protocol).toBe('http')
    expect(tracing?.endpoint).toContain('127.0.0.1:1')
    expect(tracing?.sampled).toContain('25')
  })

  test('it counts what is in flight', async () => {
    expect((await runtime()).requestsInFlight).toBe(0)
    const leave = new AbortController()
    const script = { fault: 'never' as const }
    const pending = open(`${lab.gateway.url}${CHAT}`, {
      ...callAsk({ path: CHAT, body: chatBody(), script }),
      signal: leave.signal,
    }).catch(() => {})
    await lab.openAI.waitFor(() => lab.openAI.inFlight === 1)
    expect((await runtime()).requestsInFlight).toBe(1)
    leave.abort()
    await pending
    await eventually(runtime, ({ requestsInFlight }) => requestsInFlight === 0)
  })
})

describe('the store', () => {
  test('it tells how much it keeps, since when and where', async () => {
    const { store } = await runtime()
    const logs = await lab.client.all({ limit: 500 })
    expect(store).toMatchObject({
      kind: 'sqlite',
      requests: logs.length,
      dropped: 0,
      oldest: logs.at(-1)?.completedAt,
      retentionMs: 7 * 86_400_000,
    })
    expect(store?.url).toContain('requests.db')
    expect(store?.problem).toBeUndefined()
    expect(store?.bytes).toBeGreaterThan(10_000)
  })

  test('it is nobody else’s to read', () => {
    expect(statSync(join(directory, 'requests.db')).mode & 0o077).toBe(0)
  })
})

test('it counts on after a restart', async () => {
  const file = join(directory, 'again.db')
  const configuration = gatewayWith(
    [{ name: 'it', policies: { directResponse: { status: 200, body: 'x' } } }],
    {
      config: { database: { url: `sqlite:${file}` } },
    },
  )
  const total = async (gateway: RunningGateway) => {
    const { rows } = await clientOf(gateway.adminUrl).overview()
    const panel = rows[0]?.panels.find(({ title }) => title === 'Total requests (1h)')
    return panel?.values?.[0]?.value
  }
  const first = await runGateway(configuration)
  await fetch(first.url)
  await fetch(first.url)
  await first.recorded(2)
  expect(await total(first)).toBe(2)
  await first.close()
  const second = await runGateway(configuration)
  try {
    await fetch(second.url)
    await second.recorded(1)
    expect(await total(second)).toBe(3)
    expect((await clientOf(second.adminUrl).all()).length).toBe(3)
    expect((await clientOf(second.adminUrl).summary()).total.requests).toBe(3)
    const ids = (await clientOf(second.adminUrl).all()).map(({ id }) => id)
    expect(new Set(ids).size).toBe(3)
  } finally {
    await second.close()
  }
})

describe('MCP', () => {
  let one: McpLab
  let gateway: RunningGateway
  let dead: number
  const state = () => askFor<McpState>(gateway.adminUrl, '/api/mcp')
  const targets = async () => (await state()).backends[0]?.targets ?? []

  beforeAll(async () => {
    one = await startLab({ name: 'one' })
    dead = await freePort()
    gateway = await runGateway(
      gatewayWith([
        {
          name: 'tools',
          matches: [{ path: { pathPrefix: '/tools/mcp' } }],
          backends: [
            {
              mcp: {
                targets: [
                  { name: 'one', mcp: { host: one.url } },
                  { name: 'dead', mcp: { host: `http://127.0.0.1:${dead}/mcp` } },
                ],
              },
            },
          ],
        },
      ]),
    )
  })
  afterAll(async () => {
    await gateway?.close()
    await one?.stop()
  })

  test('it tells of targets as they are found', async () => {
    const url = `${gateway.url}/tools/mcp`
    const session = await openSession(url)
    await post(url, request(1, 'tools/list'), session)
    await post(url, callOf(2, 'one_echo', { message: 'x' }), session)
    const { backends } = await state()
    expect(backends).toHaveLength(1)
    expect(backends[0]).toMatchObject({
      port: Number(new URL(gateway.url).port),
      path: '/tools/mcp',
      sessions: 1,
    })
    const told = await eventually(targets, (all) => all.every(({ isUp }) => isUp !== undefined))
    expect(told[0]).toMatchObject({ target: 'one', kind: 'streamable-http', isUp: true })
    expect(told[0]?.endpoint).toContain(String(one.port))
    expect(told[0]?.lastError).toBeUndefined()
    expect(told[1]).toMatchObject({ target: 'dead', isUp: false, lastError: expect.stringMatching(/\S/) })
    expect(told[0]?.tools).toContain('echo')
  })

  test('it tells of a target that went and came back', async () => {
    const url = `${gateway.url}/tools/mcp`
    await one.stop()
    await openSession(url).catch(() => {})
    await eventually(targets, (all) => all[0]?.isUp === false)
    await one.start()
    await openSession(url)
    await eventually(targets, (all) => all[0]?.isUp === true)
  })
})

test('it has prices by provider and model', async () => {
  const { loaded, providers } = await lab.client.get<CostsModels>('/api/costs/models')
  expect(loaded).toBe(true)
  expect(providers.map(({ provider }) => provider)).toEqual(expect.arrayContaining(['openai', 'anthropic']))
  for (const { models } of providers) {
    expect(models.length).toBeGreaterThan(10)
    expect(new Set(models.map(({ model }) => model)).size).toBe(models.length)
  }
  const mini = providers.flatMap(({ models }) => models).find(({ model }) => model === 'gpt-4o-mini')
  expect(mini).toEqual({ model: 'gpt-4o-mini', input: 0.15, output: 0.6 })
})

test('it starts where its files cannot be kept', async () => {
  const command = startCommand(['-c', gatewayWith([{ policies: { directResponse: { status: 200 } } }])], {
    environment: { AGENTGATEWAY_DATA_DIR: '', XDG_DATA_HOME: '/dev/null/data' },
  })
  const { adminUrl } = await ready(command)
  expect((await askFor<Runtime>(adminUrl, '/api/runtime')).store).toMatchObject({ kind: 'sqlite' })
  await call({ gateway: { url: (await ready(command)).url } as RunningGateway }, { path: '/', body: {} })
  expect((await clientOf(adminUrl).all()).length).toBe(1)
  command.kill('SIGKILL')
  await command.exited
})

test('it does not start where the folder that was named for its files cannot be used', async () => {
  const { exited } = startCommand(['-c', gatewayWith([])], {
    environment: { AGENTGATEWAY_DATA_DIR: '/dev/null/data' },
  })
  const { code, stderr } = await exited
  expect(code).toBe(1)
  expect(stderr).toContain('AGENTGATEWAY_DATA_DIR is /dev/null/data')
})
