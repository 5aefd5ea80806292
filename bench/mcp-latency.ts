/** Cell 6: what the gateway adds to an MCP tool call, at a pace that one busy agent keeps. */
import { now } from './clock.ts'
import { connectAll } from './connection.ts'
import { caller, openSession, startMcpServer } from './mcp-session.ts'
import { type Cost, measured } from './measure.ts'
import { LEAD_IN_MS, openLoop, type Paced } from './open-loop.ts'
import { waitFor } from './processes.ts'
import { type Settings, warmUpSeconds } from './settings.ts'
import { percentile, type Spread, shuffled, spread } from './statistics.ts'
import { type Setup, spawnConfigured, type Target, type Upstream } from './targets.ts'

export const CALLS_PER_SECOND = 100
const TARGETS = 10

const VARIANTS = ['answers in JSON', 'answers as events', `${TARGETS} targets, JSON`] as const
type Variant = (typeof VARIANTS)[number]

export interface McpLatencyRow {
  readonly variant: Variant
  readonly name: 'direct' | 'gateway'
  readonly p50Ms: Spread
  /** Over all rounds together: one round has too few calls for it. */
  readonly p99Ms: number
  /** Through the gateway minus direct, of the same round; undefined for `direct`. */
  readonly addedP50Ms: Spread | undefined
  readonly addedP99Ms: number | undefined
  readonly cpuMicrosPerCall: Spread | undefined
  readonly calls: number
  readonly errors: number
}

interface Candidate {
  readonly variant: Variant
  readonly target: Target
  readonly ask: ReturnType<typeof caller>
}

interface Round extends Paced {
  readonly cost: Cost
}

export async function mcpLatency(setup: Setup, settings: Settings): Promise<readonly McpLatencyRow[]> {
  const json = await startMcpServer(setup, 'json')
  const events = await startMcpServer(setup, 'events')
  const candidates = [
    ...(await openPair(setup, 'answers in JSON', json, 1)),
    ...(await openPair(setup, 'answers as events', events, 1)),
    ...(await openPair(setup, `${TARGETS} targets, JSON`, json, TARGETS)),
  ]
  for (const { variant, target, ask } of candidates) {
    settings.progress(`MCP: warming up: ${variant}, ${target.name}`)
    await warmUp(target.port, warmUpSeconds(settings), ask)
  }
  const rounds = new Map<Candidate, Round[]>(candidates.map((candidate) => [candidate, []]))
  for (let round = 1; round <= settings.rounds; round++) {
    for (const candidate of shuffled(candidates)) {
      const { target, variant, ask } = candidate
      const pace = { rate: CALLS_PER_SECOND, seconds: settings.seconds }
      const { result, cost } = await measured(target, setup.stage.cpus, () =>
        openLoop(target.port, pace, ask),
      )
      rounds.get(candidate)?.push({ ...result, cost })
      const p50 = percentile(result.latencies, 0.5).toFixed(3)
      settings.progress(`MCP: round ${round}/${settings.rounds}: ${variant}, ${target.name}: p50 ${p50} ms`)
    }
  }
  for (const { target } of candidates) await target.proxy?.stop()
  for (const { child } of [json, events]) await child.stop()
  return candidates.map((candidate) => {
    const direct = candidates.find(
      ({ variant, target }) => variant === candidate.variant && target.proxy === undefined,
    )
    return rowOf(candidate, rounds.get(candidate) ?? [], (direct && rounds.get(direct)) ?? [])
  })
}

/** The server alone, and the gateway with that server as its target, or as each of several. */
async function openPair(
  setup: Setup,
  variant: Variant,
  server: Upstream,
  targets: number,
): Promise<Candidate[]> {
  const gateway = await spawnMcpGateway(setup, server.port, targets)
  const direct = { name: 'direct', port: server.port, proxy: undefined, statsPort: undefined } as const
  const tool = targets === 1 ? 'echo' : 't1_echo'
  return [
    { variant, target: direct, ask: caller(await openSession(server.port), 'echo') },
    { variant, target: gateway, ask: caller(await firstSession(gateway), tool) },
  ]
}

export const spawnMcpGateway = (setup: Setup, serverPort: number, targets: number) =>
  spawnConfigured(setup, (port) => ({
    mcp: {
      port,
      targets: Array.from({ length: targets }, (_, index) => ({
        name: `t${index}`,
        mcp: { host: `http://127.0.0.1:${serverPort}/mcp` },
      })),
    },
  }))

/** Tries until the gateway listens. */
function firstSession({ name, port, proxy }: Target): Promise<string> {
  return waitFor(`${name}: first session`, async () => {
    const failure = proxy?.failure()
    if (failure !== undefined) throw new Error(failure)
    return openSession(port).catch((error: unknown) => {
      // Nobody listens yet: `fetch` says it like this.
      if (error instanceof TypeError) return undefined
      throw error
    })
  })
}

const WARM_UP_CONNECTIONS = 8

async function warmUp(port: number, seconds: number, ask: Candidate['ask']): Promise<void> {
  const end = now() + seconds * 1000
  const connections = await connectAll(port, WARM_UP_CONNECTIONS)
  await Promise.all(
    connections.map(async (connection) => {
      while (now() < end) {
        const { bytes, onBody } = ask()
        await connection.request(bytes, onBody)
      }
      connection.close()
    }),
  )
}

function rowOf(
  { variant, target }: Candidate,
  rounds: readonly Round[],
  direct: readonly Round[],
): McpLatencyRow {
  const p50s = rounds.map(({ latencies }) => percentile(latencies, 0.5))
  const added = p50s.map((p50, round) => p50 - percentile(direct[round]?.latencies ?? [], 0.5))
  const pooledP99 = (from: readonly Round[]) =>
    percentile(
      from.flatMap(({ latencies }) => latencies),
      0.99,
    )
  const perCall = rounds.flatMap(({ cost, latencies }) =>
    cost.cpuMs === undefined
      ? []
      : [(cost.cpuMs * 1000) / (latencies.length + (LEAD_IN_MS / 1000) * CALLS_PER_SECOND)],
  )
  const isDirect = target.proxy === undefined
  return {
    variant,
    name: isDirect ? 'direct' : 'gateway',
    p50Ms: spread(p50s),
    p99Ms: pooledP99(rounds),
    addedP50Ms: isDirect ? undefined : spread(added),
    addedP99Ms: isDirect ? undefined : pooledP99(rounds) - pooledP99(direct),
    cpuMicrosPerCall: perCall.length === 0 ? undefined : spread(perCall),
    calls: rounds.reduce((sum, { latencies }) => sum + latencies.length, 0),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
  }
}
