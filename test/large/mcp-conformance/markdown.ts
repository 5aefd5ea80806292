/** The conformance suite's results as they stand in docs/mcp.md. */
import { type Check, losses, type Outcome } from './suite.ts'

export interface Run {
  /** Heads its column. */
  readonly name: string
  readonly outcome: Outcome
}

/** Of one server: one row a scenario, the server itself in the first column. `reasons`: why a check is lost, by check. */
export function conformanceTable(
  directly: Run,
  through: readonly Run[],
  reasons: ReadonlyMap<string, string>,
): string {
  const runs = [directly, ...through]
  const rows = [...directly.outcome.keys()].map((scenario) => [
    `\`${scenario}\``,
    ...runs.map(({ outcome }) => tally(outcome.get(scenario) ?? [])),
    why(scenario, directly.outcome, through, reasons),
  ])
  const totals = runs.map(({ outcome }) => tally([...outcome.values()].flat()))
  const lines = [
    ['scenario', ...runs.map(({ name }) => name), 'why'],
    ['---', ...runs.map(() => '---'), '---'],
    ...rows,
    ['all', ...totals, ''],
  ]
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

const count = (checks: readonly Check[], status: Check['status']) =>
  checks.filter((check) => check.status === status).length

/** Checks that only tell something, or warn, are not counted. */
function tally(checks: readonly Check[]): string {
  const [passed, failed] = [count(checks, 'SUCCESS'), count(checks, 'FAILURE')]
  return `${passed} of ${passed + failed}`
}

function why(
  scenario: string,
  directly: Outcome,
  through: readonly Run[],
  reasons: ReadonlyMap<string, string>,
): string {
  const lost = through
    .flatMap(({ outcome }) => losses(directly, outcome))
    .filter(({ check }) => check.startsWith(`${scenario}: `))
    .map(({ check, message }) => reasons.get(check) ?? `${check} is lost: ${short(message)}`)
  const failed = (directly.get(scenario) ?? []).filter(({ status }) => status === 'FAILURE')
  const fails = ({ id }: Check) =>
    through.some(({ outcome }) =>
      outcome.get(scenario)?.some((check) => check.id === id && check.status === 'FAILURE'),
    )
  const own = failed.map(
    (check) => `${fails(check) ? 'the server' : 'only directly'}: ${short(check.errorMessage)}`,
  )
  return [...new Set([...lost, ...own])].join('; ')
}

/** Without what each layer put before it, and without the list of everything else that there is. */
const short = (message = 'no message') =>
  message
    .replace(/^(?:Failed: |MCP error -?\d+: )+/, '')
    .replace(/\. .*$/s, '')
    .replaceAll('|', '\\|')
