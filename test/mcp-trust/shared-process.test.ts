/** One process for callers that nobody can tell apart: what it says of one call is heard by no other caller. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, expect, test } from 'vitest'
import { follow, modern, postModern, postModernRaw } from '../mcp-lifetime/modern-client.fixture.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { stdioTarget } from '../support/mcp.ts'
import { callOf, eventually, type Json, post, postRaw } from '../support/mcp-lab.ts'

const SERVER = fileURLToPath(new URL('shared-process.fixture.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'agentgateway-shared-'))
let gateway: RunningGateway
let file: string
afterEach(() => gateway.close())
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function run(extra: string): Promise<string> {
  file = join(directory, String(Math.random()))
  gateway = await runGateway(`mcp: {port: 0, ${extra} targets: [{name: a, ${stdioTarget(SERVER, file)}}]}`)
  return `${gateway.url}/mcp`
}

const received = (): Json[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Json)
    : []
const until = (fits: (message: Json) => boolean, count = 1) =>
  eventually(
    () => received().filter(fits).length,
    (found) => found >= count,
  )
const isHold = ({ method, params }: Json) => method === 'tools/call' && (params as Json).name === 'hold'
const isCancelled = ({ method }: Json) => method === 'notifications/cancelled'

const LOGS = { meta: { 'io.modelcontextprotocol/logLevel': 'debug' } }
const KINDS = {
  'statefulMode: stateless': {
    call: (url: string, id: number, name: string, args: Json) => post(url, callOf(id, name, args)),
    open: (url: string, id: number, name: string, args: Json) =>
      follow((signal) => postRaw(url, callOf(id, name, args), {}, { signal })),
  },
  '2026-07-28': {
    call: (url: string, id: number, name: string, args: Json) =>
      postModern(url, modern(id, 'tools/call', { name, arguments: args }, LOGS)),
    open: (url: string, id: number, name: string, args: Json) =>
      follow((signal) =>
        postModernRaw(url, modern(id, 'tools/call', { name, arguments: args }, LOGS), signal),
      ),
  },
}

test.each(Object.entries(KINDS))(
  'it tells nobody what comes after the call of another was given up, with %s',
  async (kind, { call, open }) => {
    const url = await run(kind === '2026-07-28' ? '' : `${kind},`)
    const alice = await open(url, 1, 'hold', { key: 'alice' })
    await until(isHold)
    const bob = await open(url, 2, 'hold', { key: 'bob' })
    await until(isHold, 2)
    alice.leave()
    // The process says something of it now, while bob's call is the only one under way.
    await until(isCancelled)
    await call(url, 3, 'answer', { key: 'bob' })
    await bob.heard((message) => message.id === 2)
    expect(JSON.stringify(bob.messages)).not.toContain('secret')
  },
)

test.each(Object.entries(KINDS))(
  'it tells the only caller what comes while its call is under way, with %s',
  async (kind, { call }) => {
    const url = await run(kind === '2026-07-28' ? '' : `${kind},`)
    const { messages } = await call(url, 1, 'say', { data: 'for you' })
    expect(messages).toMatchObject([
      { method: 'notifications/message', params: { data: 'for you' } },
      { id: 1 },
    ])
  },
)

test('it tells again what comes once the call that was given up has been answered', async () => {
  const url = await run('statefulMode: stateless,')
  const { call, open } = KINDS['statefulMode: stateless']
  const alice = await open(url, 1, 'hold', { key: 'alice' })
  await until(isHold)
  alice.leave()
  await until(isCancelled)
  await call(url, 2, 'answer', { key: 'alice' })
  const { messages } = await call(url, 3, 'say', { data: 'for you' })
  expect(JSON.stringify(messages)).toContain('for you')
})
