/** The simulated Anthropic: its endpoints, its keys, its response headers. */
import type { Answer } from './answer.ts'
import { badRequest, refuse, scriptedError } from './anthropic-errors.ts'
import { answerCountTokens, answerMessages } from './anthropic-messages.ts'
import type { Strictness } from './anthropic-messages-rules.ts'
import { answerModels } from './anthropic-models.ts'
import { anthropicRequestId, cloudflareRay } from './ids.ts'
import type { Api } from './ledger.ts'
import type { Call, Vendor } from './vendor.ts'

const ENDPOINTS: Readonly<Record<string, Api>> = {
  '/v1/messages': 'messages',
  '/v1/messages/count_tokens': 'count_tokens',
  '/v1/models': 'models',
}

export const anthropic = (strictness: Strictness): Vendor => ({
  apiOf: (path) => ENDPOINTS[path] ?? (path.startsWith('/v1/models/') ? 'models' : 'other'),
  newRequestId: anthropicRequestId,
  headers(requestId) {
    const reset = new Date(Math.ceil(Date.now() / 1000) * 1000).toISOString().replace('.000Z', 'Z')
    return {
      'anthropic-ratelimit-requests-limit': '4000',
      'anthropic-ratelimit-requests-remaining': '3999',
      'anthropic-ratelimit-requests-reset': reset,
      'anthropic-ratelimit-input-tokens-limit': '400000',
      'anthropic-ratelimit-input-tokens-remaining': '400000',
      'anthropic-ratelimit-input-tokens-reset': reset,
      'anthropic-ratelimit-output-tokens-limit': '80000',
      'anthropic-ratelimit-output-tokens-remaining': '80000',
      'anthropic-ratelimit-output-tokens-reset': reset,
      'anthropic-ratelimit-tokens-limit': '480000',
      'anthropic-ratelimit-tokens-remaining': '480000',
      'anthropic-ratelimit-tokens-reset': reset,
      'request-id': requestId,
      'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
      'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
      via: '1.1 google',
      'cf-cache-status': 'DYNAMIC',
      'x-robots-tag': 'none',
      server: 'cloudflare',
      'cf-ray': cloudflareRay(),
    }
  },
  answer: (call) => answer(call, strictness),
  scriptedError,
  tooLarge: () => refuse(413, 'Request exceeds the maximum size'),
})

function answer(call: Call, strictness: Strictness): Answer {
  checkCredentials(call)
  if (call.api === 'other') throw refuse(404, 'Not found')
  if (call.method !== (call.api === 'models' ? 'GET' : 'POST')) throw refuse(405, 'Method Not Allowed')
  if (call.headers['anthropic-version'] === undefined) {
    throw badRequest('anthropic-version: header is required')
  }
  if (!/^\d{4}-\d{2}-\d{2}$/.test(String(call.headers['anthropic-version']))) {
    throw badRequest(
      `anthropic-version: "${call.headers['anthropic-version']}" is not a valid version. Please check the documentation for valid versions.`,
    )
  }
  if (call.api === 'models') return answerModels(call.path)
  const body = parseBody(call.body)
  if (call.api === 'count_tokens') return answerCountTokens(body, call.script, strictness)
  return answerMessages(body, call.script, { requestId: call.requestId, strictness })
}

function checkCredentials({ headers }: Call) {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const key = headers['x-api-key'] ?? bearer
  if (key === undefined || key === '') throw refuse(401, 'x-api-key header is required')
  // No key is known here; one that says of itself that it is wrong lets tests see a refusal.
  if (!/invalid|wrong|revoked/.test(String(key))) return
  throw refuse(401, headers['x-api-key'] === undefined ? 'Invalid bearer token' : 'invalid x-api-key')
}

function parseBody(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    throw badRequest(
      `The request body is not valid JSON: ${error instanceof Error ? error.message : 'unreadable'}`,
    )
  }
}
