/** The results as text, and as Markdown. */
import { boundText, valueText } from './aims.ts'
import { type Cell, isInvalid, judgedAims, type Results } from './results.ts'
import type { CellName } from './settings.ts'
import { markdownTable, NONE, number, percent, type Table, textTable } from './table.ts'

const TITLES: Readonly<Record<CellName, string>> = {
  saturation: 'Saturation',
  store: 'What the request store takes',
  workers: 'Workers',
  latency: 'Latency at a fixed rate',
  streams: 'Event streams',
  'held-streams': 'Streams held open',
  'large-prompts': 'Small requests beside large prompts',
  scrape: 'Scrape of the metrics',
  start: 'Start and rest',
  'mcp-latency': 'MCP tool calls',
  'mcp-memory': 'Memory of idle MCP sessions',
}

/** More than this share of the CPUs in other hands, and queues in front of them decide the latencies. */
const MUCH = 0.05
/** Of the reasons for which a cell does not count. */
const MAX_REASONS = 6

export function report(results: Results): string {
  return [
    textTable({ head: [], rows: circumstances(results), ofWords: true }).replaceAll(/^ {2}/gm, ''),
    ...warnings(results).map((warning) => `${warning}\n`),
    ...results.cells.map((cell) => {
      const notes = notesOn(cell).map((note) => `  ${note}\n`)
      const table = 'table' in cell ? textTable(cell.table) : ''
      return `\n${titleOf(cell)}\n${notes.join('')}${table}`
    }),
    `\nAims\n${textTable(aimTable(results))}`,
    ...losses(
      results,
      (text) => `\n${text}\n`,
      (loss) => `  ${loss}\n`,
    ),
  ].join('')
}

export function markdown(results: Results): string {
  return [
    '# Benchmark\n\n',
    markdownTable({ head: ['', ''], rows: circumstances(results), ofWords: true }),
    ...warnings(results).map((warning) => `\n**${warning}**\n`),
    '\n## Aims\n\n',
    markdownTable(aimTable(results)),
    ...results.cells.map((cell) => {
      const notes = notesOn(cell).map((note) => `\n${note}\n`)
      const table = 'table' in cell ? `\n${markdownTable(cell.table)}` : ''
      return `\n## ${titleOf(cell)}\n${notes.join('')}${table}`
    }),
    ...losses(
      results,
      (text) => `\n## ${text}\n\n`,
      (loss) => `- ${loss}\n`,
    ),
  ].join('')
}

function circumstances({ machine, settings, tookSeconds, othersShare }: Results): string[][] {
  const { pinned } = machine
  const places =
    pinned === undefined
      ? 'nothing is pinned: proxy, load generator and upstream compete'
      : `proxy alone on CPU ${pinned.proxy}, load generator on ${pinned.load}, upstream on ${pinned.upstream}`
  const others = settings.others.map(({ name, host, port }) => `${name} (${host}:${port})`)
  return [
    ['machine', `${machine.cores} cores, ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.system}`],
    [
      'others',
      `load average before: ${number(machine.loadAverage, 2)}; other programs took ${percent(othersShare)} of these CPUs`,
    ],
    [
      'versions',
      `agentgateway ${machine.gateway}, Node ${machine.node}, nginx ${machine.nginx ?? NONE}, wrk ${machine.wrk ?? NONE}`,
    ],
    ['places', places],
    [
      'gateway',
      'one process; metrics, JSON access log into a file, 10% of traces to an OTLP receiver, request store on disk',
    ],
    ...(others.length === 0
      ? []
      : [['beside', `${others.join(', ')}: as found, not pinned by this benchmark`]]),
    [
      'settings',
      `${settings.seconds} s per measurement, ${settings.rounds} rounds in shuffled order; took ${number(tookSeconds)} s`,
    ],
    ['figures', 'median of the rounds (min to max); differences and ratios are of the same round'],
  ]
}

function warnings({ settings, othersShare }: Results): string[] {
  return [
    ...((othersShare ?? 0) > MUCH
      ? ['NOT ALONE: other programs ran too; requests per second and latencies tell of them as well']
      : []),
    ...(settings.quick ? ['--quick: shows that it runs; the figures are no measurement'] : []),
  ]
}

const titleOf = (cell: Cell) => `${TITLES[cell.name]}${isInvalid(cell) ? ': INVALID' : ''}`

function notesOn(cell: Cell): string[] {
  if ('skipped' in cell) return [`skipped: ${cell.skipped}`]
  const reasons = cell.invalid.slice(0, MAX_REASONS)
  const more = cell.invalid.length - reasons.length
  return [
    cell.about,
    ...reasons.map((reason) => `INVALID, not the candidate was measured: ${reason}`),
    ...(more > 0 ? [`and ${more} more reasons, in the JSON`] : []),
    ...cell.dropped.map((reason) => `left out: ${reason}`),
    ...(cell.doubtful ?? []).slice(0, MAX_REASONS).map((reason) => `no figure of p99 counts: ${reason}`),
  ]
}

function aimTable(results: Results): Table {
  return {
    ofWords: true,
    head: ['', 'aim', 'wanted', 'measured', ''],
    rows: judgedAims(results).map((aim) => [
      aim.verdict,
      aim.what,
      boundText(aim),
      aim.verdict === 'not measured' ? NONE : valueText(aim),
      aim.note ?? '',
    ]),
  }
}

function losses(
  { cells }: Results,
  title: (text: string) => string,
  line: (loss: string) => string,
): string[] {
  const found = cells.flatMap((cell) => ('behind' in cell && !isInvalid(cell) ? (cell.behind ?? []) : []))
  return found.length === 0 ? [] : [title('Where nginx is ahead'), ...found.map(line)]
}
