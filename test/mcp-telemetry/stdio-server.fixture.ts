/**
 * A process that speaks MCP and says what the gateway wrote to it: `meta` returns the call's `_meta`, `late` answers after
 * a while and says when it was asked and when it answered, `fail` and `throw` fail in the two ways there are.
 */
import { createInterface } from 'node:readline'

interface Message {
  readonly id?: string | number
  readonly method?: string
  readonly params?: {
    readonly name?: string
    readonly protocolVersion?: string
    readonly arguments?: { readonly ms?: number }
    readonly _meta?: unknown
  }
}

const now = () => performance.timeOrigin + performance.now()
const write = (id: Message['id'], answer: object) =>
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer })}\n`)
const text = (value: unknown, more: object = {}) => ({
  result: { content: [{ type: 'text', text: JSON.stringify(value) }], ...more },
})

function callAnswer({ params }: Message, askedAt: number): object {
  switch (params?.name) {
    case 'meta':
      return text(params._meta ?? null)
    case 'late':
      return text({ askedAt, answeredAt: now() })
    case 'fail':
      return text('it went wrong', { isError: true })
    case 'throw':
      return { error: { code: -32050, message: 'thrown' } }
    default:
      return { error: { code: -32602, message: `Unknown tool: ${params?.name}` } }
  }
}

function answer(message: Message, askedAt: number): object {
  switch (message.method) {
    case 'initialize':
      return {
        result: {
          protocolVersion: message.params?.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: 'pipe', version: '1' },
        },
      }
    case 'tools/list':
      return {
        result: {
          tools: ['meta', 'late', 'fail', 'throw'].map((name) => ({ name, inputSchema: { type: 'object' } })),
        },
      }
    case 'tools/call':
      return callAnswer(message, askedAt)
    case 'ping':
      return { result: {} }
    default:
      return { error: { code: -32601, message: 'Method not found' } }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Message
  if (message.id === undefined || message.method === undefined) continue
  const askedAt = now()
  setTimeout(() => write(message.id, answer(message, askedAt)), message.params?.arguments?.ms ?? 0)
}
