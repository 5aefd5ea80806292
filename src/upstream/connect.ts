/** Opens connections: TCP or TLS, within a time. */
import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import type { UpstreamTarget } from '../core/upstream.ts'
import { HttpError } from './http-error.ts'

export interface ConnectSettings {
  /** 0 = no limit. */
  readonly timeoutMs: number
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number }
  /** 4 or 6 = only that family; undefined = both, whichever answers first. */
  readonly family: 4 | 6 | undefined
}

/** Calls back once. What it gives ends the attempt, which then calls back never. Throws where certificates are none. */
export type Connect = (
  reads: OnReadOpts,
  done: (error: Error | undefined, socket: Socket) => void,
) => () => void

export function connecting(target: UpstreamTarget, settings: ConnectSettings): Connect {
  const { host, port, tls } = target
  const { keepAlive, family, timeoutMs } = settings
  const place = {
    host,
    port,
    noDelay: true,
    keepAlive: keepAlive.enabled,
    keepAliveInitialDelay: keepAlive.initialDelayMs,
    ...(family !== undefined && { family, autoSelectFamily: false }),
  }
  /** The name for SNI and verification: never the request's Host, which may be the client's. */
  const name = tls?.servername ?? host
  const secure = tls && {
    ...place,
    // An address is no server name; without one Node verifies the address itself.
    servername: isIP(name) === 0 ? name : '',
    rejectUnauthorized: tls.insecure !== true,
    ALPNProtocols: ['http/1.1'],
    ...(tls.insecureHost === true && { checkServerIdentity: () => undefined }),
  }
  let session: Buffer | undefined
  // Roots take long to read.
  let context: SecureContext | undefined
  function open(reads: OnReadOpts): Socket {
    if (tls === undefined || secure === undefined) return connectPlain({ ...place, onread: reads })
    context ??= createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key })
    const socket = connectTls({ ...secure, secureContext: context, ...(session && { session }) })
    socket.on('session', (fresh: Buffer) => {
      session = fresh
    })
    return socket
  }
  const event = tls === undefined ? 'connect' : 'secureConnect'
  return (reads, done) => {
    const socket = open(reads)
    let timer: NodeJS.Timeout | undefined
    function end(error: Error | undefined): void {
      clearTimeout(timer)
      socket.off('error', finish).off('close', closed).off(event, connected)
      if (error === undefined) return
      socket.on('error', () => {})
      socket.destroy()
    }
    function finish(error: Error | undefined): void {
      end(error)
      // It may be what the other side does not like.
      if (error !== undefined) session = undefined
      done(error, socket)
    }
    const connected = () => finish(undefined)
    const closed = () => finish(new HttpError('closed', 'the connection was closed'))
    socket.on(event, connected).on('error', finish).on('close', closed)
    if (timeoutMs > 0) {
      const message = `no connection to ${host}:${port} in ${timeoutMs} ms`
      timer = setTimeout(() => finish(new HttpError('connect_timeout', message)), timeoutMs)
    }
    return () => end(new HttpError('closed', 'the connection is not wanted any more'))
  }
}
