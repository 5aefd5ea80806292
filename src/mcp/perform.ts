/** What a client's request means here: which server it goes to, under which name, and what becomes of the answer. */
import { Asking, type CallContext } from './asking.ts'
import {
  isFailure,
  isObject,
  type JsonObject,
  RPC_ERRORS,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import type { Link } from './link.ts'
import { LIST_KINDS } from './lists.ts'
import { mergeLists } from './merge-lists.ts'
import { contentsForClient, promptForClient, toolResultForClient } from './names.ts'
import { beginOperation, note, type Performed, refused, textOf } from './operation.ts'
import { Places } from './places.ts'
import { Refusal, unknownResource } from './refusal.ts'
import type { Session } from './session.ts'
import type { UnderWay } from './under-way.ts'

/** Carries the request out and writes into the record what became of it. Never rejects. */
export async function perform(
  session: Session,
  request: RpcRequest,
  context: CallContext,
  underWay: UnderWay,
): Promise<Performed> {
  const operation = beginOperation(context.facts, request.method, request.id)
  const asking = new Asking(session, request, operation, context, underWay)
  // Without a session several clients may use the same id.
  const isAlone = session.history !== undefined
  if (isAlone) session.underWay.set(request.id, underWay)
  try {
    const response = await new Work(asking).run()
    if (isFailure(response)) note(operation, 'mcp_error', response.error.code, response.error.message)
    else if (request.method === 'tools/call' && response.result.isError === true)
      note(operation, 'tool_error', undefined, textOf(response.result))
    return { response, status: 200, headers: {} }
  } catch (error) {
    return refused(operation, request, error)
  } finally {
    operation.endedAt = performance.now()
    if (isAlone && session.underWay.get(request.id) === underWay) session.underWay.delete(request.id)
  }
}

type ForClient = (target: string, result: JsonObject) => JsonObject

/** How servers say that a resource is not there: of old, and since 2026-07-28. */
const NOT_THERE = new Set<number>([-32002, RPC_ERRORS.invalidParams])

class Work {
  readonly #asking: Asking
  readonly #places: Places
  readonly #request: RpcRequest

  constructor(asking: Asking) {
    this.#asking = asking
    this.#places = new Places(asking)
    this.#request = asking.request
  }

  async run(): Promise<RpcResponse> {
    const { id, method } = this.#request
    const list = LIST_KINDS.get(method)
    if (list !== undefined) return success(id, await mergeLists(this.#asking, this.#places, list))
    switch (method) {
      case 'ping':
        return success(id, {})
      case 'tools/call':
        return this.#named('tool', toolResultForClient)
      case 'prompts/get':
        return this.#named('prompt', promptForClient)
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

  async #named(type: 'tool' | 'prompt', map: ForClient): Promise<RpcResponse> {
    const { link, name } = await this.#places.ofName(type, this.#text('name'))
    const response = await this.#asking.forward(link, { ...this.#request.params, name })
    return this.#mapped(link, response, map)
  }

  async #resource(): Promise<RpcResponse> {
    const uri = this.#text('uri')
    const { link, name } = this.#places.ofUri(uri)
    const response = await this.#asking.forward(link, { ...this.#request.params, uri: name })
    this.#hideMissing(uri, response)
    return this.#mapped(link, response, contentsForClient)
  }

  /** Where rules judge; else what they deny could be told from what is not there. */
  #hideMissing(uri: string, response: RpcResponse): void {
    const isJudged = this.#asking.session.backend.spec.authorization !== undefined
    if (isJudged && isFailure(response) && NOT_THERE.has(response.error.code))
      throw unknownResource('resource', uri, false)
  }

  async #task(): Promise<RpcResponse> {
    const { link, name } = this.#places.ofTask(this.#text('taskId'))
    const response = await this.#asking.forward(link, { ...this.#request.params, taskId: name })
    return this.#mapped(link, response, toolResultForClient)
  }

  #mapped(link: Link, response: RpcResponse, map: ForClient): RpcResponse {
    const { operation, session } = this.#asking
    const { resourceType, resource } = operation
    const isDone = !isFailure(response) && response.result.isError !== true
    const known = session.targetOf(link)?.known
    if (resourceType !== undefined && resource !== undefined) {
      if (isDone) known?.add(resourceType, resource)
      operation.resourceConfirmed = isDone || known?.has(resourceType, resource) === true
    }
    if (isFailure(response) || !session.backend.naming.prefixesUris) return response
    return { ...response, result: map(link.target, response.result) }
  }

  async #complete(): Promise<RpcResponse> {
    const ref = this.#request.params?.ref
    if (!isObject(ref)) throw this.#refuse('completion/complete needs params.ref: an object')
    if (ref.type === 'ref/prompt' && typeof ref.name === 'string') {
      const { link, name } = await this.#places.ofName('prompt', ref.name)
      return this.#asking.forward(link, { ...this.#request.params, ref: { ...ref, name } })
    }
    if (ref.type === 'ref/resource' && typeof ref.uri === 'string') {
      const { link, name } = this.#places.ofUri(ref.uri)
      const params = { ...this.#request.params, ref: { ...ref, uri: name } }
      const response = await this.#asking.forward(link, params)
      this.#hideMissing(ref.uri, response)
      return response
    }
    throw this.#refuse('params.ref must be a ref/prompt with a name or a ref/resource with a uri')
  }

  async #setLevel(): Promise<RpcResponse> {
    const { session } = this.#asking
    const able = session.links.filter((link) => link.capabilities.logging !== undefined)
    const answers = await this.#asking.all(able, (link) =>
      this.#asking.call(link, this.#request.params, this.#asking.listTimeoutMs(link)),
    )
    const failed = answers.map(([, response]) => response).find(isFailure)
    return failed ?? success(this.#request.id, {})
  }

  /** What we do not know is the server's to know, where there is only one. */
  async #unknown(): Promise<RpcResponse> {
    const { session } = this.#asking
    const [only, another] = session.links
    // Rules cannot judge what they have no word for.
    const isJudged = session.backend.spec.authorization !== undefined
    if (only !== undefined && another === undefined && !isJudged)
      return this.#asking.forward(only, this.#request.params)
    throw new Refusal(200, RPC_ERRORS.methodNotFound, `Method not found: ${this.#request.method}`)
  }
}
