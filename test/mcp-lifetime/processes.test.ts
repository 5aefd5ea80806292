/** Processes that never answer and do not want to go: nothing of them is left once nobody has a use for them. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { runGateway } from '../support/gateway.ts'
import { stdioTarget } from '../support/mcp.ts'
import { callOf, eventually, initialize, post, sseEvents } from '../support/mcp-lab.ts'
import { reload } from './configuration.fixture.ts'
import { modern, postModern } from './modern-client.fixture.ts'

const HANGING = fileURLToPath(new URL('hanging-server.fixture.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'agentgateway-processes-'))
const started: number[] = []
afterAll(() => {
  for (const pid of started) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function overSse(url: string): Promise<void> {
  for await (const { event, data } of sseEvents(await fetch(`${url}/sse`)))
    if (event === 'endpoint') await post(`${url}${data}`, initialize())
}

const CLIENTS: Record<string, { extra?: string; begin: (url: string) => Promise<unknown> }> = {
  'a client with a session': { begin: (url) => post(`${url}/mcp`, initialize()) },
  'a client of the old transport': { begin: overSse },
  'a client of 2026-07-28': { begin: (url) => postModern(`${url}/mcp`, modern(1, 'tools/list')) },
  'a client without a session': {
    extra: 'statefulMode: stateless,',
    begin: (url) => post(`${url}/mcp`, callOf(1, 'x')),
  },
}

/** A gateway in whose only target the client has begun a handshake that will not end, and the processes of it. */
async function begun(kind: string) {
  const file = join(directory, `${kind} ${started.length} ${Math.random()}`)
  const { extra = '', begin } = CLIENTS[kind] ?? { begin: () => Promise.resolve() }
  // Requests under way get their time first; here that is not what is looked at.
  const gateway = await runGateway(
    `config: {connectionTerminationDeadline: 200ms}\nmcp: {port: 0, ${extra} targets: [{name: a, connectTimeout: 60s, ${stdioTarget(HANGING, file)}}]}`,
  )
  // Each has one of its own: the gateway's own question whether it is there, and the client.
  const waiting = begin(gateway.url).catch(() => undefined)
  const pids = await eventually(
    () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : []),
    (found) => found.length === 2,
  )
  started.push(...pids)
  expect(pids.map(isRunning)).toEqual([true, true])
  return { gateway, pids, waiting }
}

test.concurrent.each(Object.keys(CLIENTS))(
  'it leaves no process behind when the gateway closes during the handshake of %s',
  async (kind) => {
    const { gateway, pids, waiting } = await begun(kind)
    const from = performance.now()
    await gateway.close()
    expect(performance.now() - from).toBeLessThan(5000)
    // One that was killed is there until it has been waited for.
    await eventually(
      () => pids.filter(isRunning),
      (running) => running.length === 0,
    )
    await waiting
  },
)

test.concurrent.each(Object.keys(CLIENTS))(
  'it leaves no process behind when a reload takes the backend away during the handshake of %s',
  async (kind) => {
    const { gateway, pids, waiting } = await begun(kind)
    await reload(gateway, 'binds: []')
    await waiting
    await eventually(
      () => pids.map(isRunning),
      (running) => !running.includes(true),
      5000,
    )
    await gateway.close()
  },
)

test.concurrent('it leaves no process behind when the gateway closes right after such a reload', async () => {
  const { gateway, pids, waiting } = await begun('a client with a session')
  await reload(gateway, 'binds: []')
  await waiting
  await gateway.close()
  expect(pids.map(isRunning)).toEqual([false, false])
})
