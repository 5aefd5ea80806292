/**
 * From the configuration's text to `Config`, or to every problem in it at once.
 *
 * Reads no file and no environment of its own: both are handed in.
 */
import type { ConfigProblem } from '../core/config-problem.ts'
import { crossCheck } from './cross-checks.ts'
import { readDocument, type SourceDocument } from './document.ts'
import { findingsFromIssues, valueAt } from './issues.ts'
import { type Finding, formatPath, isWithin, type Path, type Problem } from './problem.ts'
import { type Config, configSchema } from './schema.ts'
import { environmentFaults } from './settings.ts'
import { findUnsupported } from './unsupported.ts'
import { warningsOf } from './warnings.ts'

export type { Problem } from './problem.ts'

export interface ConfigSource {
  readonly text: string
  /** Its name in messages. */
  readonly file: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What a leading `~/` stands for. */
  readonly home?: string | undefined
}

export type LoadResult =
  | {
      readonly ok: true
      readonly config: Config
      readonly warnings: string[]
      /** Gives a mistake that shows later, when the configuration is put to use, its place in the file. */
      readonly placed: (problem: ConfigProblem) => Problem
    }
  | { readonly ok: false; readonly problems: Problem[] }

export function loadConfig({ text, file, environment, home }: ConfigSource): LoadResult {
  const document = readDocument({ text, environment, home })
  const toProblem = (finding: Finding): Problem => ({
    file,
    ...document.locate(finding),
    path: formatPath(finding.path),
    message: finding.message,
    ...(finding.hint !== undefined && { hint: finding.hint }),
  })
  const fromEnvironment = environmentFaults(environment).map(
    ({ variable, message }): Problem => ({
      file: 'environment',
      line: 0,
      column: 0,
      path: variable,
      message,
    }),
  )

  const { config, findings } = check(document)
  if (config !== undefined && findings.length === 0 && fromEnvironment.length === 0) {
    const placed = (problem: ConfigProblem) => toProblem({ path: problem.path, message: problem.message })
    return { ok: true, config, warnings: warningsOf(document.value), placed }
  }
  return { ok: false, problems: [...inOrder(findings.map(toProblem)), ...fromEnvironment] }
}

function check(document: SourceDocument): { config?: Config; findings: readonly Finding[] } {
  const { value, findings } = document
  if (value === undefined) return { findings }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found =
      value === null ? 'the file is empty' : Array.isArray(value) ? 'found a list' : 'found a single value'
    const hint = 'the smallest useful one has `llm:`'
    return {
      findings: [
        ...findings,
        { path: [], message: `expected an object with keys such as \`llm\`: ${found}`, hint },
      ],
    }
  }

  const unsupported = findUnsupported(value)
  const parsed = parse(document, value)
  if (parsed.success) {
    const all = [...findings, ...unsupported, ...unlessCovered(crossCheck(value), findings, unsupported)]
    return { config: parsed.data, findings: all }
  }
  const issues = findingsFromIssues(parsed.error.issues, {
    schema: configSchema,
    data: value,
    referencesAt: document.referencesAt,
  })
  return {
    findings: [
      ...findings,
      ...unsupported,
      ...unlessCovered([...issues, ...crossCheck(value)], findings, unsupported),
    ],
  }
}

/**
 * `port: $PORT` is a number, as if its value stood in the file. But where a string is wanted, a variable's value is
 * one: a key made of digits need not be quoted. So what the schema refuses is offered again as text.
 */
function parse(document: SourceDocument, value: object): ReturnType<typeof configSchema.safeParse> {
  const first = configSchema.safeParse(value)
  if (first.success) return first
  let changed = false
  for (const issue of first.error.issues) {
    const path = issue.path.filter((part) => typeof part !== 'symbol')
    const text = document.expandedTextAt(path)
    const parent = valueAt(value, path.slice(0, -1))
    const key = path.at(-1)
    if (text === undefined || key === undefined || typeof parent !== 'object' || parent === null) continue
    if (issue.code !== 'invalid_union' && !(issue.code === 'invalid_type' && issue.expected === 'string'))
      continue
    ;(parent as Record<string | number, unknown>)[key] = text
    changed = true
  }
  return changed ? configSchema.safeParse(value) : first
}

/** Leaves out what only follows from a finding that is reported already. */
function unlessCovered(
  found: readonly Finding[],
  document: readonly Finding[],
  unsupported: readonly Finding[],
): Finding[] {
  const covered = (finding: Finding): boolean =>
    document.some(
      (other) => other.opaque === true && other.path.length > 0 && isWithin(finding.path, other.path),
    ) ||
    unsupported.some((other) => {
      const parent: Path = other.path.slice(0, -1)
      if (isWithin(finding.path, other.path)) return true
      const owner = finding.missing === true ? finding.path.slice(0, -1) : finding.path
      return other.path.length > 1 && formatPath(owner) === formatPath(parent)
    })
  return found.filter((finding) => !covered(finding))
}

function inOrder(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  return problems
    .filter((problem) => {
      const id = JSON.stringify(problem)
      if (seen.has(id)) return false
      seen.add(id)
      return true
    })
    .sort((left, right) => left.line - right.line || left.column - right.column)
}
