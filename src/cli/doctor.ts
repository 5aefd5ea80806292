/** `agentgateway doctor`: a line per hop, the first broken one and what to do about it, or all of that as JSON. */
import { examine } from '../doctor/doctor.ts'
import { DEFAULT_ADDRESSES, type HopName, type HopResult } from '../doctor/hops.ts'
import { shown } from '../doctor/http.ts'
import type { DoctorChoice } from './arguments.ts'

interface DoctorCommand extends DoctorChoice {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

const SIGNS = { ok: '✓', failed: '✗', absent: '–', skipped: '–' } as const
const COLOURS = { ok: 32, failed: 31, absent: 2, skipped: 2 } as const
const NAME_WIDTH = 12

/** Resolves with the exit status. */
export async function doctor(command: DoctorCommand): Promise<number> {
  const { stdout, environment, json } = command
  const value = (name: string) => environment[name]?.trim() || undefined
  const terminal = stdout.isTTY === true && !json
  const colours = terminal && environment.NO_COLOR === undefined
  const erase = terminal ? '\r\u001b[K' : ''
  const chosen = { ...DEFAULT_ADDRESSES, ...command.addresses }
  const addresses = {
    ...chosen,
    prometheus: withLogin(chosen.prometheus, {
      user: value('PROMETHEUS_USER') ?? 'admin',
      password: value('PROMETHEUS_PASSWORD'),
    }),
  }
  const run = examine({
    ...command,
    addresses,
    named: new Set(Object.keys(command.addresses)),
    skip: new Set(command.skip),
    keys: { openAI: value('OPENAI_API_KEY'), anthropic: value('ANTHROPIC_API_KEY') },
    grafana: {
      user: value('GF_SECURITY_ADMIN_USER') ?? 'admin',
      password: value('GF_SECURITY_ADMIN_PASSWORD') ?? 'admin',
    },
    adminToken: value('ADMIN_TOKEN'),
    onWait: (hop: HopName) => {
      if (terminal) stdout.write(`${erase}… ${hop}`)
    },
  })
  const hops: HopResult[] = []
  for await (const result of run.results) {
    hops.push(result)
    if (!json) stdout.write(`${erase}${lineOf(result, colours)}`)
  }
  const broken = hops.find(({ status }) => status === 'failed')
  if (json) {
    const report = { ok: broken === undefined, firstBroken: broken?.hop ?? null, traceId: run.traceId, hops }
    stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
  } else stdout.write(`\n${conclusion(hops, run.traceId, addresses.jaeger)}`)
  return broken === undefined ? 0 : 1
}

/** What the address itself says is stronger. */
function withLogin(
  address: string,
  { user, password }: { readonly user: string; readonly password: string | undefined },
): string {
  const url = new URL(address)
  if (password === undefined || url.username !== '') return address
  return Object.assign(url, { username: user, password }).href
}

function lineOf({ hop, status, detail, advice }: HopResult, colours: boolean): string {
  const sign = colours ? `\u001b[${COLOURS[status]}m${SIGNS[status]}\u001b[0m` : SIGNS[status]
  const indent = ' '.repeat(NAME_WIDTH + 2)
  return `${sign} ${hop.padEnd(NAME_WIDTH)}${detail}\n${advice === undefined ? '' : `${indent}→ ${advice}\n`}`
}

function conclusion(hops: readonly HopResult[], traceId: string, jaeger: string): string {
  const broken = hops.find(({ status }) => status === 'failed')
  if (broken !== undefined) return `broken: ${broken.hop}: ${broken.detail} → ${broken.advice}\n`
  const isIn = (place: HopName) => hops.some(({ hop, status }) => hop === place && status === 'ok')
  const absent = hops.filter(({ status }) => status === 'absent').map(({ hop }) => hop)
  const link = isIn('jaeger') ? `\n${shown(jaeger).replace(/\/$/, '')}/trace/${traceId}` : ''
  const without = absent.length === 0 ? '' : `\nnot running, and not needed: ${absent.join(', ')}`
  if (!isIn('gateway')) return `nothing is broken in what was looked at${without}\n`
  return `everything works: trace ${traceId}${link}${without}\n`
}
