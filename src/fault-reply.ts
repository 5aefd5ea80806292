/** A fault in words: for the client, in its own format, and for the log. */
import type { GatewayError } from './core/errors.ts'
import type { WireFormat } from './core/exchange.ts'
import type { Headers } from './core/headers.ts'
import { errorBody } from './llm/error-body.ts'
import { rpcFaultBody } from './mcp-answer.ts'

/** As this client wants to hear of it; what the configuration says instead is sent as it is. */
export function faultReply(
  fault: GatewayError,
  format: WireFormat | 'mcp' | undefined,
): { readonly headers: Headers; readonly body: string | Buffer } {
  const { status, message, code, reply } = fault
  const headers: Headers = { ...fault.headers }
  if (reply?.body !== undefined) return { headers, body: reply.body }
  const said = reply?.message ?? message
  headers['content-type'] = format === undefined ? 'text/plain; charset=utf-8' : 'application/json'
  if (format === undefined) return { headers, body: said }
  const body = format === 'mcp' ? rpcFaultBody(fault) : JSON.stringify(errorBody(format, status, said, code))
  return { headers, body }
}

/** For the log: with what the system said. Causes on the caller's side may quote its body and are left out. */
export function explain({ code, message, cause }: GatewayError): string {
  const isUpstreams =
    code.startsWith('upstream') || code.startsWith('connect') || code.endsWith('_unavailable')
  if (!isUpstreams || !(cause instanceof Error) || message.includes(cause.message)) return message
  return `${message}: ${cause.message}`
}
