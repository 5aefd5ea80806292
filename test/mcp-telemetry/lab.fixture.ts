/** What the tests of MCP's telemetry share: clients of three kinds, raw messages of 2026-07-28, spans in their tree. */
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { Collector, Span } from '../support/collector.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { connectClient } from '../support/mcp.ts'
import type { Json } from '../support/mcp-lab.ts'

export const STDIO_SERVER = fileURLToPath(new URL('stdio-server.fixture.ts', import.meta.url))

export const CLIENT_KINDS = ['streamable', 'sse', '2026-07-28'] as const
export type ClientKind = (typeof CLIENT_KINDS)[number]

interface CalledTool {
  readonly name: string
  readonly arguments: Json
  readonly _meta?: Json
}

/** What the official clients of both generations have in common. */
export interface AnyClient {
  readonly callTool: (tool: CalledTool, onprogress?: () => void) => Promise<unknown>
  readonly listTools: () => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export async function connect(
  kind: ClientKind,
  url: string,
  headers: Record<string, string> = {},
): Promise<AnyClient> {
  if (kind !== '2026-07-28') {
    const client = await connectClient(url, kind, {}, headers)
    return {
      callTool: (tool, onprogress) =>
        client.callTool(tool, undefined, onprogress === undefined ? {} : { onprogress }),
      listTools: () => client.listTools(),
      close: () => client.close(),
    }
  }
  const client = new Client(
    { name: 'modern-test', version: '1.0.0' },
    { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  )
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }))
  return {
    callTool: (tool, onprogress) => client.callTool(tool, onprogress === undefined ? {} : { onprogress }),
    listTools: () => client.listTools(),
    close: () => client.close(),
  }
}

/** A request of 2026-07-28 and the headers that go with it. */
export function modern(id: number | string, method: string, params: Json = {}) {
  const name = params.name ?? params.uri
  return {
    message: {
      jsonrpc: '2.0',
      id,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          ...(params._meta as Json | undefined),
        },
      },
    },
    headers: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name !== undefined && { 'mcp-name': String(name) }),
    },
  }
}

export const childrenOf = (spans: readonly Span[], parent: Span | undefined) =>
  spans.filter(({ parentSpanId }) => parent !== undefined && parentSpanId === parent.spanId)

export const serverSpans = (spans: readonly Span[]) => spans.filter(({ kind }) => kind === 'server')

/** Closing sends what there is, without the second that it would wait for more. */
export async function spansAtEnd(gateway: RunningGateway, collector: Collector): Promise<readonly Span[]> {
  await gateway.close()
  return collector.spans
}
