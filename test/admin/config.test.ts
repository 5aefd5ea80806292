/** What the console tells of the configuration: what runs, in words and in full, and what became of each change. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { ConfigState, Runtime } from '../../src/admin/api-types.ts'
import { type Command, endCommands, ready, says, startCommand } from '../support/command.ts'
import { gatewayWith, toYaml, under } from '../support/configuration.ts'
import { runGateway } from '../support/gateway.ts'
import { eventually } from '../support/mcp-lab.ts'
import { askFor } from './lab.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-admin-config-'))
const file = join(directory, 'config.yaml')
afterEach(endCommands)
afterAll(() => rmSync(directory, { recursive: true }))

const answering = (body: string) =>
  gatewayWith([{ name: body, policies: { directResponse: { status: 200, body } } }])

/** As editors do it: a new file takes the old one's name. */
function replace(content: string) {
  writeFileSync(`${file}.new`, content)
  renameSync(`${file}.new`, file)
}

const told = (command: Command, text: string, count: number) =>
  command.line(() => command.lines().filter(says(text)).length >= count)

const configOf = (adminUrl: string) => askFor<ConfigState>(adminUrl, '/api/config')

describe('reloads of the real command', () => {
  test('it tells of a good change, of a broken one with its places, and of the repair', async () => {
    replace(answering('one'))
    const begunAt = Date.now()
    const command = startCommand(['-f', file])
    const { adminUrl } = await ready(command)
    const first = await configOf(adminUrl)
    expect(first).toMatchObject({ source: file, reloads: [], isStale: false, warnings: [] })
    expect(first.routes.map(({ route }) => route)).toEqual(['default/one'])

    replace(answering('two'))
    await told(command, 'configuration reloaded', 1)
    const second = await configOf(adminUrl)
    expect(second.reloads).toMatchObject([{ result: 'success', problems: [] }])
    expect(second.routes.map(({ route }) => route)).toEqual(['default/two'])
    expect(JSON.stringify(second.effective)).toContain('two')

    const listeners = '  listeners: [{routes: []}]\n'
    replace(`binds:\n- port: 0\n  listenrs: []\n${listeners}- port: x\n${listeners}`)
    await told(command, 'not valid', 2)
    const third = await configOf(adminUrl)
    expect(third.isStale).toBe(true)
    expect(third.reloads.map(({ result }) => result)).toEqual(['failure', 'success'])
    const problems = third.reloads[0]?.problems ?? []
    expect(problems).toHaveLength(2)
    expect(problems).toEqual(
      expect.arrayContaining([
        {
          place: `${file}:3:3`,
          path: expect.stringMatching(/^binds.*0.*listenrs$/),
          message: expect.stringContaining('listenrs'),
        },
        {
          place: expect.stringMatching(/config\.yaml:5:\d+$/),
          path: expect.stringMatching(/^binds.*1.*port$/),
          message: expect.stringMatching(/\S/),
        },
      ]),
    )
    // What ran goes on running, and is what is told.
    expect(third.routes).toEqual(second.routes)
    expect(third.effective).toEqual(second.effective)

    replace('binds: [')
    await told(command, 'not valid', 3)
    const broken = await configOf(adminUrl)
    expect(broken.reloads[0]).toMatchObject({
      result: 'failure',
      problems: [{ message: expect.stringMatching(/\S/) }],
    })

    replace(answering('three'))
    await told(command, 'configuration reloaded', 2)
    const last = await configOf(adminUrl)
    expect(last.isStale).toBe(false)
    expect(last.reloads.map(({ result }) => result)).toEqual(['success', 'failure', 'failure', 'success'])
    const times = last.reloads.map(({ at }) => Date.parse(at))
    expect(times).toEqual(times.toSorted((one, other) => other - one))
    expect(times.every((at) => at >= begunAt && at <= Date.now())).toBe(true)
  })

  test('it says once what a change needs a restart for, and at every reload until then', async () => {
    const other = { adminAddr: 'localhost:1', database: { url: 'sqlite:other.db' } }
    const settled = (config: object, body: string) =>
      replace(gatewayWith([{ name: body, policies: { directResponse: { status: 200, body } } }], { config }))
    settled({}, 'one')
    const command = startCommand(['-f', file])
    const { adminUrl } = await ready(command)
    for (const [index, config] of [other, other, {}].entries()) {
      settled(config, `next-${index}`)
      await told(command, 'configuration reloaded', index + 1)
    }
    const notices = command.lines().filter(says('at the next start'))
    expect(notices.map(({ level, keys }) => [level, keys])).toEqual([
      ['warn', 'config.adminAddr, config.database.url'],
    ])
    const { reloads, isStale } = await configOf(adminUrl)
    expect(isStale).toBe(false)
    expect(reloads.map(({ result, problems }) => [result, problems.map(({ path }) => path)])).toEqual([
      ['success', []],
      ['success', ['config.adminAddr', 'config.database.url']],
      ['success', ['config.adminAddr', 'config.database.url']],
    ])
    expect(reloads[1]?.problems[0]?.message).toContain('at the next start')
  })

  test('it tells of a change that could not be applied', async () => {
    const other = await runGateway(answering('taken'))
    try {
      replace(answering('one'))
      const command = startCommand(['-f', file])
      const { adminUrl } = await ready(command)
      const { port } = new URL(other.url)
      replace(toYaml({ binds: [{ port: Number(port), listeners: [{ routes: [] }] }] }))
      const { reloads, isStale } = await eventually(
        () => configOf(adminUrl),
        (state) => state.reloads.length === 1,
      )
      expect(isStale).toBe(true)
      expect(reloads).toMatchObject([
        { result: 'failure', problems: [{ message: expect.stringMatching(/in use|EADDRINUSE/i) }] },
      ])
    } finally {
      await other.close()
    }
  })

  test('it tells of a file that has gone', async () => {
    replace(answering('one'))
    const command = startCommand(['-f', file])
    const { adminUrl } = await ready(command)
    rmSync(file)
    command.kill('SIGHUP')
    const outcome = await Promise.race([
      command.exited.then(() => 'ended' as const),
      eventually(
        () => configOf(adminUrl),
        (state) => state.reloads.length > 0,
      ).catch(() => 'untold' as const),
    ])
    // Where a hang-up is no order to reload, the process may end; it must not go on as if nothing was.
    if (typeof outcome === 'object') expect(outcome.isStale).toBe(true)
  })

  test('it is bounded: it knows fifty reloads', async () => {
    const gateway = await runGateway(answering('one'))
    try {
      for (let count = 0; count < 60; count++) gateway.gateway.reloadFailed([{ message: `problem ${count}` }])
      const { reloads } = await configOf(gateway.adminUrl)
      expect(reloads.length).toBe(50)
      expect(reloads[0]?.problems).toEqual([{ message: 'problem 59' }])
    } finally {
      await gateway.close()
    }
  })
})

test.each([
  { name: 'the command line', args: ['-c', answering('one')], source: '<command line>' },
  { name: 'standard input', args: ['-f', '-'], input: answering('one'), source: '<stdin>' },
])('it says that the configuration comes from $name', async ({ args, input, source }) => {
  const command = startCommand(args, input === undefined ? {} : { input })
  const { adminUrl } = await ready(command)
  expect((await configOf(adminUrl)).source).toBe(source)
  expect((await askFor<Runtime>(adminUrl, '/api/runtime')).isDemo).toBe(false)
})

test('it keeps requests in a file beside nobody, across a restart', async () => {
  replace(answering('one'))
  const environment = { AGENTGATEWAY_DATA_DIR: join(directory, 'data') }
  const first = startCommand(['-f', file], { environment })
  const { url, adminUrl } = await ready(first)
  await fetch(url)
  await eventually(
    () => askFor<Runtime>(adminUrl, '/api/runtime'),
    ({ store }) => store?.requests === 1,
  )
  first.kill('SIGTERM')
  expect((await first.exited).code).toBe(0)
  const second = startCommand(['-f', file], { environment })
  const { store, startedAt, now } = await askFor<Runtime>((await ready(second)).adminUrl, '/api/runtime')
  expect(store).toMatchObject({ kind: 'sqlite', requests: 1, dropped: 0 })
  expect(store?.url).toContain(join(directory, 'data'))
  expect(Date.parse(startedAt)).toBeLessThanOrEqual(Date.parse(now))
})

const provider = {
  ai: { name: 'openai', provider: { openAI: {} }, policies: { backendAuth: { key: 'canary-secret-key' } } },
}

describe('routes in words', () => {
  test.each<{ name: string; route: object; told: Partial<ConfigState['routes'][number]> }>([
    { name: 'a prefix', route: { matches: under('/v1') }, told: { matches: ['/v1/*'] } },
    { name: 'no match at all', route: {}, told: { matches: ['/*'] } },
    {
      name: 'a path and a method',
      route: { matches: [{ path: { exact: '/v1/models' }, method: 'GET' }] },
      told: { matches: ['GET /v1/models'] },
    },
    {
      name: 'a header',
      route: {
        matches: [{ path: { pathPrefix: '/' }, headers: [{ name: 'x-team', value: { exact: 'a' } }] }],
      },
      told: { matches: ['/*, header x-team: a'] },
    },
    {
      name: 'alternatives',
      route: { matches: [{ path: { exact: '/a' } }, { path: { exact: '/b' } }] },
      told: { matches: ['/a', '/b'] },
    },
    {
      name: 'hostnames',
      route: { hostnames: ['a.example', '*.b.example'] },
      told: { hostnames: ['a.example', '*.b.example'] },
    },
    {
      name: 'a model and its policies',
      route: { policies: { timeout: { requestTimeout: '5s' } }, backends: [provider] },
      told: { backends: [{ name: 'openai', kind: 'openai' }] },
    },
    {
      name: 'a host',
      route: { backends: [{ host: '127.0.0.1:9' }] },
      told: {
        backends: [{ name: expect.stringContaining('127.0.0.1:9') as unknown as string, kind: 'http' }],
      },
    },
  ])('it tells of $name', async ({ route, told: expected }) => {
    const gateway = await runGateway(gatewayWith([{ name: 'it', ...route }]))
    try {
      const { routes, effective, warnings } = await configOf(gateway.adminUrl)
      expect(routes).toMatchObject([
        { route: 'default/it', port: Number(new URL(gateway.url).port), ...expected },
      ])
      expect(Array.isArray(warnings)).toBe(true)
      expect(JSON.stringify(effective)).not.toContain('canary-secret-key')
    } finally {
      await gateway.close()
    }
  })

  test('it names the policies that are in force', async () => {
    const policies = { timeout: { requestTimeout: '5s' }, urlRewrite: { path: { prefix: '/' } } }
    const gateway = await runGateway(
      gatewayWith([{ name: 'it', matches: under('/v1'), policies, backends: [provider] }]),
    )
    try {
      const { routes } = await configOf(gateway.adminUrl)
      expect(routes[0]?.policies).toEqual(expect.arrayContaining(['timeout', 'urlRewrite']))
    } finally {
      await gateway.close()
    }
  })
})

test('it tells the same configuration in three places', async () => {
  const gateway = await runGateway(gatewayWith([{ name: 'it', backends: [provider] }]))
  try {
    const { effective } = await configOf(gateway.adminUrl)
    expect(await askFor(gateway.adminUrl, '/api/config/effective')).toEqual(effective)
    expect(await askFor(gateway.adminUrl, '/config_dump')).toEqual({
      version: '0.0.0-test',
      config: effective,
    })
  } finally {
    await gateway.close()
  }
})
