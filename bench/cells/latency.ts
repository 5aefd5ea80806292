/** Latency at a fixed rate, and how much of it the proxy adds. */
import type { CellResult, Measure } from '../cell.ts'
import { failures, pacedLimit, tailLimit } from '../generator.ts'
import { type DurationSummary, together } from '../histogram.ts'
import { ownLoad } from '../load.ts'
import { type Cost, measured } from '../measure.ts'
import { openLoop, type Paced } from '../open-loop.ts'
import { jsonRequest } from '../requests.ts'
import { excess, judge, judgeTails, over, paired, playRounds, type Round } from '../rounds.ts'
import { warmUpSeconds } from '../settings.ts'
import { number, spreadText } from '../table.ts'
import { closeTargets, GATEWAY, openTargets, startProvider, type Target } from '../targets.ts'

const RATE = 1000
const ADDED_P50_MS = 0.25
const ADDED_P99_MS = 1

interface Timed extends Paced {
  readonly cost: Cost
}

const at = (share: number) => (found: Timed) => found.latencies.percentileMs(share)
const cpuMicros = ({ cost, requests }: Timed) =>
  cost.cpuMs === undefined ? undefined : (cost.cpuMs * 1000) / requests

export const latency: Measure = async (setup, settings) => {
  const provider = await startProvider(setup.stage, { port: settings.upstreamPort })
  const targets = await openTargets(setup, provider.port, [GATEWAY], settings.others)
  for (const { name, site } of targets) {
    settings.progress(`warming up ${name}`)
    await ownLoad(site, 8, warmUpSeconds(settings))
  }
  const rounds = await playRounds(
    settings,
    targets,
    async (target) => {
      const bytes = jsonRequest(target.site)
      const { result, cost } = await measured(target, setup.stage.cpus, () =>
        openLoop(target.site, { rate: RATE, seconds: settings.seconds }, () => ({ bytes })),
      )
      const found: Timed = { ...result, cost }
      return { found, words: `p50 ${number(at(0.5)(found), 3)} ms, p99 ${number(at(0.99)(found), 3)} ms` }
    },
    tailLimits,
  )
  await closeTargets(targets)
  await provider.child.stop()
  const judged = judge(rounds, limits, settings.rounds)
  const tails = judgeTails(rounds, tailLimits, settings.rounds)
  const added = (kept: readonly Round<Timed>[], share: number) =>
    paired(kept, [GATEWAY.name, 'direct'], at(share), excess)
  return {
    ...judged,
    about: `${RATE} requests/s, open loop, from when a request was due; 1 KB in, 1 KB out`,
    table: { head: HEAD, rows: targets.map((target) => rowOf(target, judged.kept)) },
    aims: [
      {
        what: `added at ${RATE} requests/s, open loop, p50`,
        bound: { atMost: ADDED_P50_MS },
        unit: 'ms',
        value: added(judged.kept, 0.5),
      },
      {
        what: `added at ${RATE} requests/s, open loop, p99`,
        bound: { atMost: ADDED_P99_MS },
        unit: 'ms',
        ...tails.aim(added(tails.kept, 0.99)),
      },
    ],
    behind: behind(judged.kept),
    doubtful: tails.doubtful,
    figures: rounds.map((round) =>
      Object.fromEntries([...round].map(([name, found]) => [name, plain(found)])),
    ),
  } satisfies CellResult
}

interface PlainTimed {
  readonly latencies: DurationSummary
  readonly lags: DurationSummary
  readonly cost: Cost
  readonly requests: number
  readonly errors: number
}

const plain = ({ latencies, lags, cost, requests, errors }: Timed): PlainTimed => ({
  latencies: latencies.summary(),
  lags: lags.summary(),
  cost,
  requests,
  errors,
})

const limits = (round: Round<Timed>) =>
  [...round].flatMap(([name, { lags, cost, errors }]) => [
    ...pacedLimit(name, { lags, loadBusyShare: cost.loadBusyShare }),
    ...failures(name, errors),
  ])

const tailLimits = (round: Round<Timed>) => [
  ...limits(round),
  ...[...round].flatMap(([name, found]) => tailLimit(name, found)),
]

const HEAD = [
  'through',
  'p50 ms',
  'p99 ms',
  'p99.9',
  'added p50 ms',
  'added p99 ms',
  'added p99.9',
  'CPU us/request',
  'generator late p50/p99',
  'errors',
]

function rowOf({ name }: Target, rounds: readonly Round<Timed>[]): string[] {
  const all = (which: string) => rounds.flatMap((round) => round.get(which) ?? [])
  const p999 = (which: string) => together(all(which).map(({ latencies }) => latencies)).percentileMs(0.999)
  const lags = together(all(name).map((found) => found.lags))
  const added = (share: number) =>
    name === 'direct' ? undefined : paired(rounds, [name, 'direct'], at(share), excess)
  return [
    name,
    spreadText(over(rounds, name, at(0.5)), 3),
    spreadText(over(rounds, name, at(0.99)), 2),
    number(p999(name), 2),
    spreadText(added(0.5), 3),
    spreadText(added(0.99), 2),
    number(name === 'direct' ? undefined : p999(name) - p999('direct'), 2),
    number(over(rounds, name, cpuMicros)?.median, 1),
    `${number(lags.percentileMs(0.5), 2)}/${number(lags.percentileMs(0.99), 2)}`,
    String(all(name).reduce((sum, { errors }) => sum + errors, 0)),
  ]
}

function behind(rounds: readonly Round<Timed>[]): string[] {
  return [['p50', 0.5] as const, ['p99', 0.99] as const].flatMap(([word, share]) => {
    const ours = paired(rounds, [GATEWAY.name, 'direct'], at(share), excess)
    const theirs = paired(rounds, ['nginx', 'direct'], at(share), excess)
    return ours === undefined || theirs === undefined || ours.median <= theirs.median
      ? []
      : [
          `added at ${RATE}/s, ${word}: ${number(ours.median, 3)} ms against nginx's ${number(theirs.median, 3)} ms`,
        ]
  })
}
