/**
 * The three side doors: metrics (:15020), readiness (:15021) and the admin port (:15000).
 *
 * None of them is on a request's way. They read what they are handed.
 */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../core/schema.ts'
import { type Handler, text } from './http.ts'

export interface AdminSources {
  /** Awaited before metrics are rendered and questions of the admin port answered. */
  readonly refresh?: (() => Promise<void>) | undefined
  /** The exposition for an `Accept` header. */
  readonly metrics: (accept: string | undefined) => {
    readonly contentType: string
    readonly pieces: Iterable<string>
  }
  /** undefined = ready; else why not. */
  readonly notReady: () => string | undefined
  readonly admin: Handler
}

export interface SideServers {
  /** Ports as bound; undefined where a door is `off`. */
  readonly ports: {
    readonly admin: number | undefined
    readonly stats: number | undefined
    readonly readiness: number | undefined
  }
  readonly close: () => Promise<void>
}

/** GET (and HEAD) on fixed paths; 405 for other methods, 404 for other paths. */
function paths(handlers: Readonly<Record<string, Handler>>): Handler {
  return (request, response) => {
    const [path = '/'] = (request.url ?? '/').split('?')
    const handler = handlers[path]
    if (handler === undefined) text(response, 404, `not found; try ${Object.keys(handlers).join(' or ')}\n`)
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      text(response, 405, 'method not allowed\n')
    } else void handler(request, response)
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

/** A scrape of many series is written piece by piece, so that requests get their turn in between. */
async function writePieces(response: ServerResponse, pieces: Iterable<string>): Promise<void> {
  for (const piece of pieces) {
    if (response.destroyed) return
    if (!response.write(piece)) await drained(response)
    else await new Promise<void>((resolve) => setImmediate(resolve))
  }
  response.end()
}

export interface SideLimits {
  readonly maxConnections: { readonly admin: number; readonly stats: number; readonly readiness: number }
  /** Until the head of a request must be there, and the whole of it. How long its answer takes has no limit. */
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  /** How often that is looked at. */
  readonly checkingMs: number
}

/** So few that they leave the process's file descriptors to the gateway's clients. */
const LIMITS: SideLimits = {
  maxConnections: { admin: 200, stats: 100, readiness: 100 },
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  checkingMs: 2000,
}

async function open(
  address: Address,
  handler: Handler,
  limits: Omit<SideLimits, 'maxConnections'> & { readonly maxConnections: number },
): Promise<Server | undefined> {
  if (address === 'off') return undefined
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.checkingMs,
    },
    handler,
  )
  server.maxConnections = limits.maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: address.port, host: address.host }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return server
}

const portOf = (server: Server | undefined) =>
  server === undefined ? undefined : (server.address() as AddressInfo).port

/** Rejects when a port cannot be had; what was opened before is closed again. */
export async function openSideServers(
  addresses: { readonly admin: Address; readonly stats: Address; readonly readiness: Address },
  sources: AdminSources,
  limits: SideLimits = LIMITS,
): Promise<SideServers> {
  const { refresh } = sources
  const refreshed = (handler: Handler): Handler =>
    refresh === undefined
      ? handler
      : async (request, response) => {
          await refresh()
          return handler(request, response)
        }
  const metrics = refreshed((request, response) => {
    const { contentType, pieces } = sources.metrics(request.headers.accept)
    response.writeHead(200, { 'content-type': contentType })
    if (request.method === 'HEAD') response.end()
    else void writePieces(response, pieces)
  })
  const ready: Handler = (_request, response) => {
    const reason = sources.notReady()
    text(
      response,
      reason === undefined ? 200 : 503,
      reason === undefined ? 'ready\n' : `not ready: ${reason}\n`,
    )
  }
  const servers: (Server | undefined)[] = []
  const close = async () => {
    await Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            if (server === undefined) return resolve()
            server.close(() => resolve())
            server.closeAllConnections()
          }),
      ),
    )
  }
  const add = async (door: keyof typeof addresses, handler: Handler) =>
    servers.push(
      await open(addresses[door], handler, { ...limits, maxConnections: limits.maxConnections[door] }),
    )
  try {
    await add('stats', paths({ '/metrics': metrics, '/stats/prometheus': metrics }))
    await add('readiness', paths({ '/healthz/ready': ready }))
    await add('admin', refreshed(sources.admin))
  } catch (error) {
    await close()
    throw error
  }
  const [stats, readiness, admin] = servers
  return { ports: { stats: portOf(stats), readiness: portOf(readiness), admin: portOf(admin) }, close }
}
