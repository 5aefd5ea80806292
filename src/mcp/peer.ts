/**
 * JSON-RPC over one transport, with ids of our own: who waits for which answer, and whose progress is whose.
 */
import {
  isNotification,
  isRequest,
  type JsonObject,
  metaOf,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import { asTargetError, type Delivery, TargetError, type Transport } from './transport.ts'

/** Takes what a server says while it works on a request: the client's stream for that request. */
export interface Relay {
  readonly send: (message: RpcMessage) => void
  /** Takes a question, where questions go another way than everything else. */
  readonly ask?: (question: RpcRequest, answer: (response: RpcResponse) => void) => void
}

export interface PeerRequest {
  readonly method: string
  readonly params: JsonObject | undefined
  readonly delivery: Delivery
  readonly relay: Relay | undefined
  /** 0 = no limit. Progress starts it anew. */
  readonly timeoutMs: number
  /** Throws when nobody wants it any more. */
  readonly check?: () => void
  /** Learns the id under which the target knows the request. */
  readonly onSent?: (id: number) => void
}

export interface PeerEvents {
  /** `relay`: where the client hears of it, when it is known to belong to a request. */
  readonly onRequest: (request: RpcRequest, relay: Relay | undefined) => void
  readonly onNotification: (notification: RpcNotification, relay: Relay | undefined) => void
}

interface Pending {
  readonly relay: Relay | undefined
  /** As the client chose it. */
  readonly progressToken: RequestId | undefined
  readonly settle: (response: RpcResponse | TargetError) => void
  readonly touch: () => void
}

const MAX_ABANDONED = 1000

export class Peer {
  readonly #target: string
  readonly #transport: Transport
  readonly #events: PeerEvents
  readonly #pending = new Map<RequestId, Pending>()
  /** Given up, and perhaps still worked on: what the server says may be of them. */
  readonly #abandoned = new Set<RequestId>()
  readonly #nextId: () => number
  #idle: (() => void) | undefined

  /** `nextId`: over all connections to a target no id comes twice, so that a late cancellation hits nobody else's. */
  constructor(target: string, transport: Transport, events: PeerEvents, nextId: () => number) {
    this.#target = target
    this.#nextId = nextId
    this.#transport = transport
    this.#events = events
  }

  exchange(request: PeerRequest): Promise<RpcResponse> {
    const id = this.#nextId()
    const { delivery, relay, timeoutMs, method } = request
    const token = metaOf(request.params)?.progressToken
    const progressToken = typeof token === 'string' || typeof token === 'number' ? token : undefined
    const params = withMeta(request.params, {
      // Tokens of several clients may meet at one server: there they are ours.
      ...(progressToken !== undefined && { progressToken: id }),
      ...(delivery.traceparent !== undefined && {
        traceparent: delivery.traceparent,
        // Of another trace, perhaps.
        tracestate: delivery.tracestate,
      }),
    })
    return new Promise((resolve, reject) => {
      const late = () => {
        settle(
          new TargetError('timeout', `target ${this.#target} did not answer ${method} in ${timeoutMs} ms`),
        )
        this.#tellCancelled(id, delivery, 'timeout')
      }
      let timer = timeoutMs === 0 ? undefined : setTimeout(late, timeoutMs)
      const settle = (response: RpcResponse | TargetError) => {
        clearTimeout(timer)
        timer = undefined
        if (!this.#pending.delete(id)) return
        if (this.#pending.size === 0) this.#idle?.()
        if (response instanceof TargetError) reject(response)
        else resolve(response)
      }
      this.#pending.set(id, { relay, progressToken, settle, touch: () => timer?.refresh() })
      request.onSent?.(id)
      this.#transport
        .send({ jsonrpc: '2.0', id, method, ...(params && { params }) }, delivery)
        .catch((error: unknown) => settle(asTargetError(error)))
    })
  }

  received(message: RpcMessage, answering: RequestId | undefined): void {
    if (isRequest(message)) {
      if (message.method === 'ping') this.send(success(message.id, {}), {})
      else this.#events.onRequest(message, this.#relayOf(answering))
    } else if (isNotification(message)) this.#notified(message, answering)
    else if (message.id !== null) {
      const { id } = message
      // Servers have been seen to answer 1 with "1".
      const pending = this.#pending.get(id) ?? this.#pending.get(Number(id))
      pending?.settle(message)
      this.#abandoned.delete(id)
    }
  }

  #notified(notification: RpcNotification, answering: RequestId | undefined): void {
    const { params } = notification
    if (notification.method !== 'notifications/progress') {
      this.#events.onNotification(notification, this.#relayOf(answering))
      return
    }
    const token = params?.progressToken
    const isToken = typeof token === 'number' || typeof token === 'string'
    const pending = isToken ? this.#pending.get(Number(token)) : undefined
    if (pending?.progressToken === undefined) return
    pending.touch()
    pending.relay?.send({ ...notification, params: { ...params, progressToken: pending.progressToken } })
  }

  #relayOf(answering: RequestId | undefined): Relay | undefined {
    return answering === undefined ? undefined : this.#pending.get(answering)?.relay
  }

  /** Of the requests under way the only one that the server can be speaking of, if there is only one. */
  onlyRelay(): Relay | undefined {
    const [only, another] = this.#pending.values()
    return another === undefined && this.#abandoned.size === 0 ? only?.relay : undefined
  }

  /** Those of the requests under way, the latest last. */
  relays(): readonly Relay[] {
    return [...this.#pending.values()].flatMap(({ relay }) => (relay === undefined ? [] : [relay]))
  }

  lost(id: RequestId, error: TargetError): void {
    this.#pending.get(id)?.settle(error)
  }

  /** The client gave the request up. The server hears of it; whatever it still answers goes nowhere. */
  cancel(id: number, delivery: Delivery, reason: string | undefined): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#tellCancelled(id, delivery, reason)
    pending.settle(new TargetError('cancelled', reason ?? 'the client cancelled the request'))
  }

  #tellCancelled(id: number, delivery: Delivery, reason: string | undefined): void {
    const params = { requestId: id, ...(reason !== undefined && { reason }) }
    if (this.#abandoned.size < MAX_ABANDONED) this.#abandoned.add(id)
    this.#transport
      .send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }, { ...delivery, call: undefined })
      .catch(() => {})
      .finally(() => this.#transport.abandon(id))
  }

  /** Calls back once nothing is under way. */
  whenIdle(listener: () => void): void {
    if (this.#pending.size === 0) listener()
    else this.#idle = listener
  }

  /** A message to which no answer is expected. */
  send(message: RpcMessage, headers: Delivery['headers']): void {
    this.#transport
      .send(message, { headers, traceparent: undefined, tracestate: undefined, call: undefined })
      .catch(() => {})
  }

  failAll(error: TargetError): void {
    for (const pending of [...this.#pending.values()]) pending.settle(error)
  }
}

export function withMeta(params: JsonObject | undefined, added: JsonObject): JsonObject | undefined {
  if (Object.keys(added).length === 0) return params
  return { ...params, _meta: { ...metaOf(params), ...added } }
}
