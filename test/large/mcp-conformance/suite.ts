/** Runs the official conformance suite for servers, and says what differs between two of its runs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'

const STATUSES = ['FAILURE', 'WARNING', 'SKIPPED', 'INFO', 'SUCCESS'] as const
export type Status = (typeof STATUSES)[number]

const checksSchema = z.array(
  z.object({
    id: z.string(),
    status: z.enum(STATUSES),
    errorMessage: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
)
export type Check = z.output<typeof checksSchema>[number]

/** By scenario, in the suite's own order. */
export type Outcome = ReadonlyMap<string, readonly Check[]>

const require = createRequire(import.meta.url)
const SUITE = require
  .resolve('@modelcontextprotocol/conformance/package.json')
  .replace(/package\.json$/, 'dist/index.js')

/** All scenarios, those that the suite holds back as "pending" too. */
export async function runSuite(url: string): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'agentgateway-conformance-'))
  try {
    const child = spawn(
      process.execPath,
      [SUITE, 'server', '--suite', 'all', '--url', url, '--output-dir', directory],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
    await once(child, 'close')
    const scenarios = [...said.matchAll(/^=== Running scenario: (\S+) ===$/gm)].map(([, name = '']) => name)
    if (scenarios.length === 0) throw new Error(`the conformance suite ran nothing: ${said}`)
    const files = readdirSync(directory)
    return new Map(scenarios.map((scenario) => [scenario, checksOf(directory, files, scenario)]))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The suite puts the time behind the name of the scenario. */
function checksOf(directory: string, files: readonly string[], scenario: string): readonly Check[] {
  const file = files.find((name) => name.replace(/-\d{4}-\d\d-\d\dT.*$/, '') === `server-${scenario}`)
  if (file === undefined) return [{ id: scenario, status: 'FAILURE', errorMessage: 'the scenario broke' }]
  return checksSchema.parse(JSON.parse(readFileSync(join(directory, file, 'checks.json'), 'utf8')))
}

export interface Difference {
  /** `scenario: check`. */
  readonly check: string
  readonly directly: Status | 'absent'
  readonly through: Status | 'absent'
  readonly message: string | undefined
}

/** What stands for all checks of a scenario that have the same id. */
function worst(checks: readonly Check[], id: string): Check | undefined {
  const named = checks.filter((check) => check.id === id)
  return STATUSES.map((status) => named.find((check) => check.status === status)).find(
    (check) => check !== undefined,
  )
}

/** A check that did not come about is no better and no worse than one that only tells something. */
const rank = (check: Check | undefined) => STATUSES.indexOf(check?.status ?? 'INFO')

/** Checks that come out worse through the gateway than without it. */
export function losses(directly: Outcome, through: Outcome): Difference[] {
  const scenarios = new Set([...directly.keys(), ...through.keys()])
  return [...scenarios].flatMap((scenario) => {
    const before = directly.get(scenario) ?? []
    const after = through.get(scenario) ?? []
    const ids = new Set([...before, ...after].map(({ id }) => id))
    return [...ids].flatMap((id) => {
      const [one, other] = [worst(before, id), worst(after, id)]
      if (rank(other) >= rank(one)) return []
      return {
        check: `${scenario}: ${id}`,
        directly: one?.status ?? 'absent',
        through: other?.status ?? 'absent',
        message: other?.errorMessage,
      }
    })
  })
}
