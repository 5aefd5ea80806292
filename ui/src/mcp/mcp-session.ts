/**
 * An MCP client over streamable HTTP, as much of it as a tool runner needs.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
 *
 * It offers no capability, so servers have nothing to ask it; what they tell while a call runs is handed out.
 */
import { readEvents } from '../api/sse.ts'
import { isObject, type JsonObject, parseJson, read, readList, readNumber, readText } from '../format/json.ts'

const PROTOCOL_VERSION = '2025-11-25'
/** A server that names ever new pages must not keep us forever. */
const PAGES_AT_MOST = 50

export interface McpTool {
  readonly name: string
  readonly title: string | undefined
  readonly description: string
  readonly inputSchema: JsonObject
  readonly annotations: JsonObject
}

export interface McpAnswer {
  readonly result: unknown
  readonly traceId: string | undefined
  readonly durationMs: number
  readonly notifications: readonly JsonObject[]
}

export interface McpSession {
  readonly serverName: string
  readonly protocolVersion: string
  listTools(signal?: AbortSignal): Promise<readonly McpTool[]>
  callTool(name: string, args: JsonObject, signal?: AbortSignal): Promise<McpAnswer>
  /** Ends the session at the gateway; never throws. */
  close(): Promise<void>
}

export interface McpConnection {
  readonly url: string
  readonly headers: () => Readonly<Record<string, string>>
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly now: () => number
}

/** The server's refusal, with its JSON-RPC code where it gave one. */
export class McpError extends Error {
  override readonly name = 'McpError'
  readonly code: number | undefined
  readonly traceId: string | undefined

  constructor(message: string, code: number | undefined, traceId: string | undefined) {
    super(message)
    this.code = code
    this.traceId = traceId
  }
}

export async function openMcpSession(connection: McpConnection, signal?: AbortSignal): Promise<McpSession> {
  let sessionId: string | undefined
  let protocolVersion: string | undefined
  let lastId = 0

  async function post(message: JsonObject, by?: AbortSignal): Promise<Response> {
    const response = await connection.fetch(connection.url, {
      method: 'POST',
      headers: {
        ...connection.headers(),
        accept: 'application/json, text/event-stream',
        ...(sessionId !== undefined && { 'mcp-session-id': sessionId }),
        ...(protocolVersion !== undefined && { 'mcp-protocol-version': protocolVersion }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      ...(by !== undefined && { signal: by }),
    })
    sessionId = response.headers.get('mcp-session-id') ?? sessionId
    return response
  }

  async function ask(method: string, params: JsonObject, by?: AbortSignal): Promise<McpAnswer> {
    lastId += 1
    const startedAt = connection.now()
    const response = await post({ id: lastId, method, params }, by)
    const traceId = response.headers.get('x-trace-id') ?? undefined
    const { message, notifications } = await answerTo(lastId, response)
    const durationMs = connection.now() - startedAt
    const error = read(message, 'error')
    if (error !== undefined) {
      throw new McpError(
        readText(error, 'message') ?? 'The server gave no reason.',
        readNumber(error, 'code'),
        traceId,
      )
    }
    if (message === undefined) throw new McpError(await refusal(response), undefined, traceId)
    return { result: message.result, traceId, durationMs, notifications }
  }

  async function listTools(by?: AbortSignal): Promise<readonly McpTool[]> {
    const tools: McpTool[] = []
    let cursor: string | undefined
    for (let page = 0; page < PAGES_AT_MOST; page += 1) {
      const { result } = await ask('tools/list', cursor === undefined ? {} : { cursor }, by)
      tools.push(...readList(result, 'tools').flatMap(toolOf))
      cursor = readText(result, 'nextCursor')
      if (cursor === undefined) break
    }
    return tools
  }

  async function close() {
    if (sessionId === undefined) return
    const headers = { ...connection.headers(), 'mcp-session-id': sessionId }
    // The page may be going away: the browser finishes this by itself.
    await connection
      .fetch(connection.url, { method: 'DELETE', headers, keepalive: true })
      .catch(() => undefined)
  }

  const { result } = await ask(
    'initialize',
    {
      protocolVersion: PROTOCOL_VERSION,
      capabilities: {},
      clientInfo: { name: 'agentgateway-console', version: '1' },
    },
    signal,
  )
  protocolVersion = readText(result, 'protocolVersion') ?? PROTOCOL_VERSION
  const accepted = await post({ method: 'notifications/initialized' }, signal)
  await accepted.body?.cancel()

  return {
    serverName: readText(result, 'serverInfo', 'name') ?? 'MCP server',
    protocolVersion,
    listTools,
    callTool: (name, args, by) => ask('tools/call', { name, arguments: args }, by),
    close,
  }
}

interface Received {
  readonly message: JsonObject | undefined
  readonly notifications: readonly JsonObject[]
}

/** The answer to one request, whether it comes as JSON or at the end of a stream. */
async function answerTo(id: number, response: Response): Promise<Received> {
  const notifications: JsonObject[] = []
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  if (!isStream || response.body === null) {
    const body = parseJson(await response.clone().text())
    const message = [body].flat().find((one) => isObject(one) && (one.id === id || isObject(one.error)))
    return { message: isObject(message) ? message : undefined, notifications }
  }
  for await (const { data } of readEvents(response.body)) {
    const message = parseJson(data)
    if (!isObject(message)) continue
    if (message.id === id && message.method === undefined) return { message, notifications }
    if (typeof message.method === 'string') notifications.push(message)
  }
  return { message: { error: { message: 'The stream ended before the answer.' } }, notifications }
}

async function refusal(response: Response): Promise<string> {
  const text = await response.text()
  const body = parseJson(text)
  const said = readText(body, 'error', 'message') ?? readText(body, 'error') ?? text.slice(0, 500)
  return `The gateway answered ${response.status}${said === '' ? '' : `: ${said}`}`
}

function toolOf(tool: unknown): readonly McpTool[] {
  const name = readText(tool, 'name')
  if (name === undefined) return []
  const schema = read(tool, 'inputSchema')
  const annotations = read(tool, 'annotations')
  return [
    {
      name,
      title: readText(tool, 'title') ?? readText(annotations, 'title'),
      description: readText(tool, 'description') ?? '',
      inputSchema: isObject(schema) ? schema : {},
      annotations: isObject(annotations) ? annotations : {},
    },
  ]
}
