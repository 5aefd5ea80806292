/** As many requests as go through, 32 at a time; what one of them costs the proxy. */
import type { Aim } from '../aims.ts'
import type { CellResult, Measure } from '../cell.ts'
import { connect } from '../connection.ts'
import { failures, saturationLimit } from '../generator.ts'
import { type Load, type LoadResult, ownLoad, wrkLoad } from '../load.ts'
import { type Cost, measured } from '../measure.ts'
import { nginxAnswering } from '../nginx.ts'
import type { Stage } from '../processes.ts'
import { jsonRequest } from '../requests.ts'
import { judge, over, paired, playRounds, type Round, ratio } from '../rounds.ts'
import { type Settings, warmUpSeconds } from '../settings.ts'
import type { Spread } from '../statistics.ts'
import { number, percent, spreadText, times } from '../table.ts'
import {
  ALL_OFF,
  closeTargets,
  droppedTelemetry,
  GATEWAY,
  localSite,
  openTargets,
  type Setup,
  STORE_OFF,
  startProvider,
  type Target,
  type Upstream,
  type Variant,
} from '../targets.ts'

export const CONNECTIONS = 32
const OF_NGINX = 0.6
const CPU_OF_NGINX = 1.7
const OF_ALL_OFF = 0.85

export interface Saturated {
  readonly load: LoadResult
  readonly cost: Cost
}

export const rateOf = ({ load }: Saturated) => load.requests / load.seconds
const perRequest = (ms: number | undefined, { requests }: LoadResult) =>
  ms === undefined ? undefined : (ms * 1000) / requests
export const cpuMicros = ({ load, cost }: Saturated) => perRequest(cost.cpuMs, load)
export const mainMicros = ({ load, cost }: Saturated) => perRequest(cost.mainMs, load)

export const saturation: Measure = async (setup, settings) => {
  const found = await saturate(setup, settings, [GATEWAY, STORE_OFF, ALL_OFF])
  return { ...found.result, aims: aims(found.kept), behind: behind(found.kept) }
}

interface Found {
  readonly result: Omit<CellResult, 'aims'>
  readonly kept: readonly Round<Saturated>[]
}

export async function saturate(
  setup: Setup,
  settings: Settings,
  variants: readonly Variant[],
): Promise<Found> {
  const { stage } = setup
  const upstream = await cheapUpstream(setup, settings)
  const load = loadOf(stage)

  const targets = await openTargets(setup, upstream.port, variants, settings.others)
  const shared = new Set(variants.flatMap(({ name, on }) => (on === undefined ? [] : [name])))
  for (const { name, site } of targets) {
    settings.progress(`warming up ${name}`)
    // wrk knows whole seconds only.
    await (settings.quick ? ownLoad : load)(site, CONNECTIONS, warmUpSeconds(settings))
  }
  const limitsOf = (round: Round<Saturated>) => limits(round, targets)
  const rounds = await playRounds(
    settings,
    targets,
    async (target) => {
      // Of CPUs that are shared nobody can tell who else was busy.
      const cpus = shared.has(target.name) ? undefined : stage.cpus
      const { result, cost } = await measured(target, cpus, () =>
        load(target.site, CONNECTIONS, settings.seconds),
      )
      const found: Saturated = { load: result, cost }
      return { found, words: `${number(rateOf(found))} requests/s` }
    },
    limitsOf,
  )
  const dropped = new Map<string, number>()
  for (const target of targets) dropped.set(target.name, await droppedTelemetry(target))
  await closeTargets(targets)
  await upstream.child.stop()

  const judged = judge(rounds, limitsOf, settings.rounds)
  const rows = targets.map((target) => rowOf(target, judged.kept, dropped.get(target.name) ?? 0))
  return {
    kept: judged.kept,
    result: {
      ...judged,
      about: [`${CONNECTIONS} connections, closed loop`, upstream.about, generatorOf(stage)].join('; '),
      table: { head: HEAD, rows },
      figures: rounds.map((round) => Object.fromEntries(round)),
    },
  }
}

interface CheapUpstream extends Upstream {
  /** What it answers with. */
  readonly about: string
}

/** nginx with the simulated provider's answer, where there is one. */
export async function cheapUpstream({ stage }: Setup, settings: Settings): Promise<CheapUpstream> {
  const provider = await startProvider(stage)
  const answer = await captureAnswer(provider.port)
  await provider.child.stop()
  const nginx = await nginxAnswering(stage, answer, settings.upstreamPort)
  const about = `${Buffer.byteLength(answer)}-byte answers from`
  if (nginx !== undefined)
    return { port: nginx.port, child: nginx.proxy, about: `${about} nginx with a fixed answer` }
  const slower = await startProvider(stage, { port: settings.upstreamPort })
  return { ...slower, about: `${about} the simulated provider` }
}

export const loadOf = (stage: Stage): Load =>
  stage.tools.wrk === undefined ? ownLoad : wrkLoad(stage, stage.tools.wrk)

export const generatorOf = ({ tools }: Stage) =>
  `generator: ${tools.wrk === undefined ? 'our own, in the process of the benchmark' : 'wrk, one thread'}`

async function captureAnswer(port: number): Promise<string> {
  const site = localSite(port)
  const connection = await connect(site)
  const pieces: Buffer[] = []
  await connection.request(jsonRequest(site), (piece) => pieces.push(piece))
  connection.close()
  return Buffer.concat(pieces).toString()
}

function limits(round: Round<Saturated>, targets: readonly Target[]): string[] {
  const direct = round.get('direct')
  return targets.flatMap(({ name, proxy }) => {
    const found = round.get(name)
    if (found === undefined || direct === undefined) return []
    // Who else was busy where another gateway runs is not known.
    const { busyShare = undefined, othersShare = undefined } = proxy === undefined ? {} : found.cost
    const run = { rate: rateOf(found), busyShare, othersShare }
    const limit = name === 'direct' ? [] : saturationLimit(name, run, rateOf(direct))
    return [...limit, ...failures(name, found.load.errors)]
  })
}

const HEAD = [
  '',
  'requests/s',
  'to nginx',
  'CPU us/request',
  'to nginx',
  'its main thread',
  'proxy busy',
  'others',
  'p50 ms',
  'p99 ms',
  'errors',
  'dropped',
]

function rowOf({ name }: Target, rounds: readonly Round<Saturated>[], dropped: number): string[] {
  return [
    name,
    spreadText(over(rounds, name, rateOf)),
    times(paired(rounds, [name, 'nginx'], rateOf, ratio)),
    spreadText(over(rounds, name, cpuMicros), 1),
    times(paired(rounds, [name, 'nginx'], cpuMicros, ratio)),
    spreadText(over(rounds, name, mainMicros), 1),
    percent(over(rounds, name, ({ cost }) => cost.busyShare)?.median),
    percent(over(rounds, name, ({ cost }) => cost.othersShare)?.median),
    number(over(rounds, name, ({ load }) => load.p50Ms)?.median, 2),
    number(over(rounds, name, ({ load }) => load.p99Ms)?.median, 2),
    String(rounds.reduce((sum, round) => sum + (round.get(name)?.load.errors ?? 0), 0)),
    String(dropped),
  ]
}

function aims(rounds: readonly Round<Saturated>[]): readonly Aim[] {
  const toNginx = { unit: '', note: NO_NGINX } as const
  const compare = (other: string, figure: (found: Saturated) => number | undefined) =>
    paired(rounds, [GATEWAY.name, other], figure, ratio)
  const all: readonly Aim[] = [
    {
      what: "requests/s, 1 KB chat JSON, 32 connections, everything on: share of nginx's",
      bound: { atLeast: OF_NGINX },
      value: compare('nginx', rateOf),
      ...toNginx,
    },
    {
      what: "CPU time per request, everything on: times nginx's",
      bound: { atMost: CPU_OF_NGINX },
      value: compare('nginx', cpuMicros),
      ...toNginx,
    },
    {
      what: 'requests/s, everything on: share of everything off',
      bound: { atLeast: OF_ALL_OFF },
      unit: '',
      value: compare(ALL_OFF.name, rateOf),
    },
  ]
  return all.map(({ note, ...aim }) =>
    note === undefined || aim.value !== undefined ? aim : { ...aim, note },
  )
}

const NO_NGINX = 'no nginx here, or no CPU time'

function behind(rounds: readonly Round<Saturated>[]): string[] {
  const nginx = over(rounds, 'nginx', cpuMicros)
  return [GATEWAY.name, ALL_OFF.name].flatMap((name) => ahead(name, over(rounds, name, cpuMicros), nginx))
}

const ahead = (name: string, ours: Spread | undefined, theirs: Spread | undefined) =>
  ours === undefined || theirs === undefined || ours.median <= theirs.median
    ? []
    : [
        `CPU time per request, ${name}: ${number(ours.median, 1)} us against nginx's ${number(theirs.median, 1)} us`,
      ]
