/** What goes wrong between us and an upstream, as the gateway's own faults. */
import { type FaultCode, GatewayError } from '../core/errors.ts'

const CONNECT_ERRORS = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_NODATA',
  'EACCES',
])

function faultOf(error: Error, started: boolean): FaultCode {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  switch (code) {
    case 'connect_timeout':
      return 'connect_timeout'
    case 'ETIMEDOUT':
      // Keepalive probes without an answer end a connection that stood with the same code.
      return started ? 'upstream_reset' : 'connect_timeout'
    case 'bad_response':
      return 'upstream_bad_response'
    case 'bad_request':
      return 'bad_request'
    default:
      break
  }
  if (!started || CONNECT_ERRORS.has(code) || code.startsWith('ERR_TLS') || code.startsWith('CERT_'))
    return 'upstream_connect'
  return 'upstream_reset'
}

export const SAYS: Partial<Record<FaultCode, string>> = {
  connect_timeout: 'upstream call timeout: no connection in time',
  upstream_timeout: 'upstream call timeout: no response in time',
  idle_timeout: 'upstream call timeout: the response stalled',
  upstream_bad_response: 'upstream call failed: the response is not valid HTTP',
  upstream_connect: 'upstream call failed: cannot connect',
  upstream_reset: 'upstream call failed: the connection was closed',
  bad_request: 'the request cannot be forwarded',
}

function speakerOf(error: AggregateError): Error {
  const errors = error.errors.filter((each): each is NodeJS.ErrnoException => each instanceof Error)
  return errors.find(({ code }) => code === 'ETIMEDOUT') ?? errors[0] ?? error
}

/** An error of the client's, or the system's, as ours. Of several addresses that were tried speaks the one that gave no answer, or the first. */
export function asGatewayError(error: Error, started: boolean): GatewayError {
  const cause = error instanceof AggregateError ? speakerOf(error) : error
  const fault = faultOf(cause, started)
  return new GatewayError(fault, SAYS[fault] ?? 'upstream call failed', { cause })
}
