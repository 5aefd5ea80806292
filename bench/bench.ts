/** `npm run bench`: the gateway beside its upstream, nginx and other gateways, in one run on one machine. */
import { writeFileSync } from 'node:fs'
import { type Asked, HELP, parse } from './arguments.ts'
import type { Measure } from './cell.ts'
import { heldStreams } from './cells/held-streams.ts'
import { largePrompts } from './cells/large-prompts.ts'
import { latency } from './cells/latency.ts'
import { mcpLatency } from './cells/mcp-latency.ts'
import { mcpMemory } from './cells/mcp-memory.ts'
import { saturation } from './cells/saturation.ts'
import { scrape } from './cells/scrape.ts'
import { start } from './cells/start.ts'
import { store } from './cells/store.ts'
import { streams } from './cells/streams.ts'
import { workers } from './cells/workers.ts'
import { now } from './clock.ts'
import { describeMachine } from './machine.ts'
import { watchOthers } from './measure.ts'
import { openStage } from './processes.ts'
import { markdown, report } from './report.ts'
import { type Cell, exitStatus, judgedAims, type Results } from './results.ts'
import type { CellName } from './settings.ts'
import { startCollector } from './targets.ts'

const MEASURES: Readonly<Record<CellName, Measure>> = {
  saturation,
  store,
  workers,
  latency,
  streams,
  'held-streams': heldStreams,
  'large-prompts': largePrompts,
  scrape,
  start,
  'mcp-latency': mcpLatency,
  'mcp-memory': mcpMemory,
}

async function run(asked: Asked): Promise<Results> {
  const begun = now()
  const seconds = () => (now() - begun) / 1000
  const stage = openStage()
  try {
    const machine = describeMachine(stage)
    const othersShare = watchOthers(stage)
    const setup = { stage, collectorPort: await startCollector(stage) }
    const cells: Cell[] = []
    for (const name of asked.cells) {
      const progress = (message: string) => {
        process.stderr.write(`${seconds().toFixed(0).padStart(4)} s  ${name}: ${message}\n`)
      }
      cells.push({ name, ...(await MEASURES[name](setup, { ...asked, progress })) })
    }
    const { rounds, quick, others } = asked
    return {
      machine,
      settings: { seconds: asked.seconds, rounds, quick, cells: asked.cells, others },
      cells,
      tookSeconds: seconds(),
      othersShare: othersShare(),
    }
  } finally {
    await stage.close()
  }
}

function write(results: Results, { json, markdownFile }: Asked): void {
  const data = `${JSON.stringify({ ...results, aims: judgedAims(results) }, undefined, 2)}\n`
  if (markdownFile !== undefined) writeFileSync(markdownFile, markdown(results))
  if (json === 'standard output') process.stdout.write(data)
  else {
    if (json !== undefined) writeFileSync(json.file, data)
    process.stdout.write(report(results))
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
    write(results, asked)
    process.exitCode = exitStatus(results)
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
