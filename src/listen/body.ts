/** A request's body, whole, decoded and within a limit. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { decoderFor } from '../core/content-encoding.ts'
import { GatewayError } from '../core/errors.ts'

const EMPTY = Buffer.alloc(0)

/** How messages begin. */
const LLM = 'failed to process LLM request'

const tooLarge = (limit: number, subject: string) =>
  new GatewayError('body_too_large', `${subject}: the body exceeds ${limit} bytes`)

/** Calls back once: with the body, or with why there is none. A client that goes away calls back never. */
export function readBody(
  request: IncomingMessage,
  limit: number,
  done: (error: GatewayError | undefined, body: Buffer) => void,
  subject = LLM,
): void {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > limit) {
    done(tooLarge(limit, subject), EMPTY)
    return
  }
  const encoding = request.headers['content-encoding']
  const decoder = decoderFor(encoding)
  if (decoder === 'unknown') {
    const message = `${subject}: unknown content-encoding ${encoding}`
    done(new GatewayError('unsupported_encoding', message), EMPTY)
    return
  }
  const source: Readable = decoder === 'none' ? request : request.pipe(decoder)

  let first: Buffer | undefined
  let more: Buffer[] | undefined
  let length = 0
  let over = false
  const finish = (error: GatewayError | undefined, body: Buffer) => {
    if (over) return
    over = true
    if (decoder !== 'none') {
      // A small body may unpack for minutes: nobody waits for the rest.
      request.unpipe(decoder)
      decoder.destroy()
      request.resume()
    }
    done(error, body)
  }
  const take = (chunk: Buffer) => {
    length += chunk.length
    if (over) return
    if (length > limit) {
      finish(tooLarge(limit, subject), EMPTY)
      return
    }
    if (first === undefined) first = chunk
    else if (more === undefined) more = [first, chunk]
    else more.push(chunk)
  }
  const takeEnd = () => {
    // The request stays for as long as its answer lasts, and what listens to it would keep the body.
    source.off('data', take).off('end', takeEnd)
    finish(undefined, more === undefined ? (first ?? EMPTY) : Buffer.concat(more, length))
  }
  source.on('data', take).on('end', takeEnd)
  if (decoder !== 'none') {
    request.on('close', () => {
      if (!request.complete) decoder.destroy()
    })
    source.on('error', (cause: Error) =>
      finish(
        new GatewayError('invalid_body', `${subject}: the body is not valid ${encoding}`, {
          cause,
        }),
        EMPTY,
      ),
    )
  }
}
