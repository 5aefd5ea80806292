/** Why the gateway itself does not do what a message asks for: the HTTP status and the JSON-RPC error of it. */
import type { McpErrorType } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { type RequestId, RPC_ERRORS } from './json-rpc.ts'
import { TargetError } from './transport.ts'

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly code: number
  readonly type: McpErrorType
  readonly headers: Headers
  readonly data: unknown
  /** Of the request that it is about, where that could be read. */
  requestId: RequestId | undefined

  constructor(
    status: number,
    code: number,
    message: string,
    options: ErrorOptions & {
      readonly type?: McpErrorType
      readonly headers?: Headers
      readonly data?: unknown
    } = {},
  ) {
    super(message, options)
    this.status = status
    this.code = code
    this.type = options.type ?? 'invalid_request'
    this.headers = options.headers ?? {}
    this.data = options.data
  }

  about(requestId: RequestId | undefined): this {
    this.requestId = requestId
    return this
  }
}

const NOUNS = { tool: 'tool', prompt: 'prompt', resource: 'resource', task: 'task' } as const

/** The same for what is not there and for what the caller must not know of. */
export function unknownResource(kind: keyof typeof NOUNS, name: string, isDenied: boolean): Refusal {
  const type = isDenied ? 'denied' : 'invalid_request'
  return new Refusal(400, RPC_ERRORS.invalidParams, `Unknown ${NOUNS[kind]}: ${name}`, { type })
}

const STATUS_OF: Partial<Record<McpErrorType, number>> = {
  unavailable: 503,
  timeout: 504,
  invalid_request: 400,
}

/** A target's failure as the client hears it; what a target says of the client's credential reaches the client. */
export function refusalOf(error: TargetError): Refusal {
  const { reply } = error
  const isAboutCredential = reply?.status === 401 || reply?.status === 403
  const challenge = reply?.headers['www-authenticate']
  const status = isAboutCredential ? reply.status : (STATUS_OF[error.type] ?? 500)
  return new Refusal(status, RPC_ERRORS.internal, error.message, {
    type: error.type,
    headers: isAboutCredential && challenge !== undefined ? { 'www-authenticate': challenge } : {},
    cause: error,
  })
}

/** Of a request that went to all: by the failure mode nobody is left to ask, or one was too many to miss. */
export function refusalOfAll(error: unknown, failureMode: 'failOpen' | 'failClosed'): unknown {
  if (!(error instanceof TargetError)) return error
  const refusal = refusalOf(error)
  if (refusal.status === 401 || refusal.status === 403) return refusal
  const { code, message, type, headers } = refusal
  return new Refusal(failureMode === 'failOpen' ? 503 : 500, code, message, { type, headers, cause: error })
}

export const tooManySessions = () =>
  new Refusal(503, RPC_ERRORS.internal, 'Too many sessions', {
    type: 'unavailable',
    headers: { 'retry-after': '30' },
  })
