/**
 * `node shared-process.fixture.ts <file>`: a stdio server that says what it is told to say, when it is told to.
 * `hold` is never answered unless `answer` is called with its key; when it is given up, a secret of it is logged.
 * Messages that came in are lines of the file.
 */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

type Message = { id?: unknown; method?: string; params?: Record<string, unknown> }

const file = String(process.argv[2])
const held = new Map<unknown, unknown>()
const say = (message: object) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const text = (id: unknown, said: string) => say({ id, result: { content: [{ type: 'text', text: said }] } })
const log = (data: unknown) => say({ method: 'notifications/message', params: { level: 'info', data } })

function call(id: unknown, name: unknown, args: Record<string, unknown>): unknown {
  switch (name) {
    case 'hold':
      return held.set(args.key, id)
    case 'answer':
      text(held.get(args.key), `held ${String(args.key)}`)
      return text(id, 'answered')
    case 'say':
      log(args.data)
      return text(id, 'said')
    default:
      return text(id, `no ${String(name)}`)
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, method, params = {} } = JSON.parse(line) as Message
    appendFileSync(file, `${line}\n`)
    if (method === 'notifications/cancelled') log('the secret of the call that was given up')
    if (id === undefined || method === undefined) return
    if (method === 'initialize')
      say({
        id,
        result: {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {}, logging: {} },
          serverInfo: { name: 'shared', version: '1' },
        },
      })
    else if (method === 'tools/list') say({ id, result: { tools: [] } })
    else if (method === 'tools/call')
      call(id, params.name, (params.arguments ?? {}) as Record<string, unknown>)
    else say({ id, result: {} })
  })
  .on('close', () => process.exit())
