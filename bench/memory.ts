/** Cell 4: what streams that are held open cost the gateway in memory. */
import { residentBytes } from './accounting.ts'
import { sleep } from './clock.ts'
import { type Connection, connect, connectAll } from './connection.ts'
import { waitFor } from './processes.ts'
import { STREAM_REQUEST } from './requests.ts'
import type { Settings } from './settings.ts'
import { slope } from './statistics.ts'
import { firstAnswer, type Setup, spawnGateway, startProvider } from './targets.ts'

const STEPS = [250, 500, 750, 1000] as const
const QUICK_STEPS = [100, 200] as const
const WARM_UP_STREAMS = 100
const SETTLE_MS = 2000

export interface Memory {
  /** Before the first request. */
  readonly idleBytes: number
  readonly afterFirstAnswerBytes: number
  /** From 0 streams on, after a few were cut off: counting what they had said loads the tokenizer for good. */
  readonly held: readonly { readonly streams: number; readonly bytes: number }[]
  readonly bytesPerStream: number
  /** Streams that broke while they were held. */
  readonly broken: number
}

/** Undefined where nobody counts memory. */
export async function memory(setup: Setup, settings: Settings): Promise<Memory | undefined> {
  if (residentBytes(process.pid) === undefined) return undefined
  const provider = await startProvider(setup.stage, { chunks: 120, chunkDelayMs: 1000 })
  const gateway = await spawnGateway(setup, provider.port)
  const resident = () => residentBytes(gateway.proxy?.pid ?? 0) ?? Number.NaN
  const connections: Connection[] = []
  let broken = 0
  let closing = false

  async function hold(count: number): Promise<void> {
    const more = await connectAll(gateway.port, count)
    connections.push(...more)
    for (const connection of more) {
      connection.request(STREAM_REQUEST).catch(() => {
        if (!closing) broken++
      })
    }
    await sleep(SETTLE_MS)
  }
  async function letGo(): Promise<void> {
    closing = true
    for (const connection of connections.splice(0)) connection.close()
    await sleep(1000)
    closing = false
  }

  await waitFor('gateway: port', () =>
    connect(gateway.port).then(
      (connection) => {
        connection.close()
        return true
      },
      () => undefined,
    ),
  )
  await sleep(SETTLE_MS)
  const idleBytes = resident()
  await firstAnswer(gateway)
  await sleep(SETTLE_MS)
  const afterFirstAnswerBytes = resident()
  // Some streams first: what is loaded and compiled once is no stream's memory.
  await hold(WARM_UP_STREAMS)
  await letGo()

  const held = [{ streams: 0, bytes: resident() }]
  for (const streams of settings.quick ? QUICK_STEPS : STEPS) {
    await hold(streams - connections.length)
    held.push({ streams, bytes: resident() })
    settings.progress(`memory: ${streams} streams: ${Math.round(resident() / 2 ** 20)} MiB`)
  }
  await letGo()
  await gateway.proxy?.stop()
  await provider.child.stop()
  return {
    idleBytes,
    afterFirstAnswerBytes,
    held,
    bytesPerStream: slope(held.map(({ streams, bytes }) => ({ x: streams, y: bytes }))),
    broken,
  }
}
