/**
 * What the request store takes of the requests: one gateway, and requests that are kept and such as are not, by turns.
 *
 * Two gateways, as `saturation` has them, tell more of themselves: how a process came to lie in memory, and what V8 made of its code,
 * make a difference of some percent for as long as it lives. Each round has a new one.
 */
import type { Aim } from '../aims.ts'
import type { Measure } from '../cell.ts'
import { failures, saturationLimit } from '../generator.ts'
import { measured } from '../measure.ts'
import { CHAT } from '../requests.ts'
import { judge, over, paired, type Round } from '../rounds.ts'
import { warmUpSeconds } from '../settings.ts'
import { type Spread, spreadOf } from '../statistics.ts'
import { spreadText } from '../table.ts'
import {
  chat,
  droppedTelemetry,
  firstAnswer,
  type OwnTarget,
  spawnGateway,
  type Variant,
} from '../targets.ts'
import {
  CONNECTIONS,
  cheapUpstream,
  cpuMicros,
  generatorOf,
  loadOf,
  mainMicros,
  rateOf,
  type Saturated,
} from './saturation.ts'

/** Of each kind, in each round. */
const TURNS = 8
const TAKES = 0.05

/** By the beginning of their path, which costs a filter the least. */
const KINDS = ['kept', 'other'] as const
const BASES = { kept: '/v1', other: '/v2' } as const
type Kind = (typeof KINDS)[number]
type Turn = Round<Saturated>

const CHOOSING: Variant = {
  name: 'gateway',
  routing: (upstreamPort) => (port) => ({
    ...chat(upstreamPort, 'openAI', Object.values(BASES))(port),
    frontendPolicies: {
      accessLog: { database: { filter: `request.path == "${BASES.kept}${CHAT}"` } },
    },
  }),
}

export const store: Measure = async (setup, settings) => {
  const { stage } = setup
  const upstream = await cheapUpstream(setup, settings)
  const load = loadOf(stage)
  const count = settings.quick ? 2 : TURNS
  let dropped = 0

  async function play(target: OwnTarget, kind: Kind): Promise<Saturated> {
    const { result, cost } = await measured(target, stage.cpus, () =>
      load({ ...target.site, base: BASES[kind] }, CONNECTIONS, settings.seconds),
    )
    return { load: result, cost }
  }

  async function round(): Promise<readonly Turn[]> {
    const target = await spawnGateway(setup, upstream.port, CHOOSING)
    await firstAnswer(target)
    for (const base of Object.values(BASES))
      await load({ ...target.site, base }, CONNECTIONS, Math.max(1, warmUpSeconds(settings) / 2))
    const turns: Turn[] = []
    for (let turn = 0; turn < count; turn += 1) {
      const found = new Map<Kind, Saturated>()
      // Who was last is the next one's first.
      for (const kind of turn % 2 === 0 ? KINDS : KINDS.toReversed())
        found.set(kind, await play(target, kind))
      turns.push(found)
    }
    dropped += await droppedTelemetry(target)
    await target.proxy.stop()
    return turns
  }

  const rounds: (readonly Turn[])[] = []
  while (rounds.length < settings.rounds) {
    const turns = await round()
    rounds.push(turns)
    settings.progress(
      `round ${rounds.length}/${settings.rounds}: ${spreadText(lostOf(turns), 3)} of the requests/s`,
    )
  }
  await upstream.child.stop()

  const all = rounds.flat()
  const judged = judge(all, limits, all.length)
  const counted = rounds.map((turns) => turns.filter((turn) => judged.kept.includes(turn)))
  return {
    ...judged,
    about: [
      `${CONNECTIONS} connections, closed loop, in ${count} turns of ${settings.seconds} s each, of a new process in each round`,
      upstream.about,
      generatorOf(stage),
    ].join('; '),
    table: {
      head: HEAD,
      rows: KINDS.map((kind) => rowOf(kind, judged.kept, kind === 'kept' ? dropped : 0)),
    },
    aims: aims(counted),
    figures: rounds.map((turns) => turns.map((turn) => Object.fromEntries(turn))),
  }
}

const lostOf = (turns: readonly Turn[]) => paired(turns, KINDS, rateOf, (kept, other) => 1 - kept / other)
const addedOf = (turns: readonly Turn[]) =>
  paired(turns, KINDS, mainMicros, (kept, other) => kept / other - 1)

/** Of each round its median. */
const overRounds = (
  rounds: readonly (readonly Turn[])[],
  figure: (turns: readonly Turn[]) => Spread | undefined,
) => spreadOf(rounds.map((turns) => figure(turns)?.median))

function limits(turn: Turn): string[] {
  return [...turn].flatMap(([name, { load, cost }]) => [
    ...failures(name, load.errors),
    ...(cost.busyShare === undefined
      ? [`${name}: nobody counts whether the gateway was the limit`]
      : saturationLimit(name, { ...cost, rate: rateOf({ load, cost }) }, Number.POSITIVE_INFINITY)),
  ])
}

const HEAD = ['requests', 'requests/s', 'CPU us/request', 'its main thread', 'dropped']

const rowOf = (kind: Kind, turns: readonly Turn[], dropped: number) => [
  kind,
  spreadText(over(turns, kind, rateOf)),
  spreadText(over(turns, kind, cpuMicros), 1),
  spreadText(over(turns, kind, mainMicros), 1),
  String(dropped),
]

const aims = (rounds: readonly (readonly Turn[])[]): readonly Aim[] => [
  {
    what: 'requests/s, taken by the request store: share',
    bound: { below: TAKES },
    unit: '',
    value: overRounds(rounds, lostOf),
  },
  {
    what: "time of the requests' own thread, added by the request store: share",
    bound: { below: TAKES },
    unit: '',
    value: overRounds(rounds, addedOf),
  },
]
