/**
 * A target that speaks 2026-07-28, to a session that speaks what came before: each request says who asks, a question
 * comes as a result that has to be asked again with the answer, and changes are told on a request that never ends.
 */
import type { Headers } from '../core/headers.ts'
import {
  isFailure,
  isObject,
  type JsonObject,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import { legacyResult, META, MODERN_VERSION } from './modern-wire.ts'
import { type Peer, type PeerRequest, type Relay, withMeta } from './peer.ts'
import { type ClientIdentity, TargetError } from './transport.ts'

export interface ModernTargetOptions {
  readonly target: string
  readonly peer: Peer
  readonly identity: () => ClientIdentity
  readonly ask: (
    question: RpcRequest,
    relay: Relay | undefined,
    answer: (response: RpcResponse) => void,
  ) => void
}

/** Questions in a row of one request. */
const MAX_ROUNDS = 20
const AGAIN_MS = 5000

/** Who asks, in every request. */
export function envelope(identity: ClientIdentity, logLevel: unknown): JsonObject {
  return {
    [META.version]: MODERN_VERSION,
    [META.clientInfo]: identity.clientInfo,
    [META.capabilities]: identity.capabilities,
    ...(logLevel !== undefined && { [META.logLevel]: logLevel }),
  }
}

export class ModernTarget {
  readonly #options: ModernTargetOptions
  readonly #subscriptions = new Set<string>()
  #logLevel: unknown
  #lastQuestion = 0
  /** The id of the request that brings changes. */
  #listening: number | undefined
  #headers: Headers | undefined
  #again: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: ModernTargetOptions) {
    this.#options = options
  }

  async exchange(request: PeerRequest): Promise<RpcResponse> {
    const { method, params } = request
    switch (method) {
      case 'ping':
        return success(0, {})
      case 'logging/setLevel':
        this.#logLevel = params?.level
        return success(0, {})
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return this.#subscribe(method, params, request.delivery.headers)
      default:
        return this.#rounds(request)
    }
  }

  #subscribe(method: string, params: JsonObject | undefined, headers: Headers): RpcResponse {
    const uri = String(params?.uri)
    if (method === 'resources/subscribe') this.#subscriptions.add(uri)
    else this.#subscriptions.delete(uri)
    this.#listenAnew(headers)
    return success(0, {})
  }

  async #rounds(request: PeerRequest): Promise<RpcResponse> {
    let { params } = request
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const meta = envelope(this.#options.identity(), this.#logLevel)
      const response = await this.#options.peer.exchange({ ...request, params: withMeta(params, meta) })
      if (isFailure(response)) return response
      if (response.result.resultType !== 'input_required')
        return { ...response, result: legacyResult(response.result) }
      const { inputRequests, requestState } = response.result
      const inputResponses = await this.#answers(isObject(inputRequests) ? inputRequests : {}, request.relay)
      params = {
        ...request.params,
        ...(Object.keys(inputResponses).length > 0 && { inputResponses }),
        ...(requestState !== undefined && { requestState }),
      }
    }
    throw new TargetError(
      'unexpected_response',
      `target ${this.#options.target} asked ${MAX_ROUNDS} times in a row`,
    )
  }

  async #answers(questions: JsonObject, relay: Relay | undefined): Promise<Record<string, unknown>> {
    const answers: Record<string, unknown> = {}
    await Promise.all(
      Object.entries(questions).map(async ([key, question]) => {
        if (!isObject(question) || typeof question.method !== 'string') return
        const params = isObject(question.params) ? question.params : undefined
        answers[key] = await this.#answer(question.method, params, relay)
      }),
    )
    return answers
  }

  #answer(method: string, params: JsonObject | undefined, relay: Relay | undefined): Promise<JsonObject> {
    const id = `input-${++this.#lastQuestion}`
    return new Promise((resolve, reject) => {
      this.#options.ask({ jsonrpc: '2.0', id, method, ...(params && { params }) }, relay, (response) => {
        if (!isFailure(response)) resolve(response.result)
        else {
          const message = `the client did not answer ${method}: ${response.error.message}`
          reject(new TargetError('mcp_error', message))
        }
      })
    })
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#again)
  }

  listen(headers: Headers): void {
    if (this.#headers === undefined) this.#listenAnew(headers)
  }

  /** What is listened to cannot be changed: the request is made again, and the one before given up. */
  #listenAnew(headers: Headers): void {
    if (this.#isClosed) return
    this.#headers = headers
    const { peer, identity } = this.#options
    const before = this.#listening
    const delivery = { headers, traceparent: undefined, tracestate: undefined, call: undefined }
    const notifications = {
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      ...(this.#subscriptions.size > 0 && { resourceSubscriptions: [...this.#subscriptions] }),
    }
    const params = { notifications, _meta: envelope(identity(), undefined) }
    const again = () => {
      clearTimeout(this.#again)
      this.#again = setTimeout(() => this.#listenAnew(headers), AGAIN_MS)
    }
    let own = 0
    peer
      .exchange({
        method: 'subscriptions/listen',
        params,
        delivery,
        relay: undefined,
        timeoutMs: 0,
        onSent: (id) => {
          own = id
          this.#listening = id
        },
      })
      .then(
        (response) => {
          if (!isFailure(response) && this.#listening === own) again()
        },
        (error: unknown) => {
          const isOver = error instanceof TargetError && error.type === 'cancelled'
          if (!isOver && this.#listening === own) again()
        },
      )
    if (before !== undefined) peer.cancel(before, delivery, 'listening to something else')
  }
}
