/** Cell 7: what idle MCP sessions cost the gateway in memory, with and without the stream that clients hold open. */
import { residentBytes } from './accounting.ts'
import { sleep } from './clock.ts'
import { type Connection, connect } from './connection.ts'
import { spawnMcpGateway } from './mcp-latency.ts'
import { endSession, listenRequest, openSession, startMcpServer } from './mcp-session.ts'
import { waitFor } from './processes.ts'
import type { Settings } from './settings.ts'
import { slope } from './statistics.ts'
import type { Setup } from './targets.ts'

const STEPS = [250, 500, 750, 1000] as const
const QUICK_STEPS = [100, 200] as const
const WARM_UP_SESSIONS = 100
const AT_A_TIME = 10
const SETTLE_MS = 2000

export interface SessionMemory {
  /** Whether each session's client listens for what the servers say by themselves, as the official one does. */
  readonly listening: boolean
  /** Before the first request. */
  readonly idleBytes: number
  /** From 0 on, after a few came and went: what is loaded and compiled once is no session's memory. */
  readonly held: readonly { readonly sessions: number; readonly bytes: number }[]
  readonly bytesPerSession: number
  /** With the most sessions, above `idleBytes`. */
  readonly addedBytes: number
  /** Streams that broke while they were held. */
  readonly broken: number
}

/** Undefined where nobody counts memory. */
export async function mcpMemory(
  setup: Setup,
  settings: Settings,
): Promise<readonly SessionMemory[] | undefined> {
  if (residentBytes(process.pid) === undefined) return undefined
  return [await measure(setup, settings, false), await measure(setup, settings, true)]
}

async function measure(setup: Setup, settings: Settings, listening: boolean): Promise<SessionMemory> {
  const server = await startMcpServer(setup, 'json')
  const { port, proxy } = await spawnMcpGateway(setup, server.port, 1)
  const resident = () => residentBytes(proxy?.pid ?? 0) ?? Number.NaN
  const streams: Connection[] = []
  const ids: string[] = []
  let broken = 0
  let closing = false

  async function openOne(): Promise<void> {
    const id = await openSession(port)
    ids.push(id)
    if (!listening) return
    const stream = await connect(port)
    streams.push(stream)
    // Answered when the session ends.
    const over = () => {
      if (!closing) broken++
    }
    stream.request(listenRequest(id)).then(over, over)
  }
  async function open(count: number): Promise<void> {
    for (let left = count; left > 0; left -= AT_A_TIME)
      await Promise.all(Array.from({ length: Math.min(left, AT_A_TIME) }, openOne))
    await sleep(SETTLE_MS)
  }
  async function endAll(): Promise<void> {
    closing = true
    for (const stream of streams.splice(0)) stream.close()
    for (const id of ids.splice(0)) await endSession(port, id)
    await sleep(SETTLE_MS)
    closing = false
  }

  await waitFor('gateway: port', () =>
    connect(port).then(
      (connection) => {
        connection.close()
        return true
      },
      () => undefined,
    ),
  )
  await sleep(SETTLE_MS)
  const idleBytes = resident()
  await open(WARM_UP_SESSIONS)
  await endAll()

  const held = [{ sessions: 0, bytes: resident() }]
  for (const sessions of settings.quick ? QUICK_STEPS : STEPS) {
    await open(sessions - ids.length)
    held.push({ sessions, bytes: resident() })
    const word = listening ? 'with' : 'without'
    settings.progress(
      `MCP memory: ${sessions} sessions ${word} a stream: ${Math.round(resident() / 2 ** 20)} MiB`,
    )
  }
  closing = true
  for (const stream of streams) stream.close()
  await proxy?.stop()
  await server.child.stop()
  return {
    listening,
    idleBytes,
    held,
    bytesPerSession: slope(held.map(({ sessions, bytes }) => ({ x: sessions, y: bytes }))),
    addedBytes: (held.at(-1)?.bytes ?? Number.NaN) - idleBytes,
    broken,
  }
}
