/** The admin port: which method on which path is answered by whom, and who may ask. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { StoreBusyError } from '../store/questions.ts'
import type { Access } from './access.ts'
import { SECURITY_HEADERS } from './console.ts'
import { ApiError, type Handler, json, text } from './http.ts'

/** `left` is aborted when the client leaves: nobody needs to look for what it asked any longer. */
export type RouteHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  left: AbortSignal,
) => void | Promise<void>

export interface Route {
  /** `*`: any, and the handler looks itself. */
  readonly method: 'GET' | 'POST' | 'DELETE' | '*'
  /** Exact, or with a `*` at the end for all below. */
  readonly path: string
  readonly handler: RouteHandler
  /** For everybody: what is needed to sign in. */
  readonly isOpen?: boolean
}

const fits = (route: Route, path: string) =>
  route.path.endsWith('*') ? path.startsWith(route.path.slice(0, -1)) : route.path === path

const hasMethod = (route: Route, method: string) =>
  route.method === '*' || route.method === method || (route.method === 'GET' && method === 'HEAD')

export interface AdminHandlerOptions {
  readonly routes: readonly Route[]
  readonly access: Access
  readonly unexpected: (error: unknown) => void
}

const CLIENT_LEFT = 499
const BUSY_SECONDS = 2

function expectedError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error
  if (error instanceof StoreBusyError)
    return new ApiError(503, error.message, { 'retry-after': String(BUSY_SECONDS) })
  return undefined
}

export function adminHandler({ routes, access, unexpected }: AdminHandlerOptions): Handler {
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? 'GET'
    const [path = '/'] = (request.url ?? '/').split('?')
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
    access.checkOrigin(request)
    const there = routes.filter((route) => fits(route, path))
    const route = there.find((one) => hasMethod(one, method))
    if (route?.isOpen !== true) access.check(request)
    if (there.length === 0) throw new ApiError(404, `not found; the console is at /ui/, the API at /api`)
    if (route === undefined) {
      const allow = [...new Set(there.map((one) => (one.method === 'GET' ? 'GET, HEAD' : one.method)))].join(
        ', ',
      )
      throw new ApiError(405, `method not allowed: use ${allow}`, { allow })
    }
    const left = new AbortController()
    response.once('close', () => left.abort(new ApiError(CLIENT_LEFT, 'the client left')))
    await route.handler(request, response, left.signal)
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const expected = expectedError(error)
    if (expected === undefined) unexpected(error)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const { status, message, headers } = expected ?? new ApiError(500, 'internal error: see the log')
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    // A body that nobody will read is not waited for.
    if (!request.complete) response.setHeader('connection', 'close')
    if (request.url?.startsWith('/api') === true) json(response, status, { error: message })
    else text(response, status, `${message}\n`)
  }

  return (request, response) =>
    answer(request, response).catch((error: unknown) => refuse(request, response, error))
}
