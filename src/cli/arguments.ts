/** The command line: what was asked for, or why it makes no sense. */
import { parseArgs } from 'node:util'

export type Command =
  | {
      readonly name: 'run'
      readonly source: ConfigChoice
      readonly validateOnly: boolean
      readonly json: boolean
    }
  | { readonly name: 'demo'; readonly once: boolean; readonly json: boolean; readonly port: number }
  | { readonly name: 'help' }
  | { readonly name: 'version'; readonly short: boolean }
  | { readonly name: 'usage'; readonly message: string }

/** `file` `-` is standard input. */
export type ConfigChoice =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'default' }

export const HELP = `AgentGateway: one process between AI clients and what they call.

Usage
  agentgateway [run] [-f FILE | -c YAML] [--validate-only] [--json]
  agentgateway demo [--port PORT] [--once] [--json]

Commands
  run                  run the gateway (the default)
  demo                 run it with simulated providers and a little traffic: no API key needed

Options of run
  -f, --file FILE      configuration file; - reads standard input. A file is watched: a change takes
                       effect at once, and a broken one leaves the running configuration in force
  -c, --config YAML    configuration as text
                       without -f and -c: OpenAI and Anthropic on http://localhost:3000
      --validate-only  check the configuration and exit
      --json           report configuration problems as JSON

Options of demo
      --port PORT      where the gateway listens; 0 takes a free port (default 3000)
      --once           send a fixed mix, print what was sent, counted and billed, and exit 0 if they agree
      --json           print that summary as JSON

  -h, --help           this text
  -V                   version
      --version        version as JSON

Ports (set by the configuration, or by STATS_ADDR, READINESS_ADDR, ADMIN_ADDR)
  :3000   the gateway          :15020  /metrics
  :15021  /healthz/ready       :15000  /config_dump (loopback only)

Exit status
  0  done    1  failed while running    2  wrong usage or configuration
`

const usage = (message: string): Command => ({ name: 'usage', message })

export function parseCommand(argv: readonly string[]): Command {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
  const { values, positionals } = parsed
  if (values.help === true) return { name: 'help' }
  if (values.V === true) return { name: 'version', short: true }
  if (values.version === true) return { name: 'version', short: false }

  const [name = 'run', ...rest] = positionals
  if (rest.length > 0) return usage(`unexpected argument: ${rest.join(' ')}`)
  if (name === 'demo') {
    if (values.file !== undefined || values.config !== undefined || values['validate-only'] === true) {
      return usage('demo brings its own configuration: -f, -c and --validate-only belong to run')
    }
    const port = values.port ?? '3000'
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65535)
      return usage(`--port ${port}: expected a number from 0 to 65535`)
    return { name, once: values.once === true, json: values.json === true, port: Number(port) }
  }
  if (name !== 'run') return usage(`unknown command: ${name} (expected run or demo)`)
  if (values.once === true) return usage('--once belongs to demo')
  if (values.port !== undefined)
    return usage('--port belongs to demo: run takes its ports from the configuration')
  if (values.file !== undefined && values.config !== undefined) return usage('-f and -c exclude each other')
  const source: ConfigChoice =
    values.file !== undefined
      ? { kind: 'file', file: values.file }
      : values.config !== undefined
        ? { kind: 'inline', text: values.config }
        : { kind: 'default' }
  return { name, source, validateOnly: values['validate-only'] === true, json: values.json === true }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      file: { type: 'string', short: 'f' },
      config: { type: 'string', short: 'c' },
      'validate-only': { type: 'boolean' },
      once: { type: 'boolean' },
      port: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      V: { type: 'boolean', short: 'V' },
      version: { type: 'boolean' },
    },
  })
}
