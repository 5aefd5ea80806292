/** What the gateway adds to an MCP tool call, at a pace that one busy agent keeps. */
import type { CellResult, Measure } from '../cell.ts'
import { now } from '../clock.ts'
import { connectAll } from '../connection.ts'
import { failures, pacedLimit } from '../generator.ts'
import { together } from '../histogram.ts'
import { caller, openSession, startMcpServer } from '../mcp-session.ts'
import { type Cost, measured } from '../measure.ts'
import { openLoop, type Paced } from '../open-loop.ts'
import { waitFor } from '../processes.ts'
import { excess, judge, over, paired, playRounds, type Round } from '../rounds.ts'
import { warmUpSeconds } from '../settings.ts'
import { NONE, number, spreadText } from '../table.ts'
import {
  direct,
  type OwnTarget,
  type Setup,
  spawnConfigured,
  type Target,
  type Upstream,
} from '../targets.ts'

const CALLS_PER_SECOND = 100
const TARGETS = 10
const ADDED_P50_MS = 1

const VARIANTS = ['answers in JSON', 'answers as events', `${TARGETS} targets, JSON`] as const
type Variant = (typeof VARIANTS)[number]

interface Candidate {
  readonly name: string
  readonly variant: Variant
  readonly target: Target
  readonly ask: ReturnType<typeof caller>
}

interface Timed extends Paced {
  readonly cost: Cost
}

const nameOf = (variant: Variant, through: string) => `${variant}: ${through}`
const at = (share: number) => (found: Timed) => found.latencies.percentileMs(share)

export const mcpLatency: Measure = async (setup, settings) => {
  const json = await startMcpServer(setup, 'json')
  const events = await startMcpServer(setup, 'events')
  const candidates = [
    ...(await openPair(setup, 'answers in JSON', json, 1)),
    ...(await openPair(setup, 'answers as events', events, 1)),
    ...(await openPair(setup, `${TARGETS} targets, JSON`, json, TARGETS)),
  ]
  for (const { name, target, ask } of candidates) {
    settings.progress(`warming up: ${name}`)
    await warmUp(target, warmUpSeconds(settings), ask)
  }
  const rounds = await playRounds(
    settings,
    candidates,
    async ({ target, ask }) => {
      const pace = { rate: CALLS_PER_SECOND, seconds: settings.seconds }
      const { result, cost } = await measured(target, setup.stage.cpus, () =>
        openLoop(target.site, pace, ask),
      )
      const found: Timed = { ...result, cost }
      return { found, words: `p50 ${number(at(0.5)(found), 3)} ms` }
    },
    limits,
  )
  for (const { target } of candidates) await target.proxy?.stop()
  for (const { child } of [json, events]) await child.stop()
  const judged = judge(rounds, limits, settings.rounds)
  const added = VARIANTS.map((variant) => ({ variant, spread: addedOf(variant, judged.kept, 0.5) }))
  const [dearest] = added.sort((one, two) => (two.spread?.median ?? 0) - (one.spread?.median ?? 0))
  return {
    ...judged,
    about: `streamable HTTP, ${CALLS_PER_SECOND} calls/s, open loop, from when a call was due; 1 KB in, 1 KB out`,
    table: { head: HEAD, rows: candidates.map((candidate) => rowOf(candidate, judged.kept)) },
    aims: [
      {
        what: `added to an MCP tool call, p50 (${dearest?.variant})`,
        bound: { below: ADDED_P50_MS },
        unit: 'ms',
        value: dearest?.spread,
      },
    ],
    figures: rounds.map((round) =>
      Object.fromEntries([...round].map(([name, found]) => [name, plain(found)])),
    ),
  } satisfies CellResult
}

const addedOf = (variant: Variant, rounds: readonly Round<Timed>[], share: number) =>
  paired(rounds, [nameOf(variant, 'gateway'), nameOf(variant, 'direct')], at(share), excess)

const limits = (round: Round<Timed>) =>
  [...round].flatMap(([name, { lags, cost, errors }]) => [
    ...pacedLimit(name, { lags, loadBusyShare: cost.loadBusyShare }),
    ...failures(name, errors),
  ])

const plain = ({ latencies, lags, cost, requests, errors }: Timed) => ({
  latencies: latencies.summary(),
  lags: lags.summary(),
  cost,
  calls: requests,
  errors,
})

/** The server alone, and the gateway with that server as its target, or as each of several. */
async function openPair(
  setup: Setup,
  variant: Variant,
  server: Upstream,
  targets: number,
): Promise<Candidate[]> {
  const gateway = await spawnMcpGateway(setup, server.port, targets)
  const tool = targets === 1 ? 'echo' : 't1_echo'
  return [
    {
      name: nameOf(variant, 'direct'),
      variant,
      target: direct(server.port),
      ask: caller(await openSession(server.port), 'echo'),
    },
    {
      name: nameOf(variant, 'gateway'),
      variant,
      target: gateway,
      ask: caller(await firstSession(gateway), tool),
    },
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
function firstSession({ name, site, proxy }: OwnTarget): Promise<string> {
  return waitFor(`${name}: first session`, async () => {
    const failure = proxy.failure()
    if (failure !== undefined) throw new Error(failure)
    return openSession(site.port).catch((error: unknown) => {
      // Nobody listens yet: `fetch` says it like this.
      if (error instanceof TypeError) return undefined
      throw error
    })
  })
}

const WARM_UP_CONNECTIONS = 8

async function warmUp({ site }: Target, seconds: number, ask: Candidate['ask']): Promise<void> {
  const end = now() + seconds * 1000
  const connections = await connectAll(site, WARM_UP_CONNECTIONS)
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

const HEAD = [
  'server, through',
  'p50 ms',
  'p99',
  'added p50 ms',
  'added p99',
  'CPU us/call',
  'generator late p99',
  'calls',
  'errors',
]

function rowOf({ name, variant, target }: Candidate, rounds: readonly Round<Timed>[]): string[] {
  const all = (which: string) => rounds.flatMap((round) => round.get(which) ?? [])
  // One round has too few calls for it.
  const p99 = (which: string) => together(all(which).map(({ latencies }) => latencies)).percentileMs(0.99)
  const isDirect = target.proxy === undefined
  const perCall = over(rounds, name, ({ cost, requests }) =>
    cost.cpuMs === undefined ? undefined : (cost.cpuMs * 1000) / requests,
  )
  return [
    name,
    spreadText(over(rounds, name, at(0.5)), 3),
    number(p99(name), 2),
    isDirect ? NONE : spreadText(addedOf(variant, rounds, 0.5), 3),
    isDirect ? NONE : number(p99(name) - p99(nameOf(variant, 'direct')), 2),
    number(perCall?.median, 1),
    number(together(all(name).map(({ lags }) => lags)).percentileMs(0.99), 2),
    String(all(name).reduce((sum, { requests }) => sum + requests, 0)),
    String(all(name).reduce((sum, { errors }) => sum + errors, 0)),
  ]
}
