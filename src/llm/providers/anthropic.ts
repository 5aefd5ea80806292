/** Anthropic. https://docs.anthropic.com/en/api/overview#authentication */
import type { Headers } from '../../core/headers.ts'
import type { Credential, Provider } from './provider.ts'

const VERSION = '2023-06-01'
/** OAuth tokens stay bearer tokens; API keys move to `x-api-key`. */
const OAUTH_PREFIX = 'sk-ant-oat'
/** What a browser adds; Anthropic refuses requests that look like one. */
const BROWSER_ONLY = /^(origin|sec-fetch-.*|access-control-request-.*)$/

export function authorizeAnthropic(headers: Headers, credential: Credential | undefined): void {
  for (const name in headers) if (BROWSER_ONLY.test(name)) delete headers[name]
  headers['anthropic-version'] ??= VERSION
  if (credential !== undefined) {
    delete headers.authorization
    delete headers['x-api-key']
    if (credential.explicit) {
      headers[credential.header] = credential.value
      return
    }
    headers.authorization = credential.value
  }
  const { authorization } = headers
  if (typeof authorization !== 'string') return
  const [, token] = /^Bearer\s+(\S+)$/i.exec(authorization) ?? []
  if (token === undefined || token.startsWith(OAUTH_PREFIX)) return
  delete headers.authorization
  headers['x-api-key'] ??= token
}

export const anthropic: Provider = {
  name: 'anthropic',
  host: 'api.anthropic.com',
  port: 443,
  basePath: '/v1',
  apis: { messages: '/messages', anthropicTokenCount: '/messages/count_tokens', models: '/models' },
  paths: {},
  authorize: authorizeAnthropic,
}
