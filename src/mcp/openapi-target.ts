/** A target that is an HTTP API: its operations are tools, and the gateway is the MCP server that it lacks. */
import type { Headers } from '../core/headers.ts'
import type { Upstreams } from '../core/upstream.ts'
import { fetchWhole, forwardedHeaders, type HttpEndpoint, setTrace } from './http.ts'
import {
  failure,
  isObject,
  isRequest,
  type JsonObject,
  type RequestId,
  RPC_ERRORS,
  type RpcMessage,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import type { OpenApiCatalog } from './openapi/catalog.ts'
import { OpenApiArgumentError } from './openapi/problem.ts'
import { toolResult } from './openapi/tool-result.ts'
import { type Delivery, TargetError, type Transport, type TransportEvents } from './transport.ts'
import { LATEST_LEGACY } from './versions.ts'

export interface OpenApiOptions {
  readonly name: string
  readonly upstreams: Upstreams
  readonly endpoint: HttpEndpoint
  /** Before every path of the document. */
  readonly pathPrefix: string
  /** Rejects with `TargetError` while the document cannot be had. */
  readonly catalog: () => Promise<OpenApiCatalog>
  readonly version: string
}

const EMPTY_LISTS: ReadonlyMap<string, JsonObject> = new Map<string, JsonObject>([
  ['prompts/list', { prompts: [] }],
  ['resources/list', { resources: [] }],
  ['resources/templates/list', { resourceTemplates: [] }],
])

export function openApiTarget(options: OpenApiOptions, events: TransportEvents): Transport {
  const { upstreams, endpoint } = options
  const aborts = new Map<RequestId, () => void>()
  let catalog: OpenApiCatalog | undefined

  async function callTool(request: RpcRequest, delivery: Delivery): Promise<RpcResponse> {
    const { name, arguments: given } = request.params ?? {}
    const args = isObject(given) ? given : {}
    if (typeof name !== 'string')
      return failure(request.id, RPC_ERRORS.invalidParams, 'tools/call needs a name')
    let asked: ReturnType<OpenApiCatalog['call']>
    try {
      asked = catalog?.call(name, args)
    } catch (error) {
      if (!(error instanceof OpenApiArgumentError)) throw error
      // The model that made the arguments up can mend them, where it hears of it.
      return success(request.id, { content: [{ type: 'text', text: error.message }], isError: true })
    }
    if (asked === undefined) return failure(request.id, RPC_ERRORS.invalidParams, `Unknown tool: ${name}`)
    const { accept = 'application/json', 'content-type': type, ...declared } = asked.headers
    // An argument never takes the place of a header that came with the request: a model wrote it.
    const headers: Headers = { ...declared, ...forwardedHeaders(delivery.headers), accept }
    if (type !== undefined) headers['content-type'] = type
    setTrace(headers, delivery)
    const path = `${options.pathPrefix}${asked.path}`
    const { reply, abort } = fetchWhole(
      upstreams,
      endpoint,
      { method: asked.method, path, headers, body: asked.body },
      delivery.call,
    )
    aborts.set(request.id, abort)
    try {
      const { status, headers: answered, body } = await reply
      const result = toolResult(status, answered['content-type']?.toString(), body)
      if (result.kind === 'result') return success(request.id, { ...result.result })
      throw new TargetError('openapi_error', `${endpoint.address}: ${result.message}`)
    } finally {
      aborts.delete(request.id)
    }
  }

  async function answer(request: RpcRequest, delivery: Delivery): Promise<RpcResponse> {
    const empty = EMPTY_LISTS.get(request.method)
    if (empty !== undefined) return success(request.id, empty)
    switch (request.method) {
      case 'initialize':
        return success(request.id, {
          protocolVersion: LATEST_LEGACY,
          capabilities: { tools: {} },
          serverInfo: { name: options.name, version: options.version },
        })
      case 'tools/list':
        return success(request.id, { tools: catalog?.tools ?? [] })
      case 'tools/call':
        return callTool(request, delivery)
      case 'ping':
        return success(request.id, {})
      default:
        return failure(request.id, RPC_ERRORS.methodNotFound, `Method not found: ${request.method}`)
    }
  }

  return {
    async open() {
      catalog = await options.catalog()
    },
    async send(message: RpcMessage, delivery) {
      if (!isRequest(message)) return
      try {
        events.onMessage(await answer(message, delivery), message.id)
      } catch (error) {
        const { id } = message
        if (error instanceof TargetError) events.onLost(id, error)
        else throw error
      }
    },
    negotiated() {},
    listen() {},
    abandon: (id) => aborts.get(id)?.(),
    close() {
      for (const abort of aborts.values()) abort()
      return Promise.resolve()
    },
    sessionId: () => undefined,
  }
}
