/**
 * Ten thousand event streams at once, an event a second on each: whether all are served, what they cost in memory, and
 * how long everything else then waits for the event loop.
 */
import { residentBytes } from '../accounting.ts'
import type { Aim } from '../aims.ts'
import type { CellResult, Measure } from '../cell.ts'
import { now, sleep } from '../clock.ts'
import { type Connection, connect, connectAll, local } from '../connection.ts'
import { fullCpu } from '../generator.ts'
import { type Durations, durations } from '../histogram.ts'
import { readMarks, type StreamReader } from '../marks.ts'
import { measured } from '../measure.ts'
import { filesFor, type Held, openFilesUpTo, streamsWithin } from '../open-files.ts'
import { readProbe } from '../probe-client.ts'
import { type Site, streamRequest } from '../requests.ts'
import { judge, over, type Round } from '../rounds.ts'
import { type Settings, settleMs } from '../settings.ts'
import { percent, spreadText } from '../table.ts'
import { direct, firstAnswer, type OwnTarget, type Setup, spawnGateway, startProvider } from '../targets.ts'

const WANTED = 10_000
/** With fewer than this the aims, which are for `WANTED`, are not measured. */
const ENOUGH = 0.9 * WANTED
const QUICK = 1000
const MAX_ROUNDS = 3
const EVENT_EVERY_MS = 1000
const OPENED_AT_ONCE = 50
const OPENED_PER_SECOND = 1000
const FINISH_MS = 20_000
const KB_PER_STREAM = 30
const LOOP_DELAY_MS = 20
/** Of the events that are due, on the direct path: less, and the generator or the provider cannot keep the pace. */
const PACE_KEPT = 0.98

interface Watched {
  /** Whole to the last event, in order. */
  readonly served: number
  /** Of those that were due while all streams were held. */
  readonly eventsShare: number
  readonly chunkDelays: Durations
  readonly loadBusyShare: number | undefined
  readonly baseBytes: number | undefined
  /** The highest while all streams were held. */
  readonly heldBytes: number | undefined
  readonly loopDelays: Durations | undefined
}

export const heldStreams: Measure = async (setup, settings) => {
  const wanted = settings.quick ? QUICK : WANTED
  const held = streamsWithin(wanted, openFilesUpTo(filesFor(wanted)))
  const rounds: Round<Watched>[] = []
  for (let round = 1; round <= Math.min(settings.rounds, MAX_ROUNDS); round++) {
    const provider = await startProvider(setup.stage, {
      chunkDelayMs: EVENT_EVERY_MS,
      openFiles: held.openFiles,
    })
    const finish = () => finishAll(provider.port)
    settings.progress(`round ${round}: ${held.streams} streams, direct`)
    const calibrated = await hold(setup, settings, held, { site: direct(provider.port).site, finish })
    settings.progress(`round ${round}: ${held.streams} streams, gateway`)
    const gateway = await spawnGateway(setup, provider.port, undefined, {
      probed: true,
      openFiles: held.openFiles,
    })
    await firstAnswer(gateway)
    const found = await hold(setup, settings, held, { site: gateway.site, finish, gateway })
    await gateway.proxy.stop()
    await provider.child.stop()
    rounds.push(
      new Map([
        ['direct', calibrated],
        ['gateway', found],
      ]),
    )
  }
  const { kept, ...judged } = judge(rounds, (round) => limits(round, held.streams), rounds.length)
  return {
    ...judged,
    about: `${held.streams} streams at once, an event a second on each${held.short === undefined ? '' : `; ${held.short}`}`,
    table: { head: HEAD, rows: ['direct', 'gateway'].map((name) => rowOf(name, kept, held.streams)) },
    aims: aims(kept, held, settings),
    figures: {
      streams: held.streams,
      rounds: rounds.map((round) =>
        Object.fromEntries([...round].map(([name, watched]) => [name, plain(watched)])),
      ),
    },
  } satisfies CellResult
}

interface Path {
  readonly site: Site
  readonly finish: () => Promise<void>
  readonly gateway?: OwnTarget
}

interface Opened {
  readonly connections: readonly Connection[]
  readonly readers: readonly StreamReader[]
  readonly ends: Promise<readonly boolean[]>
}

async function hold(setup: Setup, settings: Settings, held: Held, path: Path): Promise<Watched> {
  const { site, finish, gateway } = path
  const resident = () => (gateway === undefined ? undefined : residentBytes(gateway.proxy.pid))
  // Some streams first: what is loaded and compiled once is no stream's memory.
  await letGo(await openAll(site, Math.ceil(held.streams / 10)), finish)
  await sleep(settleMs(settings))
  const baseBytes = resident()

  const chunkDelays = durations()
  let isWatched = false
  let events = 0
  const opened = await openAll(site, held.streams, (delayMs) => {
    if (!isWatched) return
    events++
    chunkDelays.record(delayMs)
  })
  await sleep(settleMs(settings))
  if (gateway !== undefined) await readProbe(gateway)
  const memory: number[] = []
  const begun = now()
  isWatched = true
  const { cost } = await watchLoad(setup, async () => {
    const seconds = settings.quick ? 2 : gateway === undefined ? 5 : 15
    for (let second = 0; second < seconds; second++) {
      await sleep(1000)
      memory.push(resident() ?? 0)
    }
  })
  isWatched = false
  const due = ((now() - begun) / EVENT_EVERY_MS) * held.streams
  const loopDelays = gateway === undefined ? undefined : (await readProbe(gateway)).delays
  const served = await letGo(opened, finish)
  return {
    served,
    eventsShare: events / due,
    chunkDelays,
    loadBusyShare: cost.loadBusyShare,
    baseBytes,
    heldBytes: baseBytes === undefined ? undefined : Math.max(...memory),
    loopDelays,
  }
}

/** The proxy is never at rest here, so it is not waited for. */
const watchLoad = ({ stage }: Setup, work: () => Promise<void>) =>
  measured({ proxy: undefined }, stage.cpus, work)

async function openAll(
  site: Site,
  count: number,
  onChunk: (delayMs: number) => void = () => {},
): Promise<Opened> {
  const bytes = streamRequest(site)
  const connections: Connection[] = []
  const readers: StreamReader[] = []
  const ends: Promise<boolean>[] = []
  const begun = now()
  while (connections.length < count) {
    const more = await connectAll(site, Math.min(OPENED_AT_ONCE, count - connections.length))
    for (const connection of more) {
      const reader = readMarks(onChunk)
      readers.push(reader)
      ends.push(
        connection.request(bytes, reader.read).then(
          (status) => status === 200 && reader.isWhole(),
          () => false,
        ),
      )
    }
    connections.push(...more)
    const early = (connections.length / OPENED_PER_SECOND) * 1000 - (now() - begun)
    if (early > 0) await sleep(early)
  }
  return { connections, readers, ends: Promise.all(ends) }
}

/** Resolves with how many streams came to a whole end. */
async function letGo({ connections, ends }: Opened, finish: () => Promise<void>): Promise<number> {
  await finish()
  const late = sleep(FINISH_MS).then(() => {
    // What has not ended by now breaks, and counts as such.
    for (const connection of connections) connection.close()
  })
  const whole = await Promise.race([ends, late.then(() => ends)])
  for (const connection of connections) connection.close()
  return whole.filter(Boolean).length
}

async function finishAll(port: number): Promise<void> {
  const connection = await connect(local(port))
  await connection.request(
    Buffer.from('POST /finish HTTP/1.1\r\nhost: provider\r\ncontent-length: 0\r\n\r\n'),
  )
  connection.close()
}

function limits(round: Round<Watched>, streams: number): string[] {
  const calibrated = round.get('direct')
  return [
    ...[...round].flatMap(([name, { loadBusyShare }]) => fullCpu(name, loadBusyShare)),
    ...(calibrated === undefined || calibrated.eventsShare >= PACE_KEPT
      ? []
      : [`direct: only ${percent(calibrated.eventsShare)} of the events came that were due`]),
    ...(calibrated === undefined || calibrated.served === streams
      ? []
      : [`direct: only ${calibrated.served} of ${streams} streams were served`]),
  ]
}

const kbPerStream =
  (streams: number) =>
  ({ baseBytes, heldBytes }: Watched) =>
    baseBytes === undefined || heldBytes === undefined ? undefined : (heldBytes - baseBytes) / streams / 1000

const megabytes = (bytes: number | undefined) => (bytes === undefined ? undefined : bytes / 1e6)
const loopDelay = (share: number) => (found: Watched) => found.loopDelays?.percentileMs(share)

const HEAD = [
  '',
  'served',
  'events in time',
  'chunk delay p50 ms',
  'p99 ms',
  'base MB',
  'held MB',
  'KB/stream',
  'loop delay p50 ms',
  'p99 ms',
  'generator CPU',
]

function rowOf(name: string, rounds: readonly Round<Watched>[], streams: number): string[] {
  const figure = (read: (found: Watched) => number | undefined, digits: number) =>
    spreadText(over(rounds, name, read), digits)
  return [
    name,
    figure(({ served }) => served, 0),
    percent(over(rounds, name, ({ eventsShare }) => eventsShare)?.median),
    figure(({ chunkDelays }) => chunkDelays.percentileMs(0.5), 2),
    figure(({ chunkDelays }) => chunkDelays.percentileMs(0.99), 2),
    figure(({ baseBytes }) => megabytes(baseBytes), 1),
    figure(({ heldBytes }) => megabytes(heldBytes), 1),
    figure(kbPerStream(streams), 1),
    figure(loopDelay(0.5), 2),
    figure(loopDelay(0.99), 2),
    percent(over(rounds, name, ({ loadBusyShare }) => loadBusyShare)?.median),
  ]
}

function aims(rounds: readonly Round<Watched>[], held: Held, { quick }: Settings): readonly Aim[] {
  const { streams } = held
  const isEnough = streams >= ENOUGH
  const short = quick ? `--quick holds ${QUICK}` : held.short
  const value = (read: (found: Watched) => number | undefined) =>
    isEnough ? over(rounds, 'gateway', read) : undefined
  const note = short === undefined ? {} : { note: short }
  const name = `${isEnough ? streams : WANTED} event streams held, an event a second on each`
  return [
    {
      what: `${name}: share served`,
      bound: { atLeast: 1 },
      unit: '',
      value: value(({ served }) => served / streams),
      ...note,
    },
    {
      what: `${name}: memory of one`,
      bound: { atMost: KB_PER_STREAM },
      unit: 'KB',
      value: value(kbPerStream(streams)),
      ...note,
    },
    {
      what: `${name}: event loop's delay, p99`,
      bound: { atMost: LOOP_DELAY_MS },
      unit: 'ms',
      value: value(loopDelay(0.99)),
      ...note,
    },
  ]
}

const plain = ({ chunkDelays, loopDelays, ...rest }: Watched) => ({
  ...rest,
  chunkDelays: chunkDelays.summary(),
  loopDelays: loopDelays?.summary(),
})
