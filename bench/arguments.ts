/** What the command line asks for. */
import { parseArgs } from 'node:util'
import { CELLS, type CellName, type OtherGateway, type Settings } from './settings.ts'

const SECONDS = 3
const ROUNDS = 5

export const HELP = `Measures the gateway against its upstream, nginx and other gateways, in one run.

Usage
  npm run bench -- [--seconds N] [--rounds N] [--only CELLS] [--quick] [--json [FILE]] [--markdown FILE]
                   [--gateway NAME=URL ... --upstream-port N]

Options
      --seconds N  length of each measurement (default ${SECONDS})
      --rounds N   rounds of each cell, in shuffled order (default ${ROUNDS}); the tables show medians
      --only CELLS some of ${CELLS.join(', ')}
      --quick      one round of one second, less of everything: shows that it runs, measures nothing
      --json [FILE]
                   results as JSON, into the file or instead of the report
      --markdown FILE
                   the report as Markdown, besides
      --gateway NAME=URL
                   another gateway, which runs already: what a client of OpenAI's would be given, for example
                   http://127.0.0.1:4000/v1. It takes part in saturation, latency and streams. May be repeated
      --upstream-port N
                   where the upstreams of these cells listen: what that gateway is configured to ask
  -h, --help       this text

Uses nginx, wrk and taskset where they are installed. Takes less than 20 minutes unless told otherwise, with --quick
less than two. How to read the result: docs/benchmarks.md

Exit status
  0  measured    1  failed    2  wrong usage    3  of some cells the load generator or another program was the limit, or requests
                                                   failed: they are INVALID and their aims not measured
`

export interface Asked extends Omit<Settings, 'progress'> {
  readonly cells: readonly CellName[]
  /** Instead of the report, or into a file. */
  readonly json: 'standard output' | { readonly file: string } | undefined
  readonly markdownFile: string | undefined
}

interface Wrong {
  readonly wrong: string
}

export function parse(argv: readonly string[]): Asked | 'help' | Wrong {
  try {
    const { values } = parseArgs({
      args: withJsonFile(argv),
      options: {
        seconds: { type: 'string' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'json-file': { type: 'string' },
        markdown: { type: 'string' },
        gateway: { type: 'string', multiple: true, default: [] },
        'upstream-port': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return 'help'
    const file = values['json-file']
    const asked = {
      seconds: wholeNumber('seconds', values.seconds ?? (values.quick ? 1 : SECONDS), 600),
      rounds: wholeNumber('rounds', values.rounds ?? (values.quick ? 1 : ROUNDS), 600),
      quick: values.quick,
      cells: cellsOf(values.only),
      json: file === undefined ? (values.json ? ('standard output' as const) : undefined) : { file },
      markdownFile: values.markdown,
      others: values.gateway.map(otherGateway),
      upstreamPort:
        values['upstream-port'] === undefined
          ? undefined
          : wholeNumber('upstream-port', values['upstream-port'], 65_535),
    }
    if (new Set(asked.others.map(({ name }) => name)).size < asked.others.length)
      return { wrong: '--gateway wants another name for each' }
    return asked.others.length > 0 && asked.upstreamPort === undefined
      ? { wrong: '--gateway wants --upstream-port, the port that this gateway is configured to ask' }
      : asked
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) }
  }
}

/** `--json` has a value or has none, which `parseArgs` does not know: with one it becomes `--json-file`. */
function withJsonFile(argv: readonly string[]): string[] {
  const [first, second, ...rest] = argv
  if (first === undefined) return []
  if (first.startsWith('--json=')) return [first.replace('=', '-file='), ...withJsonFile(argv.slice(1))]
  return first === '--json' && second !== undefined && !second.startsWith('-')
    ? [`--json-file=${second}`, ...withJsonFile(rest)]
    : [first, ...withJsonFile(argv.slice(1))]
}

function wholeNumber(name: string, text: string | number, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new Error(`--${name} wants a whole number from 1 to ${most}`)
}

function cellsOf(only: string | undefined): readonly CellName[] {
  const names = only?.split(',') ?? CELLS
  const cells = CELLS.filter((cell) => names.includes(cell))
  if (cells.length === names.length) return cells
  throw new Error(`--only wants some of ${CELLS.join(', ')}`)
}

/** Names of our own candidates, which others may not take. */
const TAKEN = /^(direct|nginx|gateway.*)$/

function otherGateway(text: string): OtherGateway {
  const [, name = '', address = ''] = /^([^=]+)=(.+)$/.exec(text) ?? []
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol !== 'http:') throw new Error('--gateway wants NAME=URL, and the URL http://')
  if (TAKEN.test(name)) throw new Error(`--gateway cannot be named ${name}: a candidate of ours is`)
  const path = url.pathname.replace(/\/+$/, '')
  return {
    name,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port || 80),
    base: path === '' ? '/v1' : path,
  }
}
