/** `npm run bench`: the gateway beside its upstream and beside nginx, in one run on one machine. */
import { parseArgs } from 'node:util'
import { aims } from './aims.ts'
import { now } from './clock.ts'
import { coldStart } from './cold-start.ts'
import { latency } from './latency.ts'
import { describeMachine } from './machine.ts'
import { mcpLatency } from './mcp-latency.ts'
import { mcpMemory } from './mcp-memory.ts'
import { watchOthers } from './measure.ts'
import { memory } from './memory.ts'
import { openStage } from './processes.ts'
import { report } from './report.ts'
import type { Results } from './results.ts'
import { saturation } from './saturation.ts'
import { CELLS, type CellName, type Settings } from './settings.ts'
import { streams } from './streams.ts'
import { type Setup, startCollector } from './targets.ts'

const SECONDS = 2
const ROUNDS = 5

const HELP = `Measures the gateway against its upstream and against nginx, in one run.

Usage
  npm run bench -- [--seconds N] [--rounds N] [--only CELLS] [--quick] [--json]

Options
      --seconds N  length of each measurement (default ${SECONDS})
      --rounds N   rounds of each cell, in shuffled order (default ${ROUNDS}); the table shows medians
      --only CELLS some of ${CELLS.join(', ')}
      --quick      one round of one second: shows that it runs, measures nothing
      --json       results as JSON on standard output
  -h, --help       this text

Uses nginx, wrk and taskset where they are installed. Takes about six minutes unless told otherwise.
How to read the result: docs/benchmarks.md
`

type Asked = { readonly json: boolean; readonly cells: readonly CellName[] } & Omit<Settings, 'progress'>

function parse(argv: readonly string[]): Asked | 'help' | { readonly wrong: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return 'help'
    const seconds = Number(values.seconds ?? (values.quick ? 1 : SECONDS))
    const rounds = Number(values.rounds ?? (values.quick ? 1 : ROUNDS))
    for (const [name, value] of Object.entries({ seconds, rounds })) {
      if (!Number.isInteger(value) || value < 1 || value > 600) {
        return { wrong: `--${name} wants a whole number from 1 to 600` }
      }
    }
    const names = values.only?.split(',') ?? CELLS
    const cells = CELLS.filter((cell) => names.includes(cell))
    if (cells.length < names.length) return { wrong: `--only wants some of ${CELLS.join(', ')}` }
    return { seconds, rounds, quick: values.quick, json: values.json, cells }
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) }
  }
}

async function run(asked: Asked): Promise<Results> {
  const begun = now()
  const progress = (message: string) => {
    process.stderr.write(`${((now() - begun) / 1000).toFixed(0).padStart(4)} s  ${message}\n`)
  }
  const settings: Settings = { ...asked, progress }
  const stage = openStage()
  try {
    const machine = describeMachine(stage)
    const othersShare = watchOthers(stage)
    const setup = { stage, collectorPort: await startCollector(stage) }
    const cell = async <T>(name: CellName, measure: (setup: Setup, settings: Settings) => Promise<T>) =>
      asked.cells.includes(name) ? measure(setup, settings) : undefined
    return {
      machine,
      settings: {
        seconds: asked.seconds,
        rounds: asked.rounds,
        quick: asked.quick,
        cells: asked.cells,
      },
      saturation: await cell('saturation', saturation),
      latency: await cell('latency', latency),
      streams: await cell('streams', streams),
      memory: await cell('memory', memory),
      coldStart: await cell('cold-start', coldStart),
      mcpLatency: await cell('mcp-latency', mcpLatency),
      mcpMemory: await cell('mcp-memory', mcpMemory),
      tookSeconds: (now() - begun) / 1000,
      othersShare: othersShare(),
    }
  } finally {
    await stage.close()
  }
}

const asked = parse(process.argv.slice(2))
if (asked === 'help') process.stdout.write(HELP)
else if ('wrong' in asked) {
  process.stderr.write(`bench: ${asked.wrong}\nTry npm run bench -- --help\n`)
  process.exitCode = 2
} else {
  try {
    const results = await run(asked)
    process.stdout.write(
      asked.json ? `${JSON.stringify({ ...results, aims: aims(results) }, undefined, 2)}\n` : report(results),
    )
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
