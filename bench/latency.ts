/** Cell 2: latency at fixed rates, and how much of it the proxy adds. */
import { ownLoad } from './load.ts'
import { type Cost, measured } from './measure.ts'
import { LEAD_IN_MS, openLoop, type Paced } from './open-loop.ts'
import { ANSWER_TEXT_BYTES, JSON_REQUEST } from './requests.ts'
import { type Settings, warmUpSeconds } from './settings.ts'
import { percentile, type Spread, shuffled, spread } from './statistics.ts'
import { closeTargets, openTargets, type Setup, startProvider, type TargetName } from './targets.ts'

const RATES = [500, 2000] as const

export interface LatencyRow {
  readonly rate: number
  readonly name: TargetName
  readonly p50Ms: Spread
  readonly p99Ms: Spread
  /** Over all rounds together: one round has too few samples for it. */
  readonly p999Ms: number
  /** Through the proxy minus direct, of the same round; undefined for `direct`. */
  readonly addedP50Ms: Spread | undefined
  readonly addedP99Ms: Spread | undefined
  readonly addedP999Ms: number | undefined
  /** How late the generator itself was, part of every figure. */
  readonly generatorLagP50Ms: number
  readonly generatorLagP99Ms: number
  readonly cpuMicrosPerRequest: Spread | undefined
  readonly errors: number
}

interface Round extends Paced {
  readonly cost: Cost
}

export async function latency(setup: Setup, settings: Settings): Promise<readonly LatencyRow[]> {
  const provider = await startProvider(setup.stage, { textBytes: ANSWER_TEXT_BYTES })
  const targets = await openTargets(setup, provider.port, ['direct', 'nginx', 'gateway'])
  for (const { name, port } of targets) {
    settings.progress(`latency: warming up ${name}`)
    await ownLoad(port, 8, warmUpSeconds(settings))
  }
  const rounds = new Map<string, Round[]>()
  for (let round = 1; round <= settings.rounds; round++) {
    for (const rate of shuffled(RATES)) {
      for (const target of shuffled(targets)) {
        const { result, cost } = await measured(target, setup.stage.cpus, () =>
          openLoop(target.port, { rate, seconds: settings.seconds }, () => ({ bytes: JSON_REQUEST })),
        )
        const key = `${rate} ${target.name}`
        rounds.set(key, [...(rounds.get(key) ?? []), { ...result, cost }])
        const p50 = percentile(result.latencies, 0.5).toFixed(3)
        settings.progress(
          `latency: round ${round}/${settings.rounds}: ${target.name} at ${rate}/s: p50 ${p50} ms`,
        )
      }
    }
  }
  await closeTargets(targets)
  await provider.child.stop()
  return RATES.flatMap((rate) =>
    targets.map(({ name }) =>
      rowOf(rate, name, rounds.get(`${rate} ${name}`) ?? [], rounds.get(`${rate} direct`) ?? []),
    ),
  )
}

function rowOf(
  rate: number,
  name: TargetName,
  rounds: readonly Round[],
  direct: readonly Round[],
): LatencyRow {
  const at = (share: number) => rounds.map(({ latencies }) => percentile(latencies, share))
  const added = (share: number) =>
    spread(
      rounds.map(
        ({ latencies }, round) =>
          percentile(latencies, share) - percentile(direct[round]?.latencies ?? [], share),
      ),
    )
  const pooled = (from: readonly Round[]) =>
    percentile(
      from.flatMap(({ latencies }) => latencies),
      0.999,
    )
  const lags = rounds.flatMap((round) => round.lags)
  const perRequest = rounds.flatMap(({ cost, latencies }) =>
    cost.cpuMs === undefined ? [] : [(cost.cpuMs * 1000) / (latencies.length + (LEAD_IN_MS / 1000) * rate)],
  )
  return {
    rate,
    name,
    p50Ms: spread(at(0.5)),
    p99Ms: spread(at(0.99)),
    p999Ms: pooled(rounds),
    addedP50Ms: name === 'direct' ? undefined : added(0.5),
    addedP99Ms: name === 'direct' ? undefined : added(0.99),
    addedP999Ms: name === 'direct' ? undefined : pooled(rounds) - pooled(direct),
    generatorLagP50Ms: percentile(lags, 0.5),
    generatorLagP99Ms: percentile(lags, 0.99),
    cpuMicrosPerRequest: perRequest.length === 0 ? undefined : spread(perRequest),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
  }
}
