/**
 * Cell 2: latency at fixed rates, and how much of it the proxy adds.
 *
 * An open loop: requests are due at fixed times whatever became of the earlier ones, and each is measured from when it
 * was due. A stall counts for everybody who waited, not only for the one request that met it ("coordinated omission").
 */
import { Worker } from 'node:worker_threads'
import { now } from './clock.ts'
import { type Connection, connectAll } from './connection.ts'
import { ownLoad } from './load.ts'
import { type Cost, measured } from './measure.ts'
import { ANSWER_TEXT_BYTES, JSON_REQUEST } from './requests.ts'
import { type Settings, warmUpSeconds } from './settings.ts'
import { percentile, type Spread, shuffled, spread } from './statistics.ts'
import { closeTargets, openTargets, type Setup, startProvider, type TargetName } from './targets.ts'

const RATES = [500, 2000] as const
const CONNECTIONS = 64
const LEAD_IN_MS = 300

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

interface Paced {
  readonly latencies: readonly number[]
  readonly lags: readonly number[]
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
          paced(target.port, rate, settings.seconds),
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

async function paced(port: number, rate: number, seconds: number): Promise<Paced> {
  const connections = await connectAll(port, CONNECTIONS)
  const idle = [...connections]
  /** Due times of requests for which no connection was free. */
  const queue: number[] = []
  const latencies: number[] = []
  const lags: number[] = []
  const intervalMs = 1000 / rate
  const startsAt = now() + 200
  const countsFrom = startsAt + LEAD_IN_MS
  const count = Math.round((seconds + LEAD_IN_MS / 1000) * rate)
  let errors = 0
  let over = 0

  await new Promise<void>((resolve, reject) => {
    const pacer = new Worker(new URL('pacer.ts', import.meta.url), {
      workerData: { startsAt, intervalMs, count },
    })
    const done = () => {
      if (++over === count) resolve()
    }
    function send(connection: Connection, due: number): void {
      const sentAt = now()
      connection.request(JSON_REQUEST).then(
        (status) => {
          if (due >= countsFrom) {
            latencies.push(now() - due)
            lags.push(sentAt - due)
          }
          if (status !== 200) errors++
          const next = queue.shift()
          if (next === undefined) idle.push(connection)
          else send(connection, next)
          done()
        },
        () => {
          errors++
          if (errors > 100) reject(new Error(`more than ${errors - 1} requests failed`))
          done()
        },
      )
    }
    pacer.on('message', (index: number) => {
      const due = startsAt + index * intervalMs
      const connection = idle.pop()
      if (connection === undefined) queue.push(due)
      else send(connection, due)
    })
    pacer.once('error', reject)
  }).finally(() => {
    for (const connection of connections) connection.close()
  })
  return { latencies, lags, errors }
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
