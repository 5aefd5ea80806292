/** Cell 1: as many requests as go through, 32 at a time; what one of them costs the proxy. */

import { connect } from './connection.ts'
import { type Load, type LoadResult, ownLoad, wrkLoad } from './load.ts'
import type { Cost } from './measure.ts'
import { measured } from './measure.ts'
import { nginxAnswering } from './nginx.ts'
import { ANSWER_TEXT_BYTES, JSON_REQUEST } from './requests.ts'
import { type Settings, warmUpSeconds } from './settings.ts'
import { type Spread, shuffled, spread } from './statistics.ts'
import {
  closeTargets,
  droppedTelemetry,
  openTargets,
  type Setup,
  startProvider,
  type Target,
  type TargetName,
} from './targets.ts'

const CONNECTIONS = 32

export interface SaturationRow {
  readonly name: TargetName
  readonly requestsPerSecond: Spread
  /** Undefined for `direct` and where nobody counts it. */
  readonly cpuMicrosPerRequest: Spread | undefined
  /** Of the thread that serves requests. */
  readonly mainMicrosPerRequest: Spread | undefined
  readonly busyShare: Spread | undefined
  readonly othersShare: Spread | undefined
  readonly p50Ms: Spread
  readonly p99Ms: Spread
  readonly errors: number
  readonly droppedTelemetry: number
}

export interface Saturation {
  readonly generator: string
  readonly upstream: string
  readonly connections: number
  readonly answerBytes: number
  readonly rows: readonly SaturationRow[]
}

interface Round {
  readonly load: LoadResult
  readonly cost: Cost
}

export async function saturation(setup: Setup, settings: Settings): Promise<Saturation> {
  const { stage } = setup
  const provider = await startProvider(stage, { textBytes: ANSWER_TEXT_BYTES })
  const answer = await captureAnswer(provider.port)
  const nginx = await nginxAnswering(stage, answer)
  const upstreamPort = nginx?.port ?? provider.port
  if (nginx !== undefined) await provider.child.stop()
  const load: Load = stage.tools.wrk === undefined ? ownLoad : wrkLoad(stage, stage.tools.wrk)

  const names = ['direct', 'nginx', 'gateway', 'gateway, store off', 'gateway, telemetry off'] as const
  const targets = await openTargets(setup, upstreamPort, names)
  const rounds = new Map<TargetName, Round[]>(targets.map(({ name }) => [name, []]))
  for (const target of targets) {
    settings.progress(`saturation: warming up ${target.name}`)
    await load(target.port, CONNECTIONS, warmUpSeconds(settings))
  }
  for (let round = 1; round <= settings.rounds; round++) {
    for (const target of shuffled(targets)) {
      const { result, cost } = await measured(target, stage.cpus, () =>
        load(target.port, CONNECTIONS, settings.seconds),
      )
      rounds.get(target.name)?.push({ load: result, cost })
      const rate = Math.round(result.requests / result.seconds)
      settings.progress(`saturation: round ${round}/${settings.rounds}: ${target.name}: ${rate} requests/s`)
    }
  }
  const rows: SaturationRow[] = []
  for (const target of targets) rows.push(await rowOf(target, rounds.get(target.name) ?? []))
  await closeTargets(targets)
  await (nginx?.proxy ?? provider.child).stop()
  return {
    generator: stage.tools.wrk === undefined ? 'our own, in the process of the benchmark' : 'wrk, one thread',
    upstream: nginx === undefined ? 'the simulated provider' : 'nginx with a fixed answer',
    connections: CONNECTIONS,
    answerBytes: Buffer.byteLength(answer),
    rows,
  }
}

async function captureAnswer(port: number): Promise<string> {
  const connection = await connect(port)
  const pieces: Buffer[] = []
  await connection.request(JSON_REQUEST, (piece) => pieces.push(piece))
  connection.close()
  return Buffer.concat(pieces).toString()
}

async function rowOf(target: Target, rounds: readonly Round[]): Promise<SaturationRow> {
  return {
    name: target.name,
    requestsPerSecond: spread(rounds.map(({ load }) => load.requests / load.seconds)),
    cpuMicrosPerRequest: spreadOf(rounds, ({ load, cost }) =>
      cost.cpuMs === undefined ? undefined : (cost.cpuMs * 1000) / load.requests,
    ),
    mainMicrosPerRequest: spreadOf(rounds, ({ load, cost }) =>
      cost.mainMs === undefined ? undefined : (cost.mainMs * 1000) / load.requests,
    ),
    busyShare: spreadOf(rounds, ({ cost }) => cost.busyShare),
    othersShare: spreadOf(rounds, ({ cost }) => cost.othersShare),
    p50Ms: spread(rounds.map(({ load }) => load.p50Ms)),
    p99Ms: spread(rounds.map(({ load }) => load.p99Ms)),
    errors: rounds.reduce((sum, { load }) => sum + load.errors, 0),
    droppedTelemetry: await droppedTelemetry(target),
  }
}

function spreadOf(rounds: readonly Round[], read: (round: Round) => number | undefined): Spread | undefined {
  const values = rounds.map(read).filter((value) => value !== undefined)
  return values.length === 0 ? undefined : spread(values)
}
