/** Cell 3: event streams, 32 at a time: when the first content comes, and whether all of it comes in the same pieces. */
import { now, sleep } from './clock.ts'
import { connect, connectAll } from './connection.ts'
import { readStream } from './event-stream.ts'
import { type Cost, measured } from './measure.ts'
import { STREAM_REQUEST } from './requests.ts'
import { type Settings, warmUpSeconds } from './settings.ts'
import { percentile, type Spread, shuffled, spread } from './statistics.ts'
import { closeTargets, openTargets, type Setup, startProvider, type TargetName } from './targets.ts'

export const CHUNKS = 64
export const CHUNK_DELAY_MS = 5
export const STREAMS = 32

export interface StreamRow {
  readonly name: TargetName
  readonly firstP50Ms: Spread
  /** Over all rounds together. */
  readonly firstP99Ms: number
  readonly addedP50Ms: Spread | undefined
  readonly addedP99Ms: number | undefined
  readonly cpuMicrosPerChunk: Spread | undefined
  readonly streams: number
  /** Streams with the provider's text in the provider's pieces. */
  readonly faithful: number
}

interface Streamed {
  readonly firsts: readonly number[]
  readonly streams: number
  readonly faithful: number
}

interface Round extends Streamed {
  readonly cost: Cost
}

interface Original {
  readonly text: string
  readonly events: number
}

export async function streams(setup: Setup, settings: Settings): Promise<readonly StreamRow[]> {
  const provider = await startProvider(setup.stage, { chunks: CHUNKS, chunkDelayMs: CHUNK_DELAY_MS })
  const original = await readOriginal(provider.port)
  const targets = await openTargets(setup, provider.port, ['direct', 'nginx', 'gateway'])
  for (const { name, port } of targets) {
    settings.progress(`streams: warming up ${name}`)
    await streamAll(port, warmUpSeconds(settings), original)
  }
  const rounds = new Map<TargetName, Round[]>(targets.map(({ name }) => [name, []]))
  for (let round = 1; round <= settings.rounds; round++) {
    for (const target of shuffled(targets)) {
      const { result, cost } = await measured(target, setup.stage.cpus, () =>
        streamAll(target.port, settings.seconds, original),
      )
      rounds.get(target.name)?.push({ ...result, cost })
      const p50 = percentile(result.firsts, 0.5).toFixed(3)
      settings.progress(
        `streams: round ${round}/${settings.rounds}: ${target.name}: first content p50 ${p50} ms`,
      )
    }
  }
  await closeTargets(targets)
  await provider.child.stop()
  const direct = rounds.get('direct') ?? []
  return targets.map(({ name }) => rowOf(name, rounds.get(name) ?? [], direct))
}

async function readOriginal(port: number): Promise<Original> {
  const connection = await connect(port)
  const reader = readStream()
  await connection.request(STREAM_REQUEST, reader.read)
  connection.close()
  if (reader.contentEvents() !== CHUNKS) throw new Error(`the provider sent ${reader.contentEvents()} chunks`)
  return { text: reader.text(), events: reader.events() }
}

async function streamAll(port: number, seconds: number, original: Original): Promise<Streamed> {
  const connections = await connectAll(port, STREAMS)
  const firsts: number[] = []
  let begun = 0
  let faithful = 0
  const end = now() + seconds * 1000

  await Promise.all(
    connections.map(async (connection) => {
      // Streams that begin together would all wait for the same tick of the provider's clock.
      await sleep(Math.random() * CHUNKS * CHUNK_DELAY_MS)
      while (now() < end) {
        const reader = readStream()
        const sentAt = now()
        begun++
        const status = await connection.request(STREAM_REQUEST, reader.read)
        const firstAt = reader.firstContentAt()
        if (firstAt !== undefined) firsts.push(firstAt - sentAt)
        const same = reader.text() === original.text && reader.events() === original.events
        if (status === 200 && same && reader.contentEvents() === CHUNKS) faithful++
        await sleep(Math.random() * 10)
      }
    }),
  ).finally(() => {
    for (const connection of connections) connection.close()
  })
  return { firsts, streams: begun, faithful }
}

function rowOf(name: TargetName, rounds: readonly Round[], direct: readonly Round[]): StreamRow {
  const p50s = rounds.map(({ firsts }) => percentile(firsts, 0.5))
  const pooledP99 = (from: readonly Round[]) =>
    percentile(
      from.flatMap(({ firsts }) => firsts),
      0.99,
    )
  const perChunk = rounds.flatMap(({ cost, streams: count }) =>
    cost.cpuMs === undefined ? [] : [(cost.cpuMs * 1000) / (count * CHUNKS)],
  )
  const added = p50s.map((p50, round) => p50 - percentile(direct[round]?.firsts ?? [], 0.5))
  return {
    name,
    firstP50Ms: spread(p50s),
    firstP99Ms: pooledP99(rounds),
    addedP50Ms: name === 'direct' ? undefined : spread(added),
    addedP99Ms: name === 'direct' ? undefined : pooledP99(rounds) - pooledP99(direct),
    cpuMicrosPerChunk: perChunk.length === 0 ? undefined : spread(perChunk),
    streams: rounds.reduce((sum, { streams: count }) => sum + count, 0),
    faithful: rounds.reduce((sum, round) => sum + round.faithful, 0),
  }
}
