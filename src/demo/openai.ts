/** The simulated OpenAI: its endpoints, its keys, its response headers. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Answer } from './answer.ts'
import { cloudflareRay, openAIRequestId } from './ids.ts'
import type { Api } from './ledger.ts'
import { answerChat } from './openai-chat.ts'
import { answerEmbeddings } from './openai-embeddings.ts'
import {
  badRequest,
  invalidUrl,
  noApiKey,
  notJson,
  refuse,
  scriptedError,
  wrongApiKey,
} from './openai-errors.ts'
import { answerModels } from './openai-models.ts'
import { answerResponses } from './openai-responses.ts'
import type { Call, Vendor } from './vendor.ts'

const ENDPOINTS: Readonly<Record<string, Api>> = {
  '/v1/chat/completions': 'completions',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
  '/v1/models': 'models',
}

export const openAI: Vendor = {
  apiOf: (path) => ENDPOINTS[path] ?? (path.startsWith('/v1/models/') ? 'models' : 'other'),
  newRequestId: openAIRequestId,
  headers: (requestId, processingMs) => ({
    'openai-organization': 'org-simulated',
    'openai-processing-ms': String(processingMs),
    'openai-project': 'proj_simulated',
    'openai-version': '2020-10-01',
    'x-envoy-upstream-service-time': String(processingMs),
    'x-ratelimit-limit-requests': '10000',
    'x-ratelimit-limit-tokens': '200000',
    'x-ratelimit-remaining-requests': '9999',
    'x-ratelimit-remaining-tokens': '199984',
    'x-ratelimit-reset-requests': '8.64s',
    'x-ratelimit-reset-tokens': '4ms',
    'x-request-id': requestId,
    'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
    'cf-cache-status': 'DYNAMIC',
    'set-cookie': [`__cf_bm=simulated; path=/; domain=.api.openai.com; HttpOnly; Secure; SameSite=None`],
    'x-content-type-options': 'nosniff',
    server: 'cloudflare',
    'cf-ray': cloudflareRay(),
    'alt-svc': 'h3=":443"; ma=86400',
  }),
  answer,
  scriptedError,
  tooLarge: () => refuse(413, { message: 'Maximum content size limit exceeded.', code: 'content_too_large' }),
}

function answer(call: Call): Answer {
  checkApiKey(call.headers)
  if (call.api === 'other') throw invalidUrl(call.method, call.path)
  const method = call.api === 'models' ? 'GET' : 'POST'
  if (call.method !== method) {
    throw refuse(405, {
      message: `Not allowed to ${call.method} on ${call.path}. (HINT: Perhaps you meant to use a different HTTP method?)`,
    })
  }
  if (call.api === 'models') return answerModels(call.path)
  const body = parseBody(call)
  switch (call.api) {
    case 'completions':
      return answerChat(body, call.script, call.requestId)
    case 'responses':
      return answerResponses(body, call.script)
    case 'embeddings':
      return answerEmbeddings(body, call.script)
    default:
      throw invalidUrl(call.method, call.path)
  }
}

function checkApiKey({ authorization }: IncomingHttpHeaders) {
  const key = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1]
  if (key === undefined) throw noApiKey()
  // No key is known here; one that says of itself that it is wrong lets tests see a refusal.
  if (/invalid|wrong|revoked/.test(key)) throw wrongApiKey(key)
}

function parseBody({ headers, body }: Call): unknown {
  const type = headers['content-type'] ?? ''
  if (!/^application\/json\b/i.test(type)) {
    throw refuse(400, {
      message: `Unsupported content type: '${type}'. This API method only accepts 'application/json' requests, but you specified the header 'Content-Type: ${type}'. Please try again with a supported content type.`,
      code: 'unsupported_content_type',
    })
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    throw notJson()
  }
  if (typeof parsed === 'object' && parsed !== null && !('model' in parsed)) {
    throw badRequest('you must provide a model parameter')
  }
  return parsed
}
