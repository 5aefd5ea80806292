/** As much of a request's body as has to be here before the request goes on. */
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../core/errors.ts'
import { readBody } from './body.ts'
import { holdBody } from './hold-body.ts'
import { hasBody } from './incoming.ts'

/** Of a plain request's body, to be kept for another attempt. */
const MAX_REPEATED_BYTES = 64 * 1024

/** A request is a body that still comes in; null where there is none. */
export type RequestBody = Buffer | IncomingMessage | null

/** How much of it the route wants held. */
export interface Buffering {
  readonly maxBytes: number
  /** What becomes of a body that is larger: it is refused, or passed on as it comes. */
  readonly failureMode: 'failClosed' | 'failOpen'
}

export interface Wanted {
  /** It is read before anybody is asked: whole, decoded. */
  readonly isRead: boolean
  /** It may have to be sent again. */
  readonly isRepeated: boolean
  readonly buffer: Buffering | undefined
  /** Largest body that is held in memory. */
  readonly maxBytes: number
  /** How messages about a body that is read begin. */
  readonly subject: string
}

/** Of a body that has to be read. */
export const readLimit = ({ buffer, maxBytes }: Pick<Wanted, 'buffer' | 'maxBytes'>): number =>
  buffer?.failureMode === 'failClosed' ? Math.min(buffer.maxBytes, maxBytes) : maxBytes

/** Calls back once: with the body and its size, or with why there is none. A client that leaves calls back never. */
export function receiveBody(
  request: IncomingMessage,
  wanted: Wanted,
  done: (error: GatewayError | undefined, body: RequestBody, bytes: number) => void,
): void {
  const { isRead, isRepeated, buffer } = wanted
  if (isRead) {
    readBody(request, readLimit(wanted), (error, body) => done(error, body, body.length), wanted.subject)
    return
  }
  const promised = Number(request.headers['content-length'] ?? 0)
  const isSmall = promised > 0 && promised <= MAX_REPEATED_BYTES
  if (!hasBody(request) || (buffer === undefined && !(isRepeated && isSmall))) {
    done(undefined, hasBody(request) ? request : null, promised)
    return
  }
  holdBody(request, buffer?.maxBytes ?? MAX_REPEATED_BYTES, (body) => {
    if (body !== undefined) done(undefined, body, body.length)
    else if (buffer?.failureMode === 'failOpen') done(undefined, request, promised)
    else done(new GatewayError('body_too_large', `the body exceeds ${buffer?.maxBytes} bytes`), null, 0)
  })
}
