/** The admin port: which method on which path is answered by whom, and who may ask. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Access } from './access.ts'
import { SECURITY_HEADERS } from './console.ts'
import { ApiError, type Handler, json, text } from './http.ts'

export interface Route {
  /** `*`: any, and the handler looks itself. */
  readonly method: 'GET' | 'POST' | 'DELETE' | '*'
  /** Exact, or with a `*` at the end for all below. */
  readonly path: string
  readonly handler: Handler
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
    await route.handler(request, response)
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const isExpected = error instanceof ApiError
    if (!isExpected) unexpected(error)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const { status, message, headers } = isExpected ? error : new ApiError(500, 'internal error: see the log')
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    // A body that nobody will read is not waited for.
    if (!request.complete) response.setHeader('connection', 'close')
    if (request.url?.startsWith('/api') === true) json(response, status, { error: message })
    else text(response, status, `${message}\n`)
  }

  return (request, response) =>
    answer(request, response).catch((error: unknown) => refuse(request, response, error))
}
