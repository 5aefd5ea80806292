/** An error in the shape that each API's SDK reads. */
import type { WireFormat } from '../core/exchange.ts'
import type { SseEvent } from '../core/sse.ts'

/** OpenAI's `error.type` for a status. */
function openAiType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** Anthropic's `error.type` for a status. https://docs.anthropic.com/en/api/errors */
function anthropicType(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error'
    case 403:
      return 'permission_error'
    case 404:
      return 'not_found_error'
    case 413:
      return 'request_too_large'
    case 429:
      return 'rate_limit_error'
    case 504:
      return 'timeout_error'
    case 503:
    case 529:
      return 'overloaded_error'
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error'
  }
}

/** `code` is our fault's code; OpenAI's SDK shows it, Anthropic's has no place for it. */
export function errorBody(
  format: WireFormat,
  status: number,
  message: string,
  code: string | null,
): Record<string, unknown> {
  if (format === 'messages') {
    const details = code === 'thread_unsupported_request' && { error_code: code, unsupported: ['thread'] }
    return { type: 'error', error: { type: anthropicType(status), message, ...(details && { details }) } }
  }
  return { error: { message, type: openAiType(status), param: null, code } }
}

/** An error inside a stream, in the client's format. */
export function errorEvent(format: WireFormat, status: number, message: string, code: string): SseEvent {
  if (format === 'responses') {
    return {
      event: 'error',
      data: JSON.stringify({ type: 'error', code, message, param: null, sequence_number: 0 }),
    }
  }
  return {
    event: format === 'messages' ? 'error' : undefined,
    data: JSON.stringify(errorBody(format, status, message, code)),
  }
}
