/**
 * Calls of the admin port. Every failure becomes an `ApiError` whose message can be shown as it is.
 *
 * A 401 is also told to `onSignedOut`: any call may be the first to find that the session has ended.
 */
import type { Problem } from '../../../src/admin/api-types.ts'
import { isObject, parseJson, readText } from '../format/json.ts'

export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** 0: there was no answer at all. */
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** Asked for by the admin port of everything but GET: a form on another site cannot set it. */
const WRITE_HEADERS = { 'content-type': 'application/json', 'x-agentgateway-csrf': '1' } as const

type Listener = (message: string) => void

const signedOut = new Set<Listener>()
const unanswered = new Set<Listener>()

export function onSignedOut(listener: Listener): void {
  signedOut.add(listener)
}

/** Any call may be the first to find that the gateway has gone. */
export function onUnanswered(listener: Listener): void {
  unanswered.add(listener)
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The answer as it is, unless there is none. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(path, { ...init, cache: 'no-store', credentials: 'same-origin' })
  } catch (error) {
    if (isAbort(error)) throw error
    const message = 'The gateway does not answer. Is it running?'
    for (const listener of unanswered) listener(message)
    throw new ApiError(0, message, { cause: error })
  }
}

/** The body's JSON as the contract says; it comes from the same release as this page. */
async function bodyOf<T>(response: Response): Promise<T> {
  const text = await response.text()
  if (!response.ok) {
    const problem: unknown = parseJson(text)
    const said = isObject(problem) ? readText(problem, 'error' satisfies keyof Problem) : undefined
    const message = said ?? `The gateway answered ${response.status}.`
    if (response.status === 401) for (const listener of signedOut) listener(message)
    throw new ApiError(response.status, message)
  }
  const body = parseJson(text)
  if (body === undefined && text !== '')
    throw new ApiError(response.status, 'The answer is not JSON. Is this the admin port?')
  return body as T
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return bodyOf<T>(await send(path, { ...(signal && { signal }) }))
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init = { method: 'POST', headers: WRITE_HEADERS, body: JSON.stringify(body) }
  return bodyOf<T>(await send(path, { ...init, ...(signal && { signal }) }))
}

export async function remove<T>(path: string): Promise<T> {
  return bodyOf<T>(await send(path, { method: 'DELETE', headers: WRITE_HEADERS }))
}

/** The body of a successful answer as a stream. */
export async function postForStream(
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const init = { method: 'POST', headers: WRITE_HEADERS, body: JSON.stringify(body), signal }
  const response = await send(path, init)
  if (!response.ok) return bodyOf(response)
  if (response.body === null) throw new ApiError(response.status, 'The answer has no body.')
  return response.body
}

/** What a client would send to the gateway's own port, by way of the admin port. */
export function gatewayPath(port: number, path: string): string {
  return `/api/gateway/${port}${path.startsWith('/') ? path : `/${path}`}`
}

export const GATEWAY_HEADERS = WRITE_HEADERS
