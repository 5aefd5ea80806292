/** What the head of a request says, beyond what Node has read of it. */
import type { IncomingMessage } from 'node:http'

/** Path and query of a request target: origin form, absolute form or `*`. */
export function splitTarget(url: string): { readonly path: string; readonly query: string } {
  let target = url
  if (!target.startsWith('/')) {
    const afterScheme = target.indexOf('://')
    const slash = afterScheme < 0 ? -1 : target.indexOf('/', afterScheme + 3)
    target = afterScheme < 0 ? target : slash < 0 ? '/' : target.slice(slash)
  }
  const mark = target.indexOf('?')
  return mark < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** What the connection says from which a process took a request, when another one serves it. */
export interface Origin {
  readonly clientAddress: string
  /** Where it arrived. */
  readonly localAddress: string
  readonly scheme: 'http' | 'https'
  readonly httpVersion: string
}

/** An IPv4 client on a dual-stack socket is told by its IPv4 address. */
export const addressOf = (request: IncomingMessage) =>
  (request.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')

export const hostnameOf = (host: string) => host.replace(/:\d+$/, '').toLowerCase()

/** The name that a TLS client asked for. */
export function serverNameOf({ socket }: IncomingMessage): string | undefined {
  return 'servername' in socket && typeof socket.servername === 'string'
    ? socket.servername.toLowerCase()
    : undefined
}

export const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
