/** What small requests have to wait when others bring prompts of a megabyte. */
import type { CellResult, Measure } from '../cell.ts'
import { failures, pacedLimit, tailLimit } from '../generator.ts'
import { together } from '../histogram.ts'
import { ownLoad } from '../load.ts'
import { type Cost, measured } from '../measure.ts'
import { openLoop, type Paced } from '../open-loop.ts'
import { jsonRequest, LARGE_BYTES, largeRequest } from '../requests.ts'
import { excess, judge, over, paired, playRounds, type Round } from '../rounds.ts'
import { warmUpSeconds } from '../settings.ts'
import { number, spreadText } from '../table.ts'
import { closeTargets, GATEWAY, openTargets, startProvider, type Target } from '../targets.ts'

const SMALL_PER_SECOND = 500
const LARGE_PER_SECOND = 5
const RISE_MS = 5
/** What generator and provider may take of it. */
const DIRECT_RISE_MS = RISE_MS / 2
/** A shorter measurement has too few large prompts. */
const MIN_SECONDS = 3

interface Timed {
  readonly small: Paced
  readonly large: Paced | undefined
  readonly cost: Cost
}

interface Candidate {
  readonly name: string
  readonly target: Target
  readonly withLarge: boolean
}

const beside = (name: string) => `${name}, large ones beside`
const smallAt =
  (share: number) =>
  ({ small }: Timed) =>
    small.latencies.percentileMs(share)

export const largePrompts: Measure = async (setup, settings) => {
  const provider = await startProvider(setup.stage)
  const targets = await openTargets(setup, provider.port, [GATEWAY])
  const candidates = targets.flatMap((target): Candidate[] => [
    { name: target.name, target, withLarge: false },
    { name: beside(target.name), target, withLarge: true },
  ])
  const seconds = settings.quick ? settings.seconds : Math.max(settings.seconds, MIN_SECONDS)
  for (const { name, site } of targets) {
    settings.progress(`warming up ${name}`)
    await ownLoad(site, 8, warmUpSeconds(settings))
    await openLoop(site, { rate: LARGE_PER_SECOND, seconds: warmUpSeconds(settings) }, () => ({
      bytes: largeRequest(site),
    }))
  }
  const rounds = await playRounds(
    settings,
    candidates,
    async ({ target, withLarge }) => {
      const [small, large] = [jsonRequest(target.site), largeRequest(target.site)]
      const { result, cost } = await measured(target, setup.stage.cpus, () =>
        Promise.all([
          openLoop(target.site, { rate: SMALL_PER_SECOND, seconds }, () => ({ bytes: small })),
          withLarge
            ? openLoop(target.site, { rate: LARGE_PER_SECOND, seconds }, () => ({ bytes: large }))
            : undefined,
        ]),
      )
      const found: Timed = { small: result[0], large: result[1], cost }
      return { found, words: `small ones p99 ${number(smallAt(0.99)(found), 3)} ms` }
    },
    limits,
  )
  await closeTargets(targets)
  await provider.child.stop()
  const judged = judge(rounds, limits, settings.rounds)
  return {
    ...judged,
    about: `${SMALL_PER_SECOND} small requests/s, alone and with ${LARGE_PER_SECOND}/s of ${LARGE_BYTES / 1e6} MB beside; open loop`,
    table: { head: HEAD, rows: candidates.map((candidate) => rowOf(candidate, judged.kept)) },
    aims: [
      {
        what: `small requests beside ${LARGE_BYTES / 1e6} MB prompts: rise of their p99`,
        bound: { atMost: RISE_MS },
        unit: 'ms',
        value: riseOf(GATEWAY.name, judged.kept),
      },
    ],
    figures: rounds.map((round) =>
      Object.fromEntries([...round].map(([name, found]) => [name, plain(found)])),
    ),
  } satisfies CellResult
}

const riseOf = (name: string, rounds: readonly Round<Timed>[]) =>
  paired(rounds, [beside(name), name], smallAt(0.99), excess)

function limits(round: Round<Timed>): string[] {
  const rise = riseOf('direct', [round])?.median ?? 0
  return [
    ...[...round].flatMap(([name, { small, large, cost }]) => [
      // The generator writes a megabyte in one go: what that makes it late is in the direct path's rise.
      ...(large === undefined
        ? [
            ...pacedLimit(name, { lags: small.lags, loadBusyShare: cost.loadBusyShare }),
            ...tailLimit(name, small, DIRECT_RISE_MS),
          ]
        : []),
      ...failures(name, small.errors + (large?.errors ?? 0)),
    ]),
    ...(rise > DIRECT_RISE_MS
      ? [`direct: the p99 of small ones rises by ${number(rise, 2)} ms, more than ${DIRECT_RISE_MS} ms`]
      : []),
  ]
}

const HEAD = ['', 'small p50 ms', 'p99 ms', 'rise of p99 ms', 'large p50 ms', 'generator late p99', 'errors']

function rowOf({ name, target, withLarge }: Candidate, rounds: readonly Round<Timed>[]): string[] {
  const all = rounds.flatMap((round) => round.get(name) ?? [])
  return [
    name,
    spreadText(over(rounds, name, smallAt(0.5)), 3),
    spreadText(over(rounds, name, smallAt(0.99)), 2),
    spreadText(withLarge ? riseOf(target.name, rounds) : undefined, 2),
    spreadText(
      over(rounds, name, ({ large }) => large?.latencies.percentileMs(0.5)),
      2,
    ),
    number(together(all.map(({ small }) => small.lags)).percentileMs(0.99), 2),
    String(all.reduce((sum, { small, large }) => sum + small.errors + (large?.errors ?? 0), 0)),
  ]
}

const plain = ({ small, large, cost }: Timed) => ({
  small: { latencies: small.latencies.summary(), lags: small.lags.summary(), errors: small.errors },
  large: large && { latencies: large.latencies.summary(), errors: large.errors },
  cost,
})
