/**
 * Spans of MCP: the SERVER span takes its name from the message, below it stands one CLIENT span per call of a target.
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
 */
import type { Exchange, McpCall, McpFacts, McpOperation } from '../core/exchange.ts'
import { redact } from '../core/redact.ts'
import {
  type Attributes,
  clip,
  endOf,
  present,
  type SpanRecord,
  safe,
  seconds,
  spanName,
  splitAddress,
  timeOf,
} from './span-parts.ts'

/** Of a batch the first that failed, else the first. */
export const mainOperation = ({ operations }: McpFacts): McpOperation | undefined =>
  operations.find(({ errorType }) => errorType !== undefined) ?? operations[0]

/** `tools/call echo`; a URI is no part of a name, there are too many. */
function operationName({ method, resource, resourceType }: McpOperation, called = method): string {
  if (called !== method) return called
  return redact(spanName(method, resourceType === 'tool' || resourceType === 'prompt' ? resource : undefined))
}

export function mcpServerName(mcp: McpFacts): string | undefined {
  const operation = mainOperation(mcp)
  return operation && operationName(operation)
}

function operationAttributes(operation: McpOperation): Attributes {
  const { method, resource, resourceType, requestId } = operation
  return present({
    'mcp.method.name': clip(redact(method)),
    'jsonrpc.request.id': requestId === undefined ? undefined : String(requestId),
    'gen_ai.operation.name': method === 'tools/call' ? 'execute_tool' : undefined,
    'gen_ai.tool.name': resourceType === 'tool' ? clip(safe(resource)) : undefined,
    'gen_ai.prompt.name': resourceType === 'prompt' ? clip(safe(resource)) : undefined,
    'mcp.resource.uri': resourceType === 'resource' ? clip(safe(resource)) : undefined,
  })
}

export function mcpServerAttributes(mcp: McpFacts): Attributes {
  const { sessionId, protocolVersion, operations } = mcp
  const operation = mainOperation(mcp)
  return {
    ...(operation && operationAttributes(operation)),
    ...present({
      'mcp.session.id': clip(sessionId),
      'mcp.protocol.version': protocolVersion,
      'agentgateway.mcp.target': operation?.target,
      'agentgateway.mcp.messages': operations.length > 1 ? operations.length : undefined,
      'network.transport': 'tcp',
      // Of the operation: the exchange itself may well have been a 200.
      ...(operation?.errorType !== undefined && { 'error.type': operation.errorType }),
      'rpc.response.status_code':
        operation?.errorCode === undefined ? undefined : String(operation.errorCode),
    }),
  }
}

export function mcpCallSpan(exchange: Exchange, call: McpCall): SpanRecord {
  const { operation, transport, errorType } = call
  const address = transport === 'tcp' ? splitAddress(call.endpoint) : undefined
  return {
    name: operationName(operation, call.method),
    kind: 'client',
    traceId: exchange.trace.traceId,
    spanId: call.spanId,
    parentSpanId: exchange.trace.spanId,
    startTime: timeOf(exchange, call.startedAt),
    endTime: timeOf(exchange, Math.max(call.startedAt, call.endedAt ?? endOf(exchange))),
    attributes: {
      ...(call.method === operation.method
        ? operationAttributes(operation)
        : { 'mcp.method.name': call.method }),
      ...present({
        'agentgateway.backend': exchange.backend,
        'agentgateway.mcp.target': call.target,
        'mcp.session.id': clip(call.sessionId),
        'network.transport': transport,
        'server.address': address?.address ?? (transport === 'pipe' ? clip(call.endpoint) : undefined),
        'server.port': address?.port,
        'http.response.status_code': call.status,
        'rpc.response.status_code': call.errorCode === undefined ? undefined : String(call.errorCode),
        'error.type': errorType,
        'agentgateway.connect_time': call.connectMs === undefined ? undefined : seconds(call.connectMs),
      }),
    },
    events: [],
    // A client that gives up is no error of the server.
    error:
      errorType === undefined || errorType === 'cancelled' ? undefined : { message: safe(call.errorMessage) },
  }
}
