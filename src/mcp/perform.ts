/**
 * What a client's request means here: which servers it goes to, under which names, and what becomes of their answers.
 */
import type { McpCall, McpFacts, McpOperation, McpResourceType } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { formatTraceparent, newSpanId } from '../core/trace-context.ts'
import type { McpCaller } from './authorization.ts'
import type { Target } from './backend.ts'
import {
  failure,
  isFailure,
  isObject,
  type JsonObject,
  RPC_ERRORS,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import type { Link } from './link.ts'
import { cursorOf, decodeCursors, encodeCursors, entriesOf, LIST_KINDS, type ListKind } from './lists.ts'
import {
  contentsForClient,
  promptForClient,
  splitId,
  splitName,
  splitUri,
  toolResultForClient,
} from './names.ts'
import type { Relay } from './peer.ts'
import { Refusal, refusalOf, refusalOfAll, unknownResource } from './refusal.ts'
import type { Session, UnderWay } from './session.ts'
import { type Delivery, TargetError } from './transport.ts'

/** All that a request brings with it. */
export interface CallContext {
  /** The client's. */
  readonly headers: Headers
  readonly caller: Omit<McpCaller, 'methodName'>
  readonly facts: McpFacts
  /** The client's stream for this request. */
  readonly relay: Relay
  readonly trace: {
    readonly sampled: boolean
    readonly traceId: string
    readonly received: string | undefined
  }
  /** Before the first target is called. */
  readonly onCalling: () => void
  /** What servers work on for the client. */
  readonly underWay: UnderWay[]
}

export interface Performed {
  /** Undefined when the client gave the request up: nobody waits. */
  readonly response: RpcResponse | undefined
  readonly status: number
  readonly headers: Headers
}

/** Pages of one server that are read to know all its names. */
const MAX_PAGES = 64
/** What a list may take, whatever calls may: one silent server is not to hold up the others' lists. */
const LIST_TIMEOUT_MS = 30_000
/** A name that is not there is looked for anew, but not with every request. */
const FRESH_MS = 1000

export function beginOperation(
  facts: McpFacts,
  method: string,
  requestId: string | number | undefined,
): McpOperation {
  const operation: McpOperation = {
    method,
    requestId,
    startedAt: performance.now(),
    endedAt: undefined,
    resourceType: undefined,
    resource: undefined,
    resourceConfirmed: false,
    target: undefined,
    errorType: undefined,
    errorCode: undefined,
    errorMessage: undefined,
  }
  facts.operations.push(operation)
  return operation
}

/** Carries the request out and writes into the record what became of it. Never rejects. */
export async function perform(
  session: Session,
  request: RpcRequest,
  context: CallContext,
): Promise<Performed> {
  const operation = beginOperation(context.facts, request.method, request.id)
  const work = new Work(session, request, operation, context)
  try {
    const response = await work.run()
    if (isFailure(response)) note(operation, 'mcp_error', response.error.code, response.error.message)
    else if (request.method === 'tools/call' && response.result.isError === true)
      note(operation, 'tool_error', undefined, textOf(response.result))
    return { response, status: 200, headers: {} }
  } catch (error) {
    return refused(operation, request, error)
  } finally {
    operation.endedAt = performance.now()
    if (session.history !== undefined) session.underWay.delete(request.id)
  }
}

export function refused(operation: McpOperation, request: RpcRequest, error: unknown): Performed {
  const refusal =
    error instanceof Refusal
      ? error
      : error instanceof TargetError
        ? refusalOf(error)
        : new Refusal(500, RPC_ERRORS.internal, 'internal error', { type: 'internal', cause: error })
  note(operation, refusal.type, refusal.code, refusal.message)
  const { status, headers, code, message, data } = refusal
  const isGivenUp = refusal.type === 'cancelled'
  return { response: isGivenUp ? undefined : failure(request.id, code, message, data), status, headers }
}

function note(
  operation: McpOperation,
  type: McpOperation['errorType'],
  code: number | undefined,
  message: string | undefined,
): void {
  operation.errorType = type
  operation.errorCode = code
  operation.errorMessage = message
}

/** The first words of a tool's complaint. */
function textOf(result: JsonObject): string | undefined {
  const [first] = Array.isArray(result.content) ? result.content : []
  return isObject(first) && typeof first.text === 'string' ? first.text.slice(0, 500) : undefined
}

interface Place {
  readonly link: Link
  /** As the server knows it. */
  readonly name: string
}

class Work {
  readonly #session: Session
  readonly #request: RpcRequest
  readonly #operation: McpOperation
  readonly #context: CallContext

  constructor(session: Session, request: RpcRequest, operation: McpOperation, context: CallContext) {
    this.#session = session
    this.#request = request
    this.#operation = operation
    this.#context = context
  }

  async run(): Promise<RpcResponse> {
    const { id, method } = this.#request
    const list = LIST_KINDS.get(method)
    if (list !== undefined) return success(id, await this.#list(list))
    switch (method) {
      case 'ping':
        return success(id, {})
      case 'tools/call':
        return this.#callTool()
      case 'prompts/get':
        return this.#getPrompt()
      case 'resources/read':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return this.#resource()
      case 'completion/complete':
        return this.#complete()
      case 'logging/setLevel':
        return this.#setLevel()
      case 'tasks/get':
      case 'tasks/result':
      case 'tasks/cancel':
      case 'tasks/update':
        return this.#task()
      default:
        return this.#unknown()
    }
  }

  #refuse(message: string): Refusal {
    return new Refusal(400, RPC_ERRORS.invalidParams, message)
  }

  #text(key: string): string {
    const value = this.#request.params?.[key]
    if (typeof value !== 'string') throw this.#refuse(`${this.#request.method} needs params.${key}: a string`)
    return value
  }

  async #callTool(): Promise<RpcResponse> {
    const { link, name } = await this.#placeOfName('tool', this.#text('name'))
    const response = await this.#forward(link, { ...this.#request.params, name })
    return this.#mapped(link, response, toolResultForClient)
  }

  async #getPrompt(): Promise<RpcResponse> {
    const { link, name } = await this.#placeOfName('prompt', this.#text('name'))
    const response = await this.#forward(link, { ...this.#request.params, name })
    return this.#mapped(link, response, promptForClient)
  }

  async #resource(): Promise<RpcResponse> {
    const { link, name } = await this.#placeOfUri(this.#text('uri'))
    const response = await this.#forward(link, { ...this.#request.params, uri: name })
    return this.#mapped(link, response, contentsForClient)
  }

  #mapped(
    link: Link,
    response: RpcResponse,
    map: (target: string, result: JsonObject) => JsonObject,
  ): RpcResponse {
    const { resourceType, resource } = this.#operation
    const isDone = !isFailure(response) && response.result.isError !== true
    const known = this.#session.targetOf(link)?.known
    if (resourceType !== undefined && resource !== undefined) {
      if (isDone) known?.add(resourceType, resource)
      this.#operation.resourceConfirmed = isDone || known?.has(resourceType, resource) === true
    }
    if (isFailure(response) || !this.#session.backend.naming.prefixesUris) return response
    return { ...response, result: map(link.target, response.result) }
  }

  async #complete(): Promise<RpcResponse> {
    const ref = this.#request.params?.ref
    if (!isObject(ref)) throw this.#refuse('completion/complete needs params.ref: an object')
    if (ref.type === 'ref/prompt' && typeof ref.name === 'string') {
      const { link, name } = await this.#placeOfName('prompt', ref.name)
      return this.#forward(link, { ...this.#request.params, ref: { ...ref, name } })
    }
    if (ref.type === 'ref/resource' && typeof ref.uri === 'string') {
      const { link, name } = await this.#placeOfUri(ref.uri)
      return this.#forward(link, { ...this.#request.params, ref: { ...ref, uri: name } })
    }
    throw this.#refuse('params.ref must be a ref/prompt with a name or a ref/resource with a uri')
  }

  async #task(): Promise<RpcResponse> {
    const id = this.#text('taskId')
    const place = this.#split(id, splitId)
    if (place === undefined) throw unknownResource('task', id, false)
    const { link, name } = place
    this.#identify('task', link, name)
    this.#authorize('task', link, name, id)
    const response = await this.#forward(link, { ...this.#request.params, taskId: name })
    return this.#mapped(link, response, toolResultForClient)
  }

  async #setLevel(): Promise<RpcResponse> {
    const able = this.#session.links.filter((link) => link.capabilities.logging !== undefined)
    const answers = await this.#askAll(able, (link) =>
      this.#call(link, this.#request.params, LIST_TIMEOUT_MS),
    )
    const failed = answers.map(([, response]) => response).find(isFailure)
    return failed ?? success(this.#request.id, {})
  }

  /** What we do not know is the server's to know, where there is only one. */
  async #unknown(): Promise<RpcResponse> {
    const [only, another] = this.#session.links
    if (only !== undefined && another === undefined) return this.#forward(only, this.#request.params)
    throw new Refusal(200, RPC_ERRORS.methodNotFound, `Method not found: ${this.#request.method}`)
  }

  // Who has it?

  #split(
    text: string,
    split: (text: string) => { readonly target: string; readonly rest: string } | undefined,
    isPrefixed = this.#session.backend.naming.prefixesUris,
  ): Place | undefined {
    if (!isPrefixed) {
      const [only] = this.#session.links
      return only && { link: only, name: text }
    }
    const parts = split(text)
    const link = parts && this.#session.linkOf(parts.target)
    return link && parts && { link, name: parts.rest }
  }

  #identify(type: McpResourceType, link: Link, name: string): void {
    this.#operation.resourceType = type
    this.#operation.target = link.target
    this.#operation.resource = name
    this.#operation.resourceConfirmed = this.#session.targetOf(link)?.known.has(type, name) ?? false
  }

  async #placeOfName(type: 'tool' | 'prompt', name: string): Promise<Place> {
    const { naming } = this.#session.backend
    this.#operation.resourceType = type
    const place =
      naming.prefixesUris && !naming.prefixesNames
        ? await this.#owner(type, name)
        : this.#split(name, splitName, naming.prefixesNames)
    if (place === undefined) throw unknownResource(type, name, false)
    this.#identify(type, place.link, place.name)
    this.#authorize(type, place.link, place.name, name)
    // Else what is denied could be told from what is not there.
    if (
      this.#session.backend.spec.authorization !== undefined &&
      !(await this.#has(place.link, type, place.name))
    )
      throw unknownResource(type, name, false)
    return place
  }

  /** Names without a prefix, and several servers: exactly one of them must have it. */
  async #owner(type: 'tool' | 'prompt', name: string): Promise<Place | undefined> {
    const links = this.#session.links
    const having = await Promise.all(links.map((link) => this.#has(link, type, name).catch(() => false)))
    const owners = links.filter((_, index) => having[index] === true)
    const [owner, another] = owners
    if (another !== undefined) {
      const names = owners.map(({ target }) => target).join(', ')
      throw this.#refuse(`Ambiguous ${type}: ${name} is a name at ${names}; use prefixMode: conditional`)
    }
    return owner && { link: owner, name }
  }

  async #has(link: Link, type: 'tool' | 'prompt', name: string): Promise<boolean> {
    const kind = LIST_KINDS.get(`${type}s/list`)
    if (kind === undefined) return false
    await link.ensureOpen(this.#context.headers)
    const key = `${link.target} ${kind.method}`
    const known = this.#session.catalogs.get(key)
    if (known?.names.has(name) === true) return true
    if (known !== undefined && performance.now() - known.at < FRESH_MS) return false
    const names = new Set((await this.#allEntries(link, kind)).map((entry) => String(entry[kind.key])))
    this.#session.catalogs.set(key, { names, at: performance.now() })
    return names.has(name)
  }

  async #placeOfUri(uri: string): Promise<Place> {
    const place = this.#split(uri, splitUri)
    if (place === undefined) throw unknownResource('resource', uri, false)
    this.#identify('resource', place.link, place.name)
    this.#authorize('resource', place.link, place.name, uri)
    return place
  }

  #authorize(kind: McpResourceType, link: Link, name: string, shown: string): void {
    if (!this.#isAllowed(kind, link, name)) throw unknownResource(kind, shown, true)
  }

  #isAllowed(kind: McpResourceType, link: Link, name: string): boolean {
    const { authorization } = this.#session.backend.spec
    if (authorization === undefined) return true
    const caller = { ...this.#context.caller, methodName: this.#operation.method }
    return authorization.allows({ kind, name, target: link.target }, caller)
  }

  // Lists.

  async #list(kind: ListKind): Promise<JsonObject> {
    const { naming } = this.#session.backend
    if (naming.prefixesUris && !naming.prefixesNames && kind.key === 'name') return this.#distinct(kind)
    const [only, another] = this.#session.links
    if (only !== undefined && another === undefined) return this.#listOne(only, kind)

    const cursor = this.#request.params?.cursor
    const names = this.#session.links.map(({ target }) => target)
    const from = typeof cursor === 'string' ? decodeCursors(cursor, names) : undefined
    const asked = this.#session.links.filter(({ target }) => from === undefined || from.has(target))
    const answers = await this.#askAll(asked, (link) =>
      this.#page(link, kind, this.#request.params, from?.get(link.target)),
    )
    const entries: JsonObject[] = []
    const next = new Map<string, string>()
    for (const [link, page] of answers) {
      entries.push(...this.#visible(link, kind, entriesOf(page, kind)))
      const more = cursorOf(page)
      if (more !== undefined) next.set(link.target, more)
    }
    const nextCursor = encodeCursors(next)
    return { [kind.member]: entries, ...(nextCursor !== undefined && { nextCursor }) }
  }

  /** One server's list is its own to page; all that it says beside the entries stays. */
  async #listOne(link: Link, kind: ListKind): Promise<JsonObject> {
    this.#operation.target = link.target
    const page = await this.#page(link, kind, this.#request.params, undefined)
    return { ...page, [kind.member]: this.#visible(link, kind, entriesOf(page, kind)) }
  }

  /** Without prefixes a name that two servers have is nobody's. */
  async #distinct(kind: ListKind): Promise<JsonObject> {
    const answers = await this.#askAll(this.#session.links, (link) => this.#allEntries(link, kind))
    const counts = new Map<unknown, number>()
    for (const [, entries] of answers)
      for (const entry of entries) counts.set(entry.name, (counts.get(entry.name) ?? 0) + 1)
    const lists = answers.map(([link, entries]) =>
      this.#visible(
        link,
        kind,
        entries.filter(({ name }) => counts.get(name) === 1),
      ),
    )
    return { [kind.member]: lists.flat() }
  }

  async #allEntries(link: Link, kind: ListKind): Promise<JsonObject[]> {
    const entries: JsonObject[] = []
    let cursor: string | undefined
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page = await this.#page(link, kind, {}, cursor)
      entries.push(...entriesOf(page, kind))
      cursor = cursorOf(page)
      if (cursor === undefined) break
    }
    return entries
  }

  async #page(
    link: Link,
    kind: ListKind,
    params: JsonObject | undefined,
    cursor: string | undefined,
  ): Promise<JsonObject> {
    await link.ensureOpen(this.#context.headers)
    // A server that has none of this kind may not know the method either.
    if (link.capabilities[kind.capability] === undefined) return { [kind.member]: [] }
    const asked = cursor === undefined ? params : { ...params, cursor }
    const response = await this.#call(link, asked, this.#listTimeoutMs(link), kind.method)
    if (!isFailure(response)) return response.result
    const { code, message, data } = response.error
    throw new Refusal(200, code, message, { type: 'mcp_error', data })
  }

  #visible(link: Link, kind: ListKind, entries: readonly JsonObject[]): JsonObject[] {
    const { naming } = this.#session.backend
    const known = this.#session.targetOf(link)?.known
    const visible: JsonObject[] = []
    for (const entry of entries) {
      const name = entry[kind.key]
      if (typeof name !== 'string' || !this.#isAllowed(kind.type, link, name)) continue
      if (kind.type === 'tool' || kind.type === 'prompt') known?.add(kind.type, name)
      visible.push(kind.forClient(link.target, entry, naming))
    }
    return visible
  }

  // Calls.

  /** By the backend's failure mode: the answers of all, or of those that can be had, as long as somebody can. */
  async #askAll<T>(links: readonly Link[], ask: (link: Link) => Promise<T>): Promise<[Link, T][]> {
    const settled = await Promise.allSettled(links.map(ask))
    const answers: [Link, T][] = []
    const failures: unknown[] = []
    for (const [index, one] of settled.entries()) {
      const link = links[index]
      if (link !== undefined && one.status === 'fulfilled') answers.push([link, one.value])
      else if (one.status === 'rejected') failures.push(one.reason)
    }
    const { failureMode } = this.#session.backend.spec
    if (failures.length > 0 && (failureMode === 'failClosed' || answers.length === 0))
      throw refusalOfAll(failures[0], failureMode)
    return answers
  }

  #listTimeoutMs(link: Link): number {
    const own = this.#session.targetOf(link)?.requestTimeoutMs ?? 0
    return own === 0 ? LIST_TIMEOUT_MS : Math.min(own, LIST_TIMEOUT_MS)
  }

  #forward(link: Link, params: JsonObject | undefined): Promise<RpcResponse> {
    return this.#call(link, params, this.#session.targetOf(link)?.requestTimeoutMs ?? 0)
  }

  async #call(
    link: Link,
    params: JsonObject | undefined,
    timeoutMs: number,
    method = this.#request.method,
  ): Promise<RpcResponse> {
    const call = beginCall(this.#context.facts, this.#operation, this.#session.targetOf(link), link.target)
    this.#context.onCalling()
    try {
      const response = await link.request({
        method,
        params,
        delivery: deliveryOf(this.#context, call),
        relay: this.#context.relay,
        timeoutMs,
        onSent: (id) => this.#isUnderWay(link, id),
      })
      if (isFailure(response)) {
        call.errorType = 'mcp_error'
        call.errorCode = response.error.code
        call.errorMessage = response.error.message
      } else if (method === 'tools/call' && response.result.isError === true) {
        call.errorType = 'tool_error'
        call.errorMessage = textOf(response.result)
      }
      return { ...response, id: this.#request.id }
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

  #isUnderWay(link: Link, id: number): void {
    this.#context.underWay.push({ link, id })
    const { underWay, history } = this.#session
    // Without a session several clients may use the same id.
    if (history === undefined) return
    const known = underWay.get(this.#request.id)
    if (known === undefined) underWay.set(this.#request.id, [{ link, id }])
    else known.push({ link, id })
  }
}

export function beginCall(
  facts: McpFacts,
  operation: McpOperation,
  target: Target | undefined,
  name: string,
): McpCall {
  const call: McpCall = {
    spanId: newSpanId(),
    operation,
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
  facts.calls.push(call)
  return call
}

/** An unrecorded trace goes on as it came: the server must not look for a parent that nobody will ever see. */
export function deliveryOf({ headers, trace }: CallContext, call: McpCall): Delivery {
  const traceparent = trace.sampled ? formatTraceparent(trace.traceId, call.spanId, true) : trace.received
  return { headers, traceparent, call }
}
