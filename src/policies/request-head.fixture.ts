/** A request's head as policies see it, for their tests. */
import { beginExchange } from '../core/exchange.ts'
import type { DirectReply, Policy, RequestHead } from './policy.ts'

export function requestHead(change: Partial<RequestHead> & { readonly host?: string } = {}): RequestHead {
  const { host = 'gateway.test:3000', ...head } = change
  const exchange = beginExchange({
    trace: {
      traceId: '1'.repeat(32),
      spanId: '2'.repeat(16),
      parentSpanId: undefined,
      sampled: false,
      traceState: undefined,
    },
    clientAddress: '127.0.0.1',
    method: 'GET',
    host,
    path: '/',
    query: '',
    httpVersion: '1.1',
    scheme: 'http',
    userAgent: undefined,
    bind: 'bind/3000',
  })
  return {
    exchange,
    method: 'GET',
    path: '/',
    query: '',
    authority: undefined,
    headers: { host },
    matchedPrefix: undefined,
    caller: undefined,
    apiKey: undefined,
    allowsModel: undefined,
    basicAuth: undefined,
    jwt: undefined,
    metadata: undefined,
    changeBody: undefined,
    ...head,
  }
}

/** Of a policy that does not wait. */
export function replyOf({ onRequest }: Policy, head: RequestHead): DirectReply | undefined {
  const reply = onRequest?.(head)
  if (reply instanceof Promise) throw new Error('the policy waits')
  return reply
}
