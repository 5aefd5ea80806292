/** `subscriptions/listen` of 2026-07-28: a request whose answer are the changes that the client wants to hear of. */
import type { McpFacts } from '../core/exchange.ts'
import type { CallContext } from './asking.ts'
import {
  isFailure,
  isObject,
  type JsonObject,
  metaOf,
  type RequestId,
  RPC_ERRORS,
  type RpcNotification,
  type RpcRequest,
  success,
} from './json-rpc.ts'
import { META } from './modern-wire.ts'
import { beginOperation } from './operation.ts'
import { perform } from './perform.ts'
import { Refusal } from './refusal.ts'
import { callContext, type Serving } from './request.ts'
import type { Session } from './session.ts'
import { UnderWay } from './under-way.ts'

interface Filter {
  readonly toolsListChanged: boolean
  readonly promptsListChanged: boolean
  readonly resourcesListChanged: boolean
  readonly resourceSubscriptions: readonly string[]
}

function filterOf(params: JsonObject | undefined): Filter | undefined {
  const wanted = params?.notifications
  if (!isObject(wanted)) return undefined
  const uris = wanted.resourceSubscriptions ?? []
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string')) return undefined
  return {
    toolsListChanged: wanted.toolsListChanged === true,
    promptsListChanged: wanted.promptsListChanged === true,
    resourcesListChanged: wanted.resourcesListChanged === true,
    resourceSubscriptions: uris,
  }
}

function accepts(filter: Filter, { method, params }: RpcNotification): boolean {
  switch (method) {
    case 'notifications/tools/list_changed':
      return filter.toolsListChanged
    case 'notifications/prompts/list_changed':
      return filter.promptsListChanged
    case 'notifications/resources/list_changed':
      return filter.resourcesListChanged
    case 'notifications/resources/updated':
      return typeof params?.uri === 'string' && filter.resourceSubscriptions.includes(params.uri)
    default:
      return false
  }
}

const stamped = (notification: RpcNotification, id: RequestId): RpcNotification => ({
  ...notification,
  params: { ...notification.params, _meta: { ...metaOf(notification.params), [META.subscription]: id } },
})

/** Ends with the client's connection. Throws `Refusal`. */
export async function listen(
  serving: Serving,
  session: Session,
  message: RpcRequest,
  serverInfo: JsonObject,
): Promise<void> {
  const { port, facts } = serving.request
  const filter = filterOf(message.params)
  if (filter === undefined)
    throw new Refusal(
      400,
      RPC_ERRORS.invalidParams,
      'Invalid params: notifications must be a subscription filter',
    )
  const operation = beginOperation(facts, message.method, message.id)
  const stream = session.openStream()
  const context = callContext(serving, session, stream, message)
  await Promise.allSettled(session.links.map((link) => link.ensureOpen(context.headers)))
  const subscribed = await subscribe(session, filter.resourceSubscriptions, context)
  try {
    operation.endedAt = performance.now()
    if (!port.isOpen()) return
    const sink = port.openEvents({})
    stream.attach(sink)
    const honoured = { ...filter, resourceSubscriptions: subscribed }
    const notifications = Object.fromEntries(
      Object.entries(honoured).filter(
        ([, value]) => value === true || (Array.isArray(value) && value.length > 0),
      ),
    )
    const method = 'notifications/subscriptions/acknowledged'
    stream.send(stamped({ jsonrpc: '2.0', method, params: { notifications } }, message.id))
    const hear = (notification: RpcNotification) => {
      if (accepts(honoured, notification)) stream.send(stamped(notification, message.id))
    }
    session.listeners.add(hear)
    session.watches.add(stream)
    session.listen(context.headers)
    stream.onEnd(() => {
      const _meta = { [META.subscription]: message.id, [META.serverInfo]: serverInfo }
      stream.send(success(message.id, { resultType: 'complete', _meta }))
    })
    await new Promise<void>((resolve) => port.onClosed(resolve))
    stream.detach(sink)
    session.listeners.delete(hear)
    session.watches.delete(stream)
  } finally {
    session.closeStream(stream)
    await unsubscribe(session, subscribed, context)
  }
}

/** Those of the resources whose changes the caller may hear of and the server tells. Each is judged for each caller. */
async function subscribe(session: Session, uris: readonly string[], context: CallContext): Promise<string[]> {
  const done: string[] = []
  for (const uri of new Set(uris))
    if (await tell(session, 'resources/subscribe', uri, context)) done.push(uri)
  for (const uri of done) session.subscribers.set(uri, (session.subscribers.get(uri) ?? 0) + 1)
  return done
}

async function unsubscribe(session: Session, uris: readonly string[], context: CallContext): Promise<void> {
  for (const uri of uris) {
    const count = (session.subscribers.get(uri) ?? 1) - 1
    if (count > 0) session.subscribers.set(uri, count)
    else {
      session.subscribers.delete(uri)
      await tell(session, 'resources/unsubscribe', uri, context)
    }
  }
}

/** Of the gateway's own accord: no operation of the client's, so in a record of its own that nobody reads. */
async function tell(session: Session, method: string, uri: string, context: CallContext): Promise<boolean> {
  const facts: McpFacts = { sessionId: undefined, protocolVersion: undefined, operations: [], calls: [] }
  const request: RpcRequest = { jsonrpc: '2.0', id: 0, method, params: { uri } }
  const { response } = await perform(session, request, { ...context, facts }, new UnderWay())
  return response !== undefined && !isFailure(response)
}
