/**
 * `/api/gateway/{port}/…`: a request of the console's to the gateway's own port, as any client would send it. A page of
 * this port could not send it itself: the gateway's ports allow no other origin.
 */
import { type IncomingHttpHeaders, request as send } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { ApiError } from './http.ts'
import type { Route } from './routes.ts'

export interface GatewayApiOptions {
  /** Those that can be asked: of the gateway, without TLS. */
  readonly ports: () => readonly number[]
}

const PLACE = /^\/api\/gateway\/(\d{1,5})(\/.*)$/

/** Of the browser, of this connection, or of the admin port's own. */
const OWN_HEADERS = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'cookie',
  'authorization',
  'origin',
  'referer',
  'x-gateway-authorization',
  'x-agentgateway-csrf',
])
const isOwn = (name: string) => OWN_HEADERS.has(name) || name.startsWith('sec-')

function headersFor(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const sent = Object.fromEntries(Object.entries(headers).filter(([name]) => !isOwn(name)))
  const authorization = headers['x-gateway-authorization']?.toString()
  return { ...sent, ...(authorization !== undefined && { authorization }) }
}

/** What belongs to the connection that it came over, or would speak for this port. */
const NOT_PASSED_ON =
  /^(?:connection|keep-alive|transfer-encoding|set-cookie|access-control-.*|content-security-policy.*|cross-origin-.*|x-frame-options|x-content-type-options|referrer-policy|clear-site-data|service-worker-allowed|link|refresh|location)$/

/** For a browser that takes it for a page after all: no script, no form, no origin. */
const INERT = "default-src 'none'; sandbox; frame-ancestors 'none'"

export function gatewayRoutes({ ports }: GatewayApiOptions): Route[] {
  return [
    {
      method: '*',
      path: '/api/gateway/*',
      async handler(request, response) {
        // What a backend answers is read by the console's own code, and is nothing that a browser may show or run.
        const destination = request.headers['sec-fetch-dest']
        if (destination !== undefined && destination !== 'empty')
          throw new ApiError(403, 'answers of backends are no pages of this console')
        const [, port, path] = PLACE.exec(request.url ?? '') ?? []
        if (!ports().includes(Number(port)))
          throw new ApiError(404, `this gateway has no port ${port ?? ''} without TLS`)
        const type = request.headers['content-type'] ?? ''
        // With another type a page of any origin could send it without being asked.
        if (request.method === 'POST' && !/^application\/json\s*(?:;|$)/i.test(type))
          throw new ApiError(415, 'send JSON with Content-Type: application/json')
        const upstream = send({
          host: '127.0.0.1',
          port: Number(port),
          path,
          method: request.method,
          headers: headersFor(request.headers),
        })
        response.on('close', () => upstream.destroy())
        const answered = new Promise<void>((resolve, reject) => {
          upstream.on('error', reject)
          upstream.on('response', (answer) => {
            for (const [name, value] of Object.entries(answer.headers))
              if (value !== undefined && !NOT_PASSED_ON.test(name)) response.setHeader(name, value)
            response.setHeader('content-security-policy', INERT)
            response.setHeader('cache-control', 'no-store')
            response.writeHead(answer.statusCode ?? 502)
            response.flushHeaders()
            pipeline(answer, response).then(resolve, reject)
          })
        })
        request.pipe(upstream)
        await answered.catch((error: unknown) => {
          if (response.headersSent || response.destroyed) response.destroy()
          else
            throw new ApiError(
              502,
              `the gateway's port ${port} cannot be reached: ${error instanceof Error ? error.message : ''}`,
            )
        })
      },
    },
  ]
}
