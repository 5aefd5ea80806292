/** What expressions know of a request: who asks, and for what. */
import type { Headers } from '../core/headers.ts'
import type { RequestHead } from './policy.ts'

/** As the client sent it, but for what policies before have changed in its headers. */
export function requestVariables({ exchange, headers, apiKey, basicAuth, jwt, metadata }: RequestHead) {
  const { method, host, path, clientAddress } = exchange
  return {
    request: { method, host, path, headers },
    source: { address: clientAddress },
    apiKey,
    basicAuth,
    jwt,
    metadata,
  }
}

export const answerVariables = (head: RequestHead, code: number, headers: Headers) => ({
  ...requestVariables(head),
  response: { code, headers },
})
