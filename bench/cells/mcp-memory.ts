/** What idle MCP sessions cost the gateway in memory, with and without the stream that clients hold open. */
import { residentBytes } from '../accounting.ts'
import type { CellResult, Measure } from '../cell.ts'
import { sleep } from '../clock.ts'
import { type Connection, connect } from '../connection.ts'
import { endSession, listenRequest, openSession, startMcpServer } from '../mcp-session.ts'
import { type Settings, settleMs } from '../settings.ts'
import { slope, spread } from '../statistics.ts'
import { NONE, number } from '../table.ts'
import { type Setup, listening as untilListening } from '../targets.ts'
import { spawnMcpGateway } from './mcp-latency.ts'

const STEPS = [250, 500, 750, 1000] as const
const QUICK_STEPS = [100, 200] as const
const WARM_UP_SESSIONS = 100
const AT_A_TIME = 10
const SESSIONS_MB = 100

interface SessionMemory {
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

export const mcpMemory: Measure = async (setup, settings) => {
  const most = (settings.quick ? QUICK_STEPS : STEPS).at(-1)
  const aim = {
    what: `${most} idle MCP sessions, the dearer kind: added to the resident memory`,
    bound: { below: SESSIONS_MB },
    unit: 'MB',
  } as const
  if (residentBytes(process.pid) === undefined) {
    const skipped = 'memory is not counted on this system'
    return { skipped, aims: [{ ...aim, value: undefined, note: skipped }] }
  }
  const found = [await measure(setup, settings, false), await measure(setup, settings, true)]
  const added = Math.max(...found.map(({ addedBytes }) => addedBytes))
  return {
    about: 'resident memory of the gateway; a target over streamable HTTP',
    table: {
      head: ['', ...found.map(({ listening }) => (listening ? 'with a stream each' : 'without a stream'))],
      rows: rowsOf(found),
    },
    aims: [
      {
        ...aim,
        value: settings.quick ? undefined : spread([added / 1e6]),
        ...(settings.quick && { note: `--quick opens ${most}` }),
      },
    ],
    dropped: [],
    invalid: [],
    figures: found,
  } satisfies CellResult
}

const MIB = 2 ** 20

function rowsOf(found: readonly SessionMemory[]): string[][] {
  const row = (name: string, cell: (one: SessionMemory) => string) => [name, ...found.map(cell)]
  const mib = (bytes: number | undefined) => `${number((bytes ?? Number.NaN) / MIB, 1)} MiB`
  return [
    row('idle, no request yet', ({ idleBytes }) => mib(idleBytes)),
    ...(found[0]?.held ?? []).map(({ sessions }, step) =>
      row(`${sessions} sessions`, ({ held }) => mib(held[step]?.bytes)),
    ),
    row('added to idle by all of them', ({ addedBytes }) => mib(addedBytes)),
    row('per session (slope)', ({ bytesPerSession }) => `${number(bytesPerSession / 1024, 1)} KiB`),
    row('streams that broke', ({ broken, listening }) => (listening ? String(broken) : NONE)),
  ]
}

async function measure(setup: Setup, settings: Settings, listening: boolean): Promise<SessionMemory> {
  const server = await startMcpServer(setup, 'json')
  const gateway = await spawnMcpGateway(setup, server.port, 1)
  const { site, proxy } = gateway
  const resident = () => residentBytes(proxy.pid) ?? Number.NaN
  const streams: Connection[] = []
  const ids: string[] = []
  let broken = 0
  let closing = false

  async function openOne(): Promise<void> {
    const id = await openSession(site.port)
    ids.push(id)
    if (!listening) return
    const stream = await connect(site)
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
    await sleep(settleMs(settings))
  }
  async function endAll(): Promise<void> {
    closing = true
    for (const stream of streams.splice(0)) stream.close()
    for (const id of ids.splice(0)) await endSession(site.port, id)
    await sleep(settleMs(settings))
    closing = false
  }

  await untilListening(gateway)
  await sleep(settleMs(settings))
  const idleBytes = resident()
  await open(WARM_UP_SESSIONS)
  await endAll()

  const held = [{ sessions: 0, bytes: resident() }]
  for (const sessions of settings.quick ? QUICK_STEPS : STEPS) {
    await open(sessions - ids.length)
    held.push({ sessions, bytes: resident() })
    const word = listening ? 'with' : 'without'
    settings.progress(`${sessions} sessions ${word} a stream: ${Math.round(resident() / 2 ** 20)} MiB`)
  }
  closing = true
  for (const stream of streams) stream.close()
  await proxy.stop()
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
