/** One request of a client at work: asks servers on its behalf, and writes each call into the record. */
import type { McpCall, McpFacts, McpOperation } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { formatTraceparent, newSpanId } from '../core/trace-context.ts'
import type { McpCaller } from './authorization.ts'
import type { Target } from './backend.ts'
import { isFailure, type JsonObject, type RpcRequest, type RpcResponse } from './json-rpc.ts'
import type { Link } from './link.ts'
import { cursorOf, entriesOf, type ListKind } from './lists.ts'
import { textOf } from './operation.ts'
import type { Relay } from './peer.ts'
import { Refusal, refusalOfAll } from './refusal.ts'
import type { Session } from './session.ts'
import { type Delivery, TargetError } from './transport.ts'
import type { UnderWay } from './under-way.ts'

/** All that a request brings with it. */
export interface CallContext {
  /** The client's. */
  readonly headers: Headers
  readonly caller: Omit<McpCaller, 'methodName'>
  /** Another request's, once that carries what is still under way. */
  facts: McpFacts
  /** The client's stream for this request. */
  readonly relay: Relay
  readonly trace: {
    readonly sampled: boolean
    readonly traceId: string
    readonly received: string | undefined
    readonly state: string | undefined
  }
  /** Before the first target is called. */
  readonly onCalling: () => void
}

export interface Opened {
  readonly link: Link
  readonly result: JsonObject
}

/** Pages of one server that are read to know all its names. */
const MAX_PAGES = 64
/** What a list may take, whatever calls may: one silent server is not to hold up the others' lists. */
const LIST_TIMEOUT_MS = 30_000

export class Asking {
  readonly session: Session
  readonly request: RpcRequest
  readonly operation: McpOperation
  readonly context: CallContext
  readonly #underWay: UnderWay

  constructor(
    session: Session,
    request: RpcRequest,
    operation: McpOperation,
    context: CallContext,
    underWay: UnderWay,
  ) {
    this.session = session
    this.request = request
    this.operation = operation
    this.context = context
    this.#underWay = underWay
  }

  forward(link: Link, params: JsonObject | undefined): Promise<RpcResponse> {
    return this.call(link, params, this.session.targetOf(link)?.requestTimeoutMs ?? 0)
  }

  /** Connects to all; by the failure mode, some may be missing. */
  open(): Promise<Opened[]> {
    return this.all(this.session.links, async (link) => {
      const call = this.#begin(link, this.request.method)
      return this.#record(link, call, async () => ({
        link,
        result: await this.#underWay.unlessGivenUp(
          link.ensureOpen(this.context.headers, this.#delivery(call)),
        ),
      }))
    }).then((answers) => answers.map(([, opened]) => opened))
  }

  async call(
    link: Link,
    params: JsonObject | undefined,
    timeoutMs: number,
    method = this.request.method,
  ): Promise<RpcResponse> {
    this.#underWay.check()
    const call = this.#begin(link, method)
    return this.#record(link, call, async () => {
      const asked = link.request({
        method,
        params,
        delivery: this.#delivery(call),
        relay: this.context.relay,
        timeoutMs,
        check: () => this.#underWay.check(),
        onSent: (id) => this.#underWay.add(link, id),
      })
      const response = await this.#underWay.unlessGivenUp(asked)
      if (isFailure(response)) {
        call.errorType = 'mcp_error'
        call.errorCode = response.error.code
        call.errorMessage = response.error.message
      } else if (method === 'tools/call' && response.result.isError === true) {
        call.errorType = 'tool_error'
        call.errorMessage = textOf(response.result)
      }
      return { ...response, id: this.request.id }
    })
  }

  /** One page of one server's list. */
  async page(
    link: Link,
    kind: ListKind,
    params: JsonObject | undefined,
    cursor: string | undefined,
  ): Promise<JsonObject> {
    await this.#underWay.unlessGivenUp(link.ensureOpen(this.context.headers))
    // A server that has none of this kind may not know the method either.
    if (link.capabilities[kind.capability] === undefined) return { [kind.member]: [] }
    const asked = cursor === undefined ? params : { ...params, cursor }
    const response = await this.call(link, asked, this.listTimeoutMs(link), kind.method)
    if (!isFailure(response)) return response.result
    const { code, message, data } = response.error
    throw new Refusal(200, code, message, { type: 'mcp_error', data })
  }

  async allEntries(link: Link, kind: ListKind): Promise<JsonObject[]> {
    const entries: JsonObject[] = []
    let cursor: string | undefined
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page = await this.page(link, kind, {}, cursor)
      entries.push(...entriesOf(page, kind))
      cursor = cursorOf(page)
      if (cursor === undefined) break
    }
    return entries
  }

  listTimeoutMs(link: Link): number {
    const own = this.session.targetOf(link)?.requestTimeoutMs ?? 0
    return own === 0 ? LIST_TIMEOUT_MS : Math.min(own, LIST_TIMEOUT_MS)
  }

  /** By the backend's failure mode: the answers of all, or of those that can be had, as long as somebody can. */
  async all<T>(links: readonly Link[], ask: (link: Link) => Promise<T>): Promise<[Link, T][]> {
    const settled = await Promise.allSettled(links.map(ask))
    const answers: [Link, T][] = []
    const failures: unknown[] = []
    for (const [index, one] of settled.entries()) {
      const link = links[index]
      if (link !== undefined && one.status === 'fulfilled') answers.push([link, one.value])
      else if (one.status === 'rejected') failures.push(one.reason)
    }
    const { failureMode } = this.session.backend.spec
    if (failures.length > 0 && (failureMode === 'failClosed' || answers.length === 0))
      throw refusalOfAll(failures[0], failureMode)
    return answers
  }

  async #record<T>(link: Link, call: McpCall, work: () => Promise<T>): Promise<T> {
    this.context.onCalling()
    try {
      return await work()
    } catch (error) {
      if (error instanceof TargetError) {
        call.errorType = error.type
        call.errorMessage = error.message
      }
      throw error
    } finally {
      call.endedAt = performance.now()
      call.sessionId = link.upstreamSessionId
    }
  }

  #begin(link: Link, method: string): McpCall {
    const call = newCall(this.operation, method, link.target, this.session.targetOf(link))
    this.context.facts.calls.push(call)
    return call
  }

  /** An unrecorded trace goes on as it came: the server must not look for a parent that nobody will ever see. */
  #delivery(call: McpCall): Delivery {
    const { headers, trace } = this.context
    const traceparent = trace.sampled ? formatTraceparent(trace.traceId, call.spanId, true) : trace.received
    return { headers, traceparent, tracestate: trace.state, call }
  }
}

function newCall(operation: McpOperation, method: string, name: string, target: Target | undefined): McpCall {
  return {
    spanId: newSpanId(),
    operation,
    method,
    target: name,
    endpoint: target?.endpoint ?? '',
    transport: target?.transport ?? 'tcp',
    startedAt: performance.now(),
    connectMs: undefined,
    endedAt: undefined,
    status: undefined,
    sessionId: undefined,
    errorType: undefined,
    errorCode: undefined,
    errorMessage: undefined,
  }
}
