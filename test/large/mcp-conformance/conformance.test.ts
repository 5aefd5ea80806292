/** The official conformance suite against servers, and against the same servers through the gateway. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../../support/gateway.ts'
import { EVERYTHING, everythingOverHttp, type McpServer, stdioTarget } from '../../support/mcp.ts'
import { conformanceTable, type Run } from './markdown.ts'
import { losses, type Outcome, runSuite } from './suite.ts'

const FIXTURE = fileURLToPath(new URL('everything-server.fixture.ts', import.meta.url))

/** What a server passes by itself and does not pass through the gateway: each with its reason. */
const EXPECTED_LOSSES: ReadonlyMap<string, string> = new Map([
  [
    'server-sse-polling: server-sse-disconnect-resume',
    'not applicable: the stream to the client does not break; one that the server breaks is taken up again by the gateway',
  ],
  [
    'server-sse-multiple-streams: server-sse-streams-functional',
    'not applicable: the gateway answers in JSON what needs no stream',
  ],
])

/** Those that not every way of a server shows. */
const LOSSES_OF = {
  fixture: [...EXPECTED_LOSSES.keys()],
  // Has no tool that breaks its stream.
  'server-everything': ['server-sse-multiple-streams: server-sse-streams-functional'],
} as const

type ServerName = keyof typeof LOSSES_OF
const SERVERS = Object.keys(LOSSES_OF) as ServerName[]
const WAYS = ['directly', 'HTTP target', 'stdio target'] as const
type Way = (typeof WAYS)[number]

let fixture: ChildProcess
let everything: McpServer
const gateways: RunningGateway[] = []
const outcomes = new Map<string, Outcome>()
const NOTHING: Outcome = new Map()

const outcome = (server: ServerName, way: Way) => outcomes.get(`${server} ${way}`) ?? NOTHING

async function gatewayTo(target: string): Promise<string> {
  const gateway = await runGateway(`mcp: {port: 0, targets: [{name: everything, ${target}}]}`)
  gateways.push(gateway)
  return `${gateway.url}/mcp`
}

async function startFixture(): Promise<string> {
  const child = spawn(process.execPath, [FIXTURE, 'streamableHttp'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  fixture = child
  const [line]: Buffer[] = await once(child.stdout, 'data')
  return `http://127.0.0.1:${String(line).trim()}/mcp`
}

beforeAll(async () => {
  const fixtureUrl = await startFixture()
  everything = await everythingOverHttp('streamableHttp')
  const urls = {
    fixture: {
      directly: fixtureUrl,
      'HTTP target': await gatewayTo(`mcp: {host: "${fixtureUrl}"}`),
      'stdio target': await gatewayTo(stdioTarget(FIXTURE, 'stdio')),
    },
    'server-everything': {
      directly: everything.url,
      'HTTP target': await gatewayTo(`mcp: {host: "${everything.url}"}`),
      'stdio target': await gatewayTo(stdioTarget(EVERYTHING, 'stdio')),
    },
  } satisfies Record<ServerName, Record<Way, string>>
  // A lane for each server: more at a time would make two cores miss the suite's own deadlines.
  await Promise.all(
    SERVERS.map(async (server) => {
      for (const way of WAYS) outcomes.set(`${server} ${way}`, await runSuite(urls[server][way]))
    }),
  )
})

afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()))
  await everything.stop()
  fixture.kill('SIGKILL')
})

test('the fixture passes every check of the suite', () => {
  const failed = [...outcome('fixture', 'directly')].filter(([, checks]) =>
    checks.some(({ status }) => status === 'FAILURE' || status === 'WARNING'),
  )
  expect(failed).toEqual([])
})

describe.each(SERVERS)('%s', (server) => {
  test.each(['HTTP target', 'stdio target'] as const)('as a %s loses nothing by the gateway', (way) => {
    const lost = losses(outcome(server, 'directly'), outcome(server, way))
    // Neither more nor fewer: a reason that holds no longer goes.
    expect(lost.map(({ check }) => check)).toEqual(LOSSES_OF[server])
    // No check fails, or even warns: these are not looked at.
    expect(lost.filter(({ through }) => through !== 'INFO')).toEqual([])
  })
})

test('a call is answered whose server breaks the stream to the gateway', () => {
  const checks = outcome('fixture', 'HTTP target').get('server-sse-polling') ?? []
  const resumed = checks.find(({ id }) => id === 'server-sse-disconnect-resume')
  expect(resumed?.details).toMatchObject({ receivedToolResponse: true })
})

test('docs/mcp.md shows what was seen', () => {
  const documented = readFileSync(new URL('../../../docs/mcp.md', import.meta.url), 'utf8')
  const shown = /<!-- conformance:begin -->\n(.*)<!-- conformance:end -->/s.exec(documented)?.[1]
  expect(shown?.trim()).toBe(rendered().trim())
})

const CAPTIONS: Readonly<Record<ServerName, string>> = {
  fixture: 'A server that offers all that the suite looks for:',
  'server-everything': 'The published `@modelcontextprotocol/server-everything`, which lacks most of it:',
}

function rendered(): string {
  const run = (server: ServerName, way: Way): Run => ({
    name: way === 'directly' ? way : `through the gateway, ${way}`,
    outcome: outcome(server, way),
  })
  return SERVERS.map((server) => {
    const through = [run(server, 'HTTP target'), run(server, 'stdio target')]
    return `${CAPTIONS[server]}\n\n${conformanceTable(run(server, 'directly'), through, EXPECTED_LOSSES)}`
  }).join('\n')
}
