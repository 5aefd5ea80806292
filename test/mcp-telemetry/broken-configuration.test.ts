/** A configuration that cannot be used, or a document that changes, beneath a running command with clients. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Command, endCommands, ready, startCommand } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { connectClient, stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  eventually,
  FIXTURE,
  type Lab,
  openSession,
  post,
  startLab,
  textOf,
} from '../support/mcp-lab.ts'
import { ITEMS_DOCUMENT, startItemsApi } from './items-api.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-mcp-broken-'))
afterAll(() => {
  endCommands()
  rmSync(directory, { recursive: true, force: true })
})

const ONE = '{name: one, mcp: {host: "http://127.0.0.1:1/mcp"}}'
const PIPE = `{name: pipe, ${stdioTarget(FIXTURE, 'pipe')}}`

interface Setup {
  readonly targets: readonly string[]
  /** Beside `targets`. */
  readonly more?: string
  readonly port?: number
}

const yamlOf = ({ targets, more = '', port = 0 }: Setup) =>
  `mcp: {port: ${port}, ${more} targets: [${targets.join(', ')}]}`

const jwks = join(directory, 'bad-jwks.json')
writeFileSync(jwks, '{"keys": "none"}')

describe('a broken configuration', () => {
  /** Each with the place that it is to be reported at. */
  const BROKEN: readonly { name: string; place: RegExp; setup: (port: number) => string }[] = [
    {
      name: 'duplicate target names',
      place: /mcp\.targets\[1\]/,
      setup: () => yamlOf({ targets: [ONE, ONE] }),
    },
    {
      name: 'an unknown key',
      place: /mcp\.targets\[0\]\.mpc/,
      setup: () => yamlOf({ targets: ['{name: one, mpc: {host: "http://127.0.0.1:1/mcp"}}'] }),
    },
    {
      name: 'an unknown key of mcp',
      place: /mcp\.statefulmode/,
      setup: () => yamlOf({ targets: [ONE], more: 'statefulmode: stateless,' }),
    },
    {
      name: 'a target of no kind',
      place: /mcp\.targets\[0\]/,
      setup: () => yamlOf({ targets: ['{name: one}'] }),
    },
    {
      name: 'no targets',
      place: /mcp\.targets/,
      setup: () => yamlOf({ targets: [] }),
    },
    {
      name: 'a bad CEL rule',
      place: /mcp\.policies\.mcpAuthorization\.rules\[0\]/,
      setup: () =>
        yamlOf({
          targets: [ONE],
          more: `policies: {mcpAuthorization: {rules: ['mcp.tool.name ==']}},`,
        }),
    },
    {
      name: 'a CEL rule with an unknown variable',
      place: /mcp\.policies\.mcpAuthorization\.rules\[0\]/,
      setup: () =>
        yamlOf({
          targets: [ONE],
          more: `policies: {mcpAuthorization: {rules: [{deny: 'nope.name == "x"'}]}},`,
        }),
    },
    {
      name: 'a missing OpenAPI file',
      place: /mcp\.targets\[1\]\.openapi\.schema/,
      setup: () =>
        yamlOf({
          targets: [
            ONE,
            `{name: shop, openapi: {schema: {file: "${directory}/none.yaml"}, host: "http://127.0.0.1:1"}}`,
          ],
        }),
    },
    {
      name: 'an OpenAPI document that is none',
      place: /mcp\.targets\[0\]\.openapi\.schema/,
      setup: () =>
        yamlOf({
          targets: ['{name: shop, openapi: {schema: {inline: {hello: 1}}, host: "http://127.0.0.1:1"}}'],
        }),
    },
    {
      name: 'a bad JWKS file',
      place: /mcp\.policies\.mcpAuthentication\.jwks/,
      setup: () =>
        yamlOf({
          targets: [ONE],
          more: `policies: {mcpAuthentication: {issuer: "https://id.example.com", audiences: [x], jwks: {file: "${jwks}"}}},`,
        }),
    },
    {
      name: "mcp.port that is a bind's",
      place: /mcp\.port/,
      setup: (port) =>
        `binds: [{port: ${port}, listeners: [{routes: [{policies: {directResponse: {status: 200}}}]}]}]\nmcp: {port: ${port}, targets: [${ONE}]}`,
    },
  ]

  // The command is what watches the file, and says what is wrong where.
  let command: Command
  let url: string
  let statsUrl: string
  const file = join(directory, 'config.yaml')
  let good: string
  let port: number
  let lab: Lab
  beforeAll(async () => {
    lab = await startLab({ name: 'lab' })
    port = await freePort()
    good = yamlOf({ targets: [`{name: one, mcp: {host: "${lab.url}"}}`, PIPE], port })
    writeFileSync(file, good)
    command = startCommand(['-f', file])
    const addresses = await ready(command)
    url = addresses.url
    statsUrl = addresses.statsUrl
  })
  afterAll(async () => {
    endCommands()
    await lab.stop()
  })

  const metric = async (name: string) =>
    Number(
      new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(`${statsUrl}/metrics`)).text())?.[1] ??
        Number.NaN,
    )

  const isNews = ({ level, scope, message }: Readonly<Record<string, unknown>>) =>
    scope === 'config' && (level === 'error' || message === 'configuration reloaded')
  let comments = 0
  let isGood = true
  afterEach(async () => {
    if (isGood) return
    const from = command.lines().length
    writeFileSync(file, `${good}\n# ${++comments}\n`)
    await command.line(() => command.lines().slice(from).some(isNews))
  })

  test.each(BROKEN)('$name changes nothing, and is reported with its place', async ({ place, setup }) => {
    const session = await openSession(`${url}/mcp`)
    const from = command.lines().length
    isGood = false
    writeFileSync(file, setup(port).replace('mcp: {port: 0', `mcp: {port: ${port}`))
    const news = () => command.lines().slice(from).filter(isNews)
    await command.line(() => news().length > 0)
    const [first = {}] = news()
    expect(first).toMatchObject({ level: 'error' })
    const lines = command.lines().slice(from)
    const line = lines.find(({ path }) => place.test(String(path))) ?? first
    expect(line.path).toMatch(place)
    expect(line.place).toMatch(new RegExp(`^${file}:\\d+:\\d+$`))
    expect(line.problem).toMatch(/\w/)
    const { status, messages } = await post(`${url}/mcp`, callOf(1, 'pipe_whoami'), session)
    expect(status).toBe(200)
    expect(textOf(messages.at(-1)?.result)).toMatch(/^pipe \d+$/)
    expect(await metric('agentgateway_config_synchronized')).toBe(0)
    writeFileSync(file, good)
    await eventually(
      () => metric('agentgateway_config_synchronized'),
      (value) => value === 1,
    )
    isGood = true
    expect((await post(`${url}/mcp`, callOf(2, 'pipe_whoami'), session)).messages).toEqual([
      { ...messages.at(-1), id: 2 },
    ])
  })
})

describe('a changed OpenAPI file', () => {
  test('it brings other tools', async () => {
    const api = await startItemsApi()
    const file = join(directory, 'shop.json')
    const config = join(directory, 'shop.yaml')
    writeFileSync(file, JSON.stringify(ITEMS_DOCUMENT))
    writeFileSync(
      config,
      `mcp: {port: 0, targets: [{name: shop, openapi: {schema: {file: ${JSON.stringify(file)}}, host: "${api.url}"}}]}`,
    )
    const command = startCommand(['-f', config])
    const { url } = await ready(command)
    const toolsOf = async () => {
      const client = await connectClient(url)
      const { tools } = await client.listTools()
      await client.close()
      return tools.map(({ name }) => name)
    }
    expect(await toolsOf()).toContain('listItems')
    const { '/items': items } = ITEMS_DOCUMENT.paths
    writeFileSync(
      file,
      JSON.stringify({
        ...ITEMS_DOCUMENT,
        paths: { '/items': { get: { ...items.get, operationId: 'allItems' } } },
      }),
    )
    // Not by asking again and again: the sessions of a backend that has changed end, in the middle of a handshake too.
    await command.line(({ message }) => message === 'configuration reloaded')
    expect(await toolsOf()).toEqual(['allItems'])
    endCommands()
    await api.stop()
  })
})
