/**
 * Event streams at a fixed rate: when the first content comes, how long each chunk is under way, whether all of them
 * come as they were sent, and what a stream costs that is translated from another API.
 */
import type { CellResult, Measure } from '../cell.ts'
import { connect } from '../connection.ts'
import { failures, pacedLimit } from '../generator.ts'
import { type Durations, durations, together } from '../histogram.ts'
import { ownLoad } from '../load.ts'
import { readMarks, type StreamReader } from '../marks.ts'
import { type Cost, measured } from '../measure.ts'
import { openLoop, type Paced } from '../open-loop.ts'
import { type Site, streamRequest } from '../requests.ts'
import {
  excess,
  judge,
  judgeTails,
  over,
  paired,
  playRounds,
  type Round,
  ratio,
  type Tails,
} from '../rounds.ts'
import { warmUpSeconds } from '../settings.ts'
import { number, percent, spreadText, times } from '../table.ts'
import { closeTargets, GATEWAY, openTargets, startProvider, type Target, TRANSLATING } from '../targets.ts'

const STREAMS_PER_SECOND = 100
const CHUNKS = 64
/** Not a divisor of the time between two streams: else all streams' chunks would come at the same moments. */
const CHUNK_DELAY_MS = 7
const ADDED_FIRST_MS = 0.3
const ADDED_CHUNK_MS = 0.5
const OF_PASSED = 0.7
/** More than half of what may be added is too much of a difference to tell. */
const DIRECT_CHUNK_MS = 0.25

interface Streamed extends Paced {
  /** From when a stream was due to its first content. */
  readonly firsts: Durations
  /** From when the provider wrote a chunk to when it was here. */
  readonly chunkDelays: Durations
  /** Streams with the provider's events in its order and its bytes; of translated ones, with its chunks in its order. */
  readonly faithful: number
}

interface Timed extends Streamed {
  readonly cost: Cost
}

/** What one stream is like before anything is in its way. */
interface Original {
  readonly events: number
  readonly bytes: number
}

const firstAt = (share: number) => (found: Timed) => found.firsts.percentileMs(share)
const chunkAt = (share: number) => (found: Timed) => found.chunkDelays.percentileMs(share)
const cpuMicrosPerStream = ({ cost, requests }: Timed) =>
  cost.cpuMs === undefined ? undefined : (cost.cpuMs * 1000) / requests

export const streams: Measure = async (setup, settings) => {
  const script = { chunks: CHUNKS, chunkDelayMs: CHUNK_DELAY_MS }
  const provider = await startProvider(setup.stage, { ...script, port: settings.upstreamPort })
  const targets = await openTargets(setup, provider.port, [GATEWAY, TRANSLATING], settings.others)
  const [direct] = targets
  if (direct === undefined) throw new Error('nothing to measure')
  const original = await readOriginal(direct.site)
  for (const { name, site } of targets) {
    settings.progress(`warming up ${name}`)
    // So few streams are not enough for V8 to compile what all requests have in common.
    await ownLoad(site, 8, warmUpSeconds(settings))
    await streamAll(site, warmUpSeconds(settings), original)
  }
  const rounds = await playRounds(
    settings,
    targets,
    async (target) => {
      const expected = target.name === TRANSLATING.name ? undefined : original
      const { result, cost } = await measured(target, setup.stage.cpus, () =>
        streamAll(target.site, settings.seconds, expected),
      )
      const found: Timed = { ...result, cost }
      const [first, chunk] = [firstAt(0.5)(found), chunkAt(0.99)(found)]
      return { found, words: `first content p50 ${number(first, 3)} ms, chunks p99 ${number(chunk, 3)} ms` }
    },
    tailLimits,
  )
  await closeTargets(targets)
  await provider.child.stop()
  const judged = judge(rounds, limits, settings.rounds)
  const tails = judgeTails(rounds, tailLimits, settings.rounds)
  return {
    ...judged,
    about: `${STREAMS_PER_SECOND} streams/s, open loop, ${CHUNKS} chunks each, ${CHUNK_DELAY_MS} ms apart; ${TRANSLATING.name}: from Anthropic's messages`,
    table: { head: HEAD, rows: targets.map((target) => rowOf(target, judged.kept)) },
    ...conclusions(judged.kept, tails),
    doubtful: tails.doubtful,
    figures: rounds.map((round) =>
      Object.fromEntries([...round].map(([name, found]) => [name, plain(found)])),
    ),
  } satisfies CellResult
}

async function readOriginal(site: Site): Promise<Original> {
  const connection = await connect(site)
  const reader = readMarks()
  await connection.request(streamRequest(site), reader.read)
  connection.close()
  if (reader.chunks() !== CHUNKS || !reader.isWhole())
    throw new Error(`the provider sent ${reader.chunks()} chunks`)
  return { events: reader.events(), bytes: reader.bytes() }
}

async function streamAll(site: Site, seconds: number, original: Original | undefined): Promise<Streamed> {
  const firsts = durations()
  const chunkDelays = durations()
  const bytes = streamRequest(site)
  let faithful = 0
  const paced = await openLoop(site, { rate: STREAMS_PER_SECOND, seconds }, (due) => {
    const reader = readMarks(due.counts ? chunkDelays.record : undefined)
    return {
      bytes,
      onBody: reader.read,
      isRight() {
        const firstContentAt = reader.firstContentAt()
        if (due.counts && firstContentAt !== undefined) firsts.record(firstContentAt - due.at)
        if (isFaithful(reader, original)) faithful++
        return reader.isWhole()
      },
    }
  })
  return { ...paced, firsts, chunkDelays, faithful }
}

const isFaithful = (reader: StreamReader, original: Original | undefined) =>
  reader.isWhole() &&
  reader.chunks() === CHUNKS &&
  (original === undefined || (reader.events() === original.events && reader.bytes() === original.bytes))

const limits = (round: Round<Timed>) =>
  [...round].flatMap(([name, { lags, cost, errors }]) => [
    ...pacedLimit(name, { lags, loadBusyShare: cost.loadBusyShare }),
    ...failures(name, errors),
  ])

/** A chunk's delay begins when the provider has written it: how late the generator asked is not in it. */
function tailLimits(round: Round<Timed>): string[] {
  const direct = round.get('direct')
  const p99 = direct === undefined ? 0 : chunkAt(0.99)(direct)
  return [
    ...limits(round),
    ...(p99 > DIRECT_CHUNK_MS
      ? [`direct: chunks were ${number(p99, 2)} ms under way (p99), more than ${DIRECT_CHUNK_MS} ms`]
      : []),
  ]
}

const plain = ({ firsts, chunkDelays, lags, cost, requests, faithful, errors }: Timed) => ({
  firstContent: firsts.summary(),
  chunkDelays: chunkDelays.summary(),
  lags: lags.summary(),
  cost,
  streams: requests,
  faithful,
  errors,
})

const HEAD = [
  '',
  'first content p50 ms',
  'p99',
  'added p50 ms',
  'added p99 ms',
  'chunk delay p50 ms',
  'p99',
  'added p50 ms',
  'added p99 ms',
  'CPU us/stream',
  'to nginx',
  'generator late p99',
  'streams',
  'unchanged',
]

function rowOf({ name }: Target, rounds: readonly Round<Timed>[]): string[] {
  const all = rounds.flatMap((round) => round.get(name) ?? [])
  const added = (figure: (found: Timed) => number, digits: number) =>
    name === 'direct' ? '-' : spreadText(paired(rounds, [name, 'direct'], figure, excess), digits)
  const count = all.reduce((sum, { requests }) => sum + requests, 0)
  return [
    name,
    spreadText(over(rounds, name, firstAt(0.5)), 3),
    number(together(all.map(({ firsts }) => firsts)).percentileMs(0.99), 2),
    added(firstAt(0.5), 3),
    added(firstAt(0.99), 2),
    spreadText(over(rounds, name, chunkAt(0.5)), 3),
    number(together(all.map(({ chunkDelays }) => chunkDelays)).percentileMs(0.99), 2),
    added(chunkAt(0.5), 3),
    added(chunkAt(0.99), 2),
    spreadText(over(rounds, name, cpuMicrosPerStream)),
    times(paired(rounds, [name, 'nginx'], cpuMicrosPerStream, ratio)),
    number(together(all.map(({ lags }) => lags)).percentileMs(0.99), 2),
    String(count),
    percent(all.reduce((sum, { faithful }) => sum + faithful, 0) / count),
  ]
}

function conclusions(
  rounds: readonly Round<Timed>[],
  tails: Tails<Timed>,
): Pick<CellResult, 'aims' | 'behind'> {
  const added = (name: string, figure: (found: Timed) => number, among = rounds) =>
    paired(among, [name, 'direct'], figure, excess)
  const first = added(GATEWAY.name, firstAt(0.5))
  const ofNginx = added('nginx', firstAt(0.5))
  return {
    aims: [
      {
        what: 'added to the first content of a stream, p50',
        bound: { atMost: ADDED_FIRST_MS },
        unit: 'ms',
        value: first,
      },
      {
        what: 'added to the delay of a chunk, p99',
        bound: { atMost: ADDED_CHUNK_MS },
        unit: 'ms',
        ...tails.aim(added(GATEWAY.name, chunkAt(0.99), tails.kept)),
      },
      {
        what: 'streams translated (chat to messages), for each second of CPU time: share of those passed on',
        bound: { atLeast: OF_PASSED },
        unit: '',
        value: paired(rounds, [GATEWAY.name, TRANSLATING.name], cpuMicrosPerStream, ratio),
      },
    ],
    behind:
      first === undefined || ofNginx === undefined || first.median <= ofNginx.median
        ? []
        : [
            `added to the first content, p50: ${number(first.median, 3)} ms against nginx's ${number(ofNginx.median, 3)} ms`,
          ],
  }
}
