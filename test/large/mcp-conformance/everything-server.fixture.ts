/**
 * A process of its own: a server, made with the official SDK, that has all that the conformance suite looks for.
 * `stdio`, or `streamableHttp`, which prints its port.
 *
 * server-everything lacks most of it, so that the suite says little about what lies in front of that.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import {
  type EventStore,
  StreamableHTTPServerTransport,
} from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  type JSONRPCMessage,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import {
  callTool,
  getPrompt,
  prompts,
  readResource,
  resources,
  resourceTemplates,
  tools,
} from './everything-tools.ts'

function everythingServer(): Server {
  const server = new Server(
    { name: 'conformance-everything', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
    },
  )
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: tools() }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
    callTool(params.name, params.arguments ?? {}, extra),
  )
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: resources() }))
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: resourceTemplates(),
  }))
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => readResource(params.uri))
  server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: prompts() }))
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
    getPrompt(params.name, params.arguments ?? {}),
  )
  server.setRequestHandler(CompleteRequestSchema, () => ({
    completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false },
  }))
  return server
}

/** The SDK's own example sorts events of one millisecond by chance. */
function eventStore(): EventStore {
  const events: { readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }[] = []
  return {
    async storeEvent(stream, message) {
      const id = `${stream}_${events.length}`
      events.push({ id, stream, message })
      return id
    },
    async replayEventsAfter(lastEventId, { send }) {
      const from = events.findIndex(({ id }) => id === lastEventId)
      const { stream } = events[from] ?? {}
      if (stream === undefined) return ''
      for (const event of events.slice(from + 1))
        if (event.stream === stream) await send(event.id, event.message)
      return stream
    },
  }
}

const RETRY_MS = 200

function streamableHttp(): void {
  const transports = new Map<string, StreamableHTTPServerTransport>()

  async function open(): Promise<StreamableHTTPServerTransport> {
    const { port } = listener.address() as AddressInfo
    const hosts = [`127.0.0.1:${port}`, `localhost:${port}`]
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        transports.set(id, transport)
      },
      onsessionclosed: (id) => {
        transports.delete(id)
      },
      eventStore: eventStore(),
      retryInterval: RETRY_MS,
      enableDnsRebindingProtection: true,
      allowedHosts: hosts,
      allowedOrigins: hosts.map((host) => `http://${host}`),
    })
    await everythingServer().connect(transport)
    return transport
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = request.headers['mcp-session-id']?.toString()
    if (id === undefined) {
      await (await open()).handleRequest(request, response)
      return
    }
    const transport = transports.get(id)
    if (transport === undefined) {
      response.writeHead(404).end()
      return
    }
    sayNegotiatedVersion(request)
    await transport.handleRequest(request, response)
  }

  const listener = createServer((request, response) => {
    handle(request, response).catch((error) => response.destroy(error))
  })
  listener.listen(0, '127.0.0.1', () => console.log((listener.address() as AddressInfo).port))
}

/**
 * `server-sse-polling` agrees on 2025-11-25 and then says 2025-03-26 in the head of its requests. The SDK would believe
 * the head, and keep back what came with 2025-11-25 and what the scenario looks for.
 */
function sayNegotiatedVersion({ rawHeaders }: IncomingMessage): void {
  const at = rawHeaders.findIndex(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'mcp-protocol-version',
  )
  if (at >= 0) rawHeaders[at + 1] = '2025-11-25'
}

if (process.argv[2] === 'stdio') await everythingServer().connect(new StdioServerTransport())
else streamableHttp()
