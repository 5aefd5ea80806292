/**
 * Every way in which a request can fail, as one table.
 *
 * A fault's code decides everything that the outside sees of it: the HTTP status, the `reason` label that
 * upstream's dashboards group by, the `error_type` label (a closed vocabulary by fault domain: who has to act)
 * and the exchange's outcome. `docs/errors.md` is tested against this table.
 */

/** How an exchange ended. A stream that breaks after its 200 is not `completed`: status alone cannot say that. */
export const OUTCOMES = [
  'completed',
  'client_abort',
  'upstream_error',
  'upstream_midstream_error',
  'timeout',
  'rejected',
  'shed',
  'internal',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Who has to act: the caller, the policy's owner, the provider, or us. `_other` has an alert: it must stay empty. */
export const ERROR_TYPES = [
  'caller_abort',
  'caller_invalid_request',
  'caller_not_found',
  'caller_method_not_allowed',
  'caller_too_large',
  'caller_timeout',
  'policy_rejected',
  'provider_invalid_request',
  'provider_auth',
  'provider_not_found',
  'provider_rate_limited',
  'provider_overloaded',
  'provider_server_error',
  'provider_connect',
  'provider_connect_timeout',
  'provider_timeout',
  'provider_idle_timeout',
  'provider_reset',
  'provider_bad_response',
  'provider_stream_error',
  'gateway_no_backend',
  'gateway_timeout',
  'gateway_overloaded',
  'gateway_shutdown',
  'gateway_internal',
  '_other',
] as const
export type ErrorType = (typeof ERROR_TYPES)[number]

/** `reason` of upstream's request metrics and access log; `Upstream` is the normal case. */
export type Reason =
  | 'Upstream'
  | 'DirectResponse'
  | 'NotFound'
  | 'NoHealthyBackend'
  | 'Internal'
  | 'InvalidRequest'
  | 'Authorization'
  | 'Timeout'
  | 'RateLimit'
  | 'UpstreamFailure'

interface Fault {
  readonly status: number
  readonly reason: Reason
  readonly errorType: ErrorType
  readonly outcome: Outcome
}

/**
 * Statuses follow upstream, except `client_closed`: 499 is what the field logs for a client that left before
 * the head (nobody receives it).
 */
export const FAULTS = {
  bad_request: {
    status: 400,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  invalid_body: {
    status: 400,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  unsupported_conversion: {
    status: 400,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  thread_unsupported_request: {
    status: 400,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  missing_model: {
    status: 400,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  virtual_model_no_matching_target: {
    status: 400,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  unauthenticated: {
    status: 401,
    reason: 'Authorization',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  forbidden: { status: 403, reason: 'Authorization', errorType: 'policy_rejected', outcome: 'rejected' },
  csrf_rejected: {
    status: 403,
    reason: 'Authorization',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  ext_authz_denied: {
    status: 403,
    reason: 'Authorization',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  ext_authz_unavailable: {
    status: 403,
    reason: 'Authorization',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  model_not_allowed: {
    status: 403,
    reason: 'Authorization',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  guard_rejected: {
    status: 403,
    reason: 'DirectResponse',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  rate_limited: { status: 429, reason: 'RateLimit', errorType: 'policy_rejected', outcome: 'rejected' },
  budget_exceeded: { status: 429, reason: 'RateLimit', errorType: 'policy_rejected', outcome: 'rejected' },
  listener_not_found: { status: 404, reason: 'NotFound', errorType: 'caller_not_found', outcome: 'rejected' },
  route_not_found: { status: 404, reason: 'NotFound', errorType: 'caller_not_found', outcome: 'rejected' },
  model_not_found: { status: 404, reason: 'NotFound', errorType: 'caller_not_found', outcome: 'rejected' },
  method_not_allowed: {
    status: 405,
    reason: 'InvalidRequest',
    errorType: 'caller_method_not_allowed',
    outcome: 'rejected',
  },
  client_timeout: { status: 408, reason: 'Timeout', errorType: 'caller_timeout', outcome: 'rejected' },
  body_too_large: {
    status: 413,
    reason: 'InvalidRequest',
    errorType: 'caller_too_large',
    outcome: 'rejected',
  },
  unsupported_encoding: {
    status: 415,
    reason: 'InvalidRequest',
    errorType: 'caller_invalid_request',
    outcome: 'rejected',
  },
  misdirected: { status: 421, reason: 'NotFound', errorType: 'caller_not_found', outcome: 'rejected' },
  headers_too_large: {
    status: 431,
    reason: 'InvalidRequest',
    errorType: 'caller_too_large',
    outcome: 'rejected',
  },
  client_closed: { status: 499, reason: 'Upstream', errorType: 'caller_abort', outcome: 'client_abort' },
  internal: { status: 500, reason: 'Internal', errorType: 'gateway_internal', outcome: 'internal' },
  no_backend: {
    status: 500,
    reason: 'NoHealthyBackend',
    errorType: 'gateway_no_backend',
    outcome: 'internal',
  },
  upstream_bad_response: {
    status: 502,
    reason: 'UpstreamFailure',
    errorType: 'provider_bad_response',
    outcome: 'upstream_error',
  },
  upstream_too_large: {
    status: 502,
    reason: 'UpstreamFailure',
    errorType: 'provider_bad_response',
    outcome: 'upstream_error',
  },
  upstream_connect: {
    status: 503,
    reason: 'UpstreamFailure',
    errorType: 'provider_connect',
    outcome: 'upstream_error',
  },
  upstream_reset: {
    status: 503,
    reason: 'UpstreamFailure',
    errorType: 'provider_reset',
    outcome: 'upstream_error',
  },
  keys_unavailable: {
    status: 503,
    reason: 'Authorization',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  guard_unavailable: {
    status: 503,
    reason: 'UpstreamFailure',
    errorType: 'policy_rejected',
    outcome: 'rejected',
  },
  overloaded: { status: 503, reason: 'Internal', errorType: 'gateway_overloaded', outcome: 'shed' },
  shutting_down: { status: 503, reason: 'Internal', errorType: 'gateway_shutdown', outcome: 'shed' },
  connect_timeout: {
    status: 504,
    reason: 'Timeout',
    errorType: 'provider_connect_timeout',
    outcome: 'timeout',
  },
  upstream_timeout: { status: 504, reason: 'Timeout', errorType: 'provider_timeout', outcome: 'timeout' },
  idle_timeout: { status: 504, reason: 'Timeout', errorType: 'provider_idle_timeout', outcome: 'timeout' },
  request_timeout: { status: 504, reason: 'Timeout', errorType: 'gateway_timeout', outcome: 'timeout' },
} as const satisfies Record<string, Fault>

export type FaultCode = keyof typeof FAULTS

/** An answer that the configuration, or a service that it names, has for a fault. */
export interface FaultReply {
  readonly status: number
  /** Sent as it is; undefined: the usual one. */
  readonly body: string | Buffer | undefined
  /** In the usual one, instead of the fault's own message, and never logged. */
  readonly message?: string | undefined
  /** In lower case. */
  readonly headers: Readonly<Record<string, string | string[]>>
}

interface FaultOptions extends ErrorOptions {
  /** Of the answer, in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly reply?: FaultReply | undefined
}

export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: FaultCode
  readonly headers: FaultReply['headers']
  readonly reply: FaultReply | undefined

  /** `message` is shown to the client; `cause` never is. */
  constructor(code: FaultCode, message: string, { headers, reply, ...options }: FaultOptions = {}) {
    super(message, options)
    this.code = code
    this.headers = headers ?? reply?.headers ?? {}
    this.reply = reply
  }

  get status(): number {
    return this.reply?.status ?? FAULTS[this.code].status
  }
}

/** What an HTTP status of the provider says about who has to act. */
export function errorTypeOfStatus(status: number): ErrorType {
  if (status === 401 || status === 403) return 'provider_auth'
  if (status === 404) return 'provider_not_found'
  if (status === 429) return 'provider_rate_limited'
  if (status === 503 || status === 529) return 'provider_overloaded'
  if (status >= 500) return 'provider_server_error'
  if (status >= 400) return 'provider_invalid_request'
  return '_other'
}
