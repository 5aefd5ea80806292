/**
 * A stdio server that does as it is told, for good or ill: run by node with the name of a way to start.
 * Written without an SDK, since no SDK would send any of this.
 */
import { createInterface } from 'node:readline'

type Message = { id?: unknown; method?: string; params?: Record<string, unknown>; result?: unknown }

const mode = process.argv[2] ?? 'well'
const heard: string[] = []
const held = new Map<unknown, unknown>()
let answersToRoots = 0
let rootsWanted: { id: unknown; count: number } | undefined

const write = (text: string) => new Promise<void>((resolve) => process.stdout.write(text, () => resolve()))
const say = (message: object) => write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const text = (id: unknown, said: string) => say({ id, result: { content: [{ type: 'text', text: said }] } })

const TOOLS = [
  ...[
    'echo',
    'secret',
    'arguments',
    'report',
    'hold',
    'release',
    'garbage',
    'half',
    'huge',
    'exit',
    'stderr',
  ],
  ...['flood', 'twice', 'stranger', 'ask', 'bare', 'proto', 'never', 'numberError', 'environment'],
]

const tools: Record<string, (id: unknown, args: Record<string, unknown>) => unknown> = {
  echo: (id, { message }) => text(id, String(message)),
  secret: (id) => text(id, 'the secret'),
  arguments: (id, args) => text(id, JSON.stringify(args)),
  report: (id) => text(id, JSON.stringify(heard)),
  environment: (id) => text(id, JSON.stringify(process.env)),
  hold: (id, { key }) => held.set(key, id),
  never: () => {},
  release: async (id, { key }) => {
    await text(held.get(key), `held ${String(key)}`)
    held.delete(key)
    await text(id, 'released')
  },
  async garbage(id) {
    await write(
      'no JSON\n\n\u0000\u0001\n[1,2\n{}\n[]\nnull\n"text"\n17\n{"jsonrpc":"2.0"}\n{"jsonrpc":"2.0","id":{}}\n',
    )
    await write(Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0x0a]).toString('latin1'))
    await text(id, 'after garbage')
    await write('more garbage\n')
  },
  async half(id) {
    const line = `${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'hälf' }] } })}\n`
    // Byte by byte, so that a character is divided as well.
    for (const byte of Buffer.from(line)) {
      await new Promise<void>((resolve) => process.stdout.write(Buffer.from([byte]), () => resolve()))
      await new Promise((resolve) => setImmediate(resolve))
    }
  },
  huge: (id, { bytes }) => text(id, 'x'.repeat(Number(bytes))),
  exit: (_id, { code }) => process.exit(Number(code ?? 3)),
  async stderr(id, { bytes }) {
    const piece = `${'e'.repeat(1023)}\n`.repeat(1024)
    for (let written = 0; written < Number(bytes); written += piece.length)
      await new Promise<void>((resolve) => process.stderr.write(piece, () => resolve()))
    await text(id, 'stderr done')
  },
  async flood(id, { count, bytes }) {
    const data = 'n'.repeat(Number(bytes ?? 10))
    for (let index = 0; index < Number(count); index++)
      await say({ method: 'notifications/message', params: { level: 'info', data } })
    await text(id, 'flooded')
  },
  async twice(id) {
    await text(id, 'first')
    await text(id, 'second')
  },
  async stranger(id) {
    await text(987_654_321, 'nobody asked')
    await text('agw_nobody_n_1', 'nobody asked')
    await say({ id: null, result: {} })
    await text(id, 'own')
  },
  async ask(id, { count }) {
    rootsWanted = { id, count: Number(count) }
    answersToRoots = 0
    for (let index = 0; index < Number(count); index++) await say({ id: `q${index}`, method: 'roots/list' })
  },
  bare: (id, { value }) => say({ id, result: value ?? null }),
  numberError: (id) => say({ id, error: 5 }),
  proto: (id) =>
    write(
      `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"p"}],` +
        '"structuredContent":{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"hasOwnProperty":1}}}\n',
    ),
}

const CAPABILITIES = {
  tools: { listChanged: true },
  prompts: {},
  resources: { subscribe: true },
  completions: {},
  logging: {},
}

function initialize(id: unknown, params: Record<string, unknown>): unknown {
  const result = {
    protocolVersion: params.protocolVersion,
    capabilities: CAPABILITIES,
    serverInfo: { name: 'hostile', version: '1' },
  }
  switch (mode) {
    case 'silent':
      return undefined
    case 'noVersion':
      return say({ id, result: { capabilities: {} } })
    case 'numberVersion':
      return say({ id, result: { ...result, protocolVersion: 7 } })
    case 'textResult':
      return say({ id, result: 'welcome' })
    case 'wrongId':
      return say({ id: 'another', result })
    case 'error':
      return say({ id, error: { code: -32000, message: 'not today' } })
    case 'exitAtInitialize':
      return process.exit(4)
    case 'garbageBefore':
      return write('Server starting…\n{"level":"info"}\n').then(() => say({ id, result }))
    default:
      return say({ id, result })
  }
}

const resource = (uri: string) => ({ uri, name: uri })

const methods: Record<string, (id: unknown, params: Record<string, unknown>) => unknown> = {
  initialize,
  ping: (id) => say({ id, result: {} }),
  'logging/setLevel': (id) => say({ id, result: {} }),
  'tools/list': (id) =>
    say({ id, result: { tools: TOOLS.map((name) => ({ name, inputSchema: { type: 'object' } })) } }),
  'tools/call': (id, { name, arguments: args }) => {
    const tool = Object.hasOwn(tools, String(name)) ? tools[String(name)] : undefined
    if (tool === undefined)
      return say({ id, error: { code: -32602, message: `Unknown tool: ${String(name)}` } })
    return tool(id, (args ?? {}) as Record<string, unknown>)
  },
  'prompts/list': (id) => say({ id, result: { prompts: [{ name: 'open' }, { name: 'closed' }] } }),
  'prompts/get': (id, { name }) =>
    ['open', 'closed'].includes(String(name))
      ? say({ id, result: { messages: [{ role: 'user', content: { type: 'text', text: String(name) } }] } })
      : say({ id, error: { code: -32602, message: `Unknown prompt: ${String(name)}` } }),
  'resources/list': (id) =>
    say({ id, result: { resources: [resource('memo:open'), resource('memo:closed')] } }),
  'resources/templates/list': (id) =>
    say({ id, result: { resourceTemplates: [{ uriTemplate: 'memo:{x}', name: 'memo' }] } }),
  'resources/read': (id, { uri }) =>
    ['memo:open', 'memo:closed'].includes(String(uri))
      ? say({ id, result: { contents: [{ uri, text: String(uri) }] } })
      : say({ id, error: { code: -32002, message: `Resource not found: ${String(uri)}` } }),
  'resources/subscribe': (id) => say({ id, result: {} }),
  'resources/unsubscribe': (id) => say({ id, result: {} }),
  'completion/complete': (id) => say({ id, result: { completion: { values: ['all'] } } }),
}

async function answer({ id, method, params }: Message): Promise<void> {
  if (method === undefined) {
    answersToRoots++
    if (rootsWanted !== undefined && answersToRoots === rootsWanted.count)
      await text(rootsWanted.id, `answered ${answersToRoots}`)
    return
  }
  if (id === undefined) return
  const known = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (known === undefined) await say({ id, error: { code: -32601, message: `no ${method}` } })
  else await known(id, params ?? {})
}

if (mode === 'exit') process.exit(1)
if (mode === 'stubborn') {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  setInterval(() => {}, 1000)
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line) as Message
  const { method = 'answer', params } = message
  heard.push(
    method === 'notifications/cancelled' ? `cancelled ${String(params?.reason ?? '')}`.trim() : method,
  )
  void answer(message)
})
