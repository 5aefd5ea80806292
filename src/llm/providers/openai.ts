/** OpenAI, and every server that speaks its API. */
import type { Headers } from '../../core/headers.ts'
import type { Credential, Provider } from './provider.ts'

/** A client that speaks Anthropic's API sends its key as `x-api-key`; here it is a bearer token. */
export function authorizeBearer(headers: Headers, credential: Credential | undefined): void {
  const own = headers['x-api-key']
  delete headers['x-api-key']
  if (credential !== undefined) {
    delete headers.authorization
    headers[credential.header] = credential.value
  } else if (headers.authorization === undefined && own !== undefined) {
    headers.authorization = `Bearer ${String(own)}`
  }
}

export const openAI: Provider = {
  name: 'openai',
  host: 'api.openai.com',
  port: 443,
  basePath: '/v1',
  apis: {
    completions: '/chat/completions',
    responses: '/responses',
    embeddings: '/embeddings',
    models: '/models',
  },
  paths: {},
  authorize: authorizeBearer,
}
