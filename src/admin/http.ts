/** What all answers of the side doors are made with. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** An answer other than the one that was asked for; its message is shown. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

export function text(
  response: ServerResponse,
  status: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

export const json = (response: ServerResponse, status: number, body: unknown): void =>
  jsonText(response, status, JSON.stringify(body))

/** Never kept by a browser or a proxy: it tells of requests. */
export function jsonText(response: ServerResponse, status: number, body: string): void {
  response.setHeader('cache-control', 'no-store')
  text(response, status, `${body}\n`, 'application/json')
}

const MAX_BODY = 1024 * 1024

/** Throws `ApiError`: 415, 413, or 400 with the first thing that is wrong. */
export async function readJson<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const type = request.headers['content-type'] ?? ''
  if (!/^application\/json\s*(?:;|$)/i.test(type))
    throw new ApiError(415, 'send JSON with Content-Type: application/json')
  const pieces: Buffer[] = []
  let length = 0
  try {
    for await (const piece of request) {
      length += (piece as Buffer).length
      if (length > MAX_BODY) throw new ApiError(413, `a request may have ${MAX_BODY} bytes`)
      pieces.push(piece as Buffer)
    }
  } catch (cause) {
    throw cause instanceof ApiError ? cause : new ApiError(400, 'the request broke off')
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.concat(pieces).toString('utf8') || '{}')
  } catch (cause) {
    throw new ApiError(400, `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  const read = schema.safeParse(parsed)
  if (read.success) return read.data
  const [issue] = read.error.issues
  const place = issue?.path.join('.') ?? ''
  throw new ApiError(400, `${place === '' ? '' : `${place}: `}${issue?.message ?? 'not valid'}`)
}
