/** What expressions know of a request: who asks, and for what. */
import type { Names } from '../core/cel.ts'
import type { Headers } from '../core/headers.ts'
import type { RequestHead } from './policy.ts'

export const REQUEST_NAMES = {
  request: { method: true, host: true, path: true, headers: true },
  source: { address: true },
  apiKey: true,
  basicAuth: true,
  jwt: true,
} as const satisfies Names

export const ANSWER_NAMES = {
  ...REQUEST_NAMES,
  response: { code: true, headers: true },
} as const satisfies Names

/** As the client sent it, but for what policies before have changed in its headers. */
export function requestVariables({ exchange, headers, apiKey, basicAuth, jwt }: RequestHead) {
  const { method, host, path, clientAddress } = exchange
  return {
    request: { method, host, path, headers },
    source: { address: clientAddress },
    apiKey,
    basicAuth,
    jwt,
  }
}

export const answerVariables = (head: RequestHead, code: number, headers: Headers) => ({
  ...requestVariables(head),
  response: { code, headers },
})
