/** The command line: what was asked for, or why it makes no sense. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { workerCount, workerThreads } from '../core/schema.ts'
import { MCP_PERSONAS } from '../demo/mcp-server.ts'
import { type Addresses, HOPS, type HopName } from '../doctor/hops.ts'

export type Command =
  | {
      readonly name: 'run'
      readonly source: ConfigChoice
      /** Undefined: as the configuration says. */
      readonly workers: number | undefined
      readonly validateOnly: boolean
      readonly json: boolean
    }
  | { readonly name: 'demo'; readonly once: boolean; readonly json: boolean; readonly port: number }
  | { readonly name: 'demo-providers'; readonly host: string; readonly port: number }
  | { readonly name: 'demo-mcp-server'; readonly server: string }
  | { readonly name: 'demo-traffic'; readonly gatewayUrl: string; readonly rate: number }
  | ({ readonly name: 'doctor' } & DoctorChoice)
  | { readonly name: 'migrate'; readonly file: string; readonly output: string | undefined }
  | { readonly name: 'import'; readonly file: string; readonly output: string | undefined }
  | { readonly name: 'help' }
  | { readonly name: 'version'; readonly short: boolean }
  | { readonly name: 'usage'; readonly message: string }

export interface DoctorChoice {
  /** Those that were given. */
  readonly addresses: Partial<Addresses>
  readonly skip: readonly HopName[]
  readonly model: string | undefined
  /** Undefined when none was given. */
  readonly timeoutMs: number | undefined
  readonly json: boolean
}

/** `file` `-` is standard input. */
export type ConfigChoice =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'default' }

type Values = ReturnType<typeof parse>['values']

interface Syntax {
  readonly options: readonly (keyof Values)[]
  readonly read: (values: Values) => Command
}

/** By their words on the command line; without any it is `run`. */
const COMMANDS: Readonly<Record<string, Syntax>> = {
  run: { options: ['file', 'config', 'workers', 'validate-only', 'json'], read: readRun },
  demo: { options: ['port', 'once', 'json'], read: readDemo },
  'demo providers': { options: ['host', 'port'], read: readDemoProviders },
  'demo mcp-server': { options: ['name'], read: readDemoMcpServer },
  'demo traffic': { options: ['gateway', 'rate'], read: readDemoTraffic },
  doctor: {
    options: [
      ...(['gateway', 'metrics', 'console', 'prometheus', 'collector', 'jaeger', 'grafana'] as const),
      ...(['skip', 'model', 'timeout', 'json'] as const),
    ],
    read: readDoctor,
  },
  migrate: { options: ['file', 'output'], read: readMigrate },
  import: { options: ['from', 'file', 'output'], read: readImport },
}

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

  const words = positionals.length === 0 ? ['run'] : positionals
  const name = [words.slice(0, 2), words.slice(0, 1)]
    .map((some) => some.join(' '))
    .find((some) => Object.hasOwn(COMMANDS, some))
  const command = name === undefined ? undefined : COMMANDS[name]
  if (name === undefined || command === undefined)
    return usage(`unknown command: ${words[0]} (expected one of ${Object.keys(COMMANDS).join(', ')})`)
  const extra = words.slice(name.split(' ').length)
  if (extra.length > 0) return usage(`unexpected argument: ${extra.join(' ')}`)
  const foreign = (Object.keys(values) as (keyof Values)[]).find(
    (option) => !command.options.includes(option),
  )
  if (foreign !== undefined) {
    const owners = Object.keys(COMMANDS).filter((owner) => COMMANDS[owner]?.options.includes(foreign))
    return usage(
      `--${foreign} is an option of ${new Intl.ListFormat('en-GB').format(owners)}, not of ${name}`,
    )
  }
  return command.read(values)
}

function readRun(values: Values): Command {
  const { file, config } = values
  if (file !== undefined && config !== undefined) return usage('-f and -c exclude each other')
  const source: ConfigChoice =
    file !== undefined
      ? { kind: 'file', file }
      : config !== undefined
        ? { kind: 'inline', text: config }
        : { kind: 'default' }
  const workers = values.workers === undefined ? undefined : workerThreads.safeParse(values.workers)
  if (workers?.success === false)
    return usage(`--workers ${values.workers}: ${workers.error.issues[0]?.message}`)
  return {
    name: 'run',
    source,
    workers: workers && workerCount(workers.data, availableParallelism()),
    validateOnly: values['validate-only'] === true,
    json: values.json === true,
  }
}

const isPort = (text: string, highest = 65535) => /^\d{1,5}$/.test(text) && Number(text) <= highest

function readDemo(values: Values): Command {
  const port = values.port ?? '3000'
  if (!isPort(port)) return usage(`--port ${port}: expected a number from 0 to 65535`)
  return { name: 'demo', once: values.once === true, json: values.json === true, port: Number(port) }
}

function readDemoProviders(values: Values): Command {
  const port = values.port ?? '9101'
  // Anthropic's is the next one.
  if (!isPort(port, 65534)) return usage(`--port ${port}: expected a number from 0 to 65534`)
  return { name: 'demo-providers', host: values.host ?? '127.0.0.1', port: Number(port) }
}

function readDemoMcpServer(values: Values): Command {
  const server = values.name ?? MCP_PERSONAS[0] ?? ''
  if (!MCP_PERSONAS.includes(server))
    return usage(`--name ${server}: expected one of ${MCP_PERSONAS.join(', ')}`)
  return { name: 'demo-mcp-server', server }
}

function readDemoTraffic(values: Values): Command {
  const gateway = URL.parse(values.gateway ?? 'http://localhost:3000')
  if (gateway === null || !/^https?:$/.test(gateway.protocol))
    return usage(`--gateway ${values.gateway}: expected http://host:port`)
  const rate = Number(values.rate ?? 2)
  if (!(rate > 0 && rate <= 1000))
    return usage(`--rate ${values.rate}: expected a number above 0, at most 1000`)
  return { name: 'demo-traffic', gatewayUrl: gateway.href.replace(/\/$/, ''), rate }
}

function readMigrate({ file, output }: Values): Command {
  return file === undefined ? usage('migrate needs -f FILE') : { name: 'migrate', file, output }
}

function readImport({ from, file, output }: Values): Command {
  if (from !== 'litellm') return usage('import needs --from litellm')
  return file === undefined ? usage('import needs -f FILE') : { name: 'import', file, output }
}

const PLACES = ['gateway', 'metrics', 'console', 'prometheus', 'jaeger', 'grafana'] as const
const HOST_AND_PORT = /^(\[[\da-f:.]+\]|[^\s:/@[\]]+):(\d{1,5})$/i
const LONGEST_TIMEOUT_SECONDS = 3600

function readDoctor(values: Values): Command {
  const addresses: Partial<Record<keyof Addresses, string>> = {}
  for (const place of PLACES) {
    const address = values[place]
    if (address === undefined) continue
    const url = URL.parse(address)
    if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
      return usage(`--${place}: expected http://host:port`)
    addresses[place] = address
  }
  const { collector, model } = values
  if (collector !== undefined) {
    const port = HOST_AND_PORT.exec(collector)?.[2]
    if (port === undefined || !isPort(port)) return usage('--collector: expected host:port, without http://')
    addresses.collector = collector
  }
  const skip: HopName[] = []
  for (const word of values.skip?.flatMap((list) => list.split(',')) ?? []) {
    const hop = HOPS.find((name) => name === word.trim())
    if (hop === undefined) return usage(`--skip ${word}: expected some of ${HOPS.join(', ')}`)
    skip.push(hop)
  }
  const { timeout } = values
  const seconds = timeout?.trim() === '' ? Number.NaN : Number(timeout ?? 1)
  if (!(seconds > 0 && seconds <= LONGEST_TIMEOUT_SECONDS))
    return usage(`--timeout ${timeout}: expected seconds, more than 0, at most ${LONGEST_TIMEOUT_SECONDS}`)
  const timeoutMs = timeout === undefined ? undefined : seconds * 1000
  if (model?.trim() === '') return usage('--model: expected a name')
  return { name: 'doctor', addresses, skip, model, timeoutMs, json: values.json === true }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      file: { type: 'string', short: 'f' },
      config: { type: 'string', short: 'c' },
      workers: { type: 'string' },
      'validate-only': { type: 'boolean' },
      once: { type: 'boolean' },
      port: { type: 'string' },
      host: { type: 'string' },
      name: { type: 'string' },
      gateway: { type: 'string' },
      rate: { type: 'string' },
      metrics: { type: 'string' },
      console: { type: 'string' },
      prometheus: { type: 'string' },
      collector: { type: 'string' },
      jaeger: { type: 'string' },
      grafana: { type: 'string' },
      skip: { type: 'string', multiple: true },
      model: { type: 'string' },
      timeout: { type: 'string' },
      json: { type: 'boolean' },
      from: { type: 'string' },
      output: { type: 'string', short: 'o' },
      help: { type: 'boolean', short: 'h' },
      V: { type: 'boolean', short: 'V' },
      version: { type: 'boolean' },
    },
  })
}
