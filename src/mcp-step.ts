/** A request that is for MCP servers, as `mcp/` wants it, with what `mcp/` is lent of it. */
import type { IncomingMessage } from 'node:http'
import type { Exchange } from './core/exchange.ts'
import type { TraceContext } from './core/trace-context.ts'
import { isObject } from './mcp/json-rpc.ts'
import type { McpRequest, TraceOfCaller } from './mcp/request.ts'
import { McpAnswer, type McpAnswerOptions } from './mcp-answer.ts'
import type { RequestHead } from './policies/policy.ts'

type TraceContextFor = (traceparent: unknown, tracestate: unknown) => TraceContext

export interface McpStepOptions extends McpAnswerOptions {
  readonly request: IncomingMessage
  readonly head: RequestHead
  readonly body: Buffer
  /** Where the client's connection arrived. */
  readonly localAddress: string
  /** For the client, until its request was there. */
  readonly waitedMs: number
  readonly traceContextFor: TraceContextFor
}

export function mcpStep(options: McpStepOptions): {
  readonly answer: McpAnswer
  readonly request: McpRequest
} {
  const { exchange, request, head, body, localAddress, waitedMs, traceContextFor } = options
  const answer = new McpAnswer(options)
  const facts = { sessionId: undefined, protocolVersion: undefined, operations: [], calls: [] }
  exchange.mcp = facts
  return {
    answer,
    request: {
      method: exchange.method,
      path: exchange.path,
      query: exchange.query,
      headers: head.headers,
      caller: head.caller,
      jwt: head.jwt,
      body,
      scheme: exchange.scheme,
      host: exchange.host,
      localAddress,
      clientAddress: exchange.clientAddress,
      facts,
      port: answer,
      traceOf: (meta) => traceOfCaller(exchange, request, isObject(meta) ? meta : {}, traceContextFor),
      onCalling: () => {
        exchange.requestProcessingMs ??= performance.now() - exchange.startedAt - waitedMs
      },
      holdRecord: (until) => answer.hold(until),
    },
  }
}

/** A client may say to which trace a message belongs where HTTP has nothing to say. */
function traceOfCaller(
  exchange: Exchange,
  request: IncomingMessage,
  meta: Readonly<Record<string, unknown>>,
  traceContextFor: TraceContextFor,
): TraceOfCaller {
  const isFromHead = exchange.trace.parentSpanId !== undefined
  if (!isFromHead && meta.traceparent !== undefined)
    exchange.trace = traceContextFor(meta.traceparent, meta.tracestate)
  const { sampled, traceId, parentSpanId, traceState } = exchange.trace
  const said = isFromHead ? request.headers.traceparent : meta.traceparent
  const received = parentSpanId !== undefined && typeof said === 'string' ? said : undefined
  return { sampled, traceId, received, state: traceState }
}
