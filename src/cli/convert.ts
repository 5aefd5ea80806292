/** `agentgateway migrate` and `import`: a configuration out of another one, shown only when it can be run. */
import { readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { parse, stringify } from 'yaml'
import { formatProblems } from '../config/format.ts'
import { importLiteLlm } from '../config/import-litellm.ts'
import { loadConfig } from '../config/load.ts'
import { migrated } from '../config/migrate.ts'

export interface ConvertOptions {
  /** `-` is standard input. */
  readonly file: string
  /** Undefined: standard output. */
  readonly output: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

const WRONG = 2

export function migrate(options: ConvertOptions): number {
  const { file, environment } = options
  return converting(options, (text) =>
    isValid(text, file, environment, options) ? { text: migrated(text), environment } : undefined,
  )
}

/** The variables that it refers to need not be set here: a text that can be a key or an address stands in for each. */
function standIns(text: string): Readonly<Record<string, string>> {
  const names = [...text.matchAll(/\$(\w+)/g)].map(([, name = '']) => name)
  return Object.fromEntries(names.map((name) => [name, 'http://localhost']))
}

export function importFrom(options: ConvertOptions): number {
  return converting(options, (source) => {
    const { config, left } = importLiteLlm(parse(source))
    for (const one of left) options.stderr.write(`not carried over: ${one}\n`)
    const text = stringify(config, { lineWidth: 0 })
    return { text, environment: standIns(text) }
  })
}

interface Result {
  readonly text: string
  readonly environment: ConvertOptions['environment']
}

function converting(options: ConvertOptions, convert: (text: string) => Result | undefined): number {
  const { file, output, stdout, stderr } = options
  try {
    const result = convert(readFileSync(file === '-' ? 0 : file, 'utf8'))
    if (result === undefined) return WRONG
    const { text, environment } = result
    if (!isValid(text, '<result>', environment, options)) return WRONG
    if (output === undefined) stdout.write(text)
    else writeFileSync(output, text)
    return 0
  } catch (error) {
    stderr.write(`agentgateway: ${error instanceof Error ? error.message : String(error)}\n`)
    return WRONG
  }
}

function isValid(
  text: string,
  file: string,
  environment: ConvertOptions['environment'],
  { stderr }: ConvertOptions,
): boolean {
  const loaded = loadConfig({ text, file, environment, home: homedir() })
  if (!loaded.ok) stderr.write(formatProblems(loaded.problems, { text, colour: false }))
  return loaded.ok
}
