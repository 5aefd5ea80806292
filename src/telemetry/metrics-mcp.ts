/**
 * MCP messages, told to the metrics when their exchange is finished.
 *
 * A name that no server is known to have is the client's own string and no label: it reads `unknown`.
 */
import type { Exchange, McpOperation } from '../core/exchange.ts'
import { redact } from '../core/redact.ts'
import type { Families } from './metrics-families.ts'

const UNKNOWN = 'unknown'
const NONE = 'none'

/** Requests and notifications of clients, of all revisions of the protocol. */
const METHODS = new Set([
  'completion/complete',
  'initialize',
  'logging/setLevel',
  'notifications/cancelled',
  'notifications/elicitation/complete',
  'notifications/initialized',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/tasks/status',
  'ping',
  'prompts/get',
  'prompts/list',
  'resources/list',
  'resources/read',
  'resources/subscribe',
  'resources/templates/list',
  'resources/unsubscribe',
  'server/discover',
  'subscriptions/listen',
  'tasks/cancel',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/update',
  'tools/call',
  'tools/list',
])

/** `resource_type` of what lists hold. */
const LISTED: ReadonlyMap<string, string> = new Map([
  ['tools/list', 'tool'],
  ['prompts/list', 'prompt'],
  ['resources/list', 'resource'],
  ['resources/templates/list', 'resource_template'],
  ['tasks/list', 'task'],
])

const statusOf = ({ errorType }: McpOperation) =>
  errorType === undefined ? 'ok' : errorType === 'denied' ? 'denied' : 'error'

/** Task ids are made up for each task. */
const resourceOf = ({ resource, resourceConfirmed, resourceType }: McpOperation) =>
  resource !== undefined && resourceConfirmed && resourceType !== 'task' ? redact(resource) : UNKNOWN

/** `added`: values of the labels that the configuration adds. */
export function observeMcp(families: Families, exchange: Exchange, added: readonly string[]): void {
  for (const operation of exchange.mcp?.operations ?? []) {
    observeOperation(families, exchange, operation, added)
    observeLegacy(families, operation)
  }
  for (const { startedAt, endedAt } of exchange.mcp?.calls ?? []) {
    if (endedAt !== undefined)
      families.upstreamCall.child('Primary', 'Mcp').observe((endedAt - startedAt) / 1000)
  }
}

function observeOperation(
  families: Families,
  exchange: Exchange,
  operation: McpOperation,
  added: readonly string[],
): void {
  const { backend = UNKNOWN, bind, listener = UNKNOWN, route = UNKNOWN } = exchange
  const method = METHODS.has(operation.method) ? operation.method : '_other'
  const type = operation.resourceType ?? UNKNOWN
  const server = operation.target ?? UNKNOWN
  const status = statusOf(operation)
  families.mcpRequests
    .child(
      method,
      type,
      server,
      resourceOf(operation),
      status,
      operation.errorType ?? NONE,
      backend,
      bind,
      listener,
      route,
      ...added,
    )
    .inc()
  // A notification has no answer that could be waited for, and who gives a request up does not wait for it.
  if (operation.requestId === undefined || operation.endedAt === undefined) return
  if (operation.errorType === 'cancelled') return
  const ms = operation.endedAt - operation.startedAt
  const at = exchange.startedAtEpochMs + (operation.endedAt - exchange.startedAt)
  const traceId = exchange.trace.sampled ? exchange.trace.traceId : undefined
  families.mcpDuration
    .child(method, type, server, status, backend, bind, listener, route, ...added)
    .observe(ms / 1000, traceId, at)
}

/** What never reached a server counts as no call of it: neither what was denied nor what is not there. */
function observeLegacy(families: Families, operation: McpOperation): void {
  const listed = LISTED.get(operation.method)
  if (listed !== undefined) {
    if (operation.errorType === undefined) families.listCalls.child(listed).inc()
    return
  }
  const { target, errorType } = operation
  if (operation.isInterim) return
  if (target === undefined || errorType === 'denied' || errorType === 'invalid_request') return
  const name = resourceOf(operation)
  switch (operation.method) {
    case 'tools/call':
      families.toolCalls.child(target, name).inc()
      if (errorType !== undefined) families.toolCallErrors.child(target, name, errorType).inc()
      return
    case 'resources/read':
      families.readResourceCalls.child(target, name).inc()
      return
    case 'prompts/get':
      families.getPromptCalls.child(target, name).inc()
      return
    default:
  }
}
