/**
 * OAuth endpoints that the gateway offers in place of the authorization server's: registration of clients, and,
 * where the provider needs it, authorization and tokens.
 *
 * The configured client secret is added to token requests here and told to nobody. Clients of the gateway are
 * anonymous, so it is added only where something else proves that the user consented: a code with its PKCE
 * verifier, or a refresh token. With `client_credentials` anyone could be the application itself.
 */
import { z } from 'zod'
import { MAX_BYTES, TIMEOUT_MS } from '../../core/fetch-json.ts'
import type { Headers } from '../../core/headers.ts'
import type { Kept } from '../../core/keep-fresh.ts'
import type { McpAuthenticationDependencies } from './dependencies.ts'
import { defaultRegistrationUrl, type ServerMetadata } from './identity-provider.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import type { McpAuthenticationConfig } from './schema.ts'

const MAX_REQUEST_BYTES = 64 * 1024

export interface RelayRequest {
  readonly query: string
  readonly headers: Readonly<Headers>
  readonly body?: Buffer
}

export interface OAuthRelay {
  readonly register: (request: RelayRequest) => Promise<Reply>
  readonly authorize: (request: RelayRequest) => Promise<Reply>
  readonly token: (request: RelayRequest) => Promise<Reply>
}

/** https://www.rfc-editor.org/rfc/rfc7591#section-2 */
const registrationRequest = z.looseObject({ redirect_uris: z.array(z.string()).optional() })

export const metadataUnavailable = (cause: unknown) =>
  errorReply(
    502,
    'temporarily_unavailable',
    'the metadata of the authorization server cannot be fetched',
    cause,
  )

function parsedRegistration(body: Buffer): z.output<typeof registrationRequest> | undefined {
  try {
    return registrationRequest.parse(JSON.parse(body.toString('utf8')))
  } catch {
    return undefined
  }
}

function mayUseSecret(form: URLSearchParams, headers: Readonly<Headers>, clientId: string | undefined) {
  // Of a repeated parameter, the provider might read the other one.
  if (new Set(form.keys()).size !== form.size) return false
  if (headers.authorization !== undefined || form.has('client_secret') || form.has('client_assertion'))
    return false
  if (form.get('client_id') !== clientId) return false
  if (form.get('grant_type') === 'refresh_token') return true
  return form.get('grant_type') === 'authorization_code' && (form.get('code_verifier') ?? '') !== ''
}

export function oauthRelay(
  config: McpAuthenticationConfig,
  metadata: Kept<ServerMetadata>,
  deps: McpAuthenticationDependencies,
): OAuthRelay {
  const { clientId, clientSecret } = config
  const secret = typeof clientSecret === 'object' ? deps.readText(clientSecret.file).trim() : clientSecret

  async function forward(
    url: string,
    headers: Record<string, string>,
    body: string | Buffer,
  ): Promise<Reply> {
    try {
      const reply = await deps.fetch(url, {
        method: 'POST',
        headers: { accept: 'application/json', ...headers },
        body,
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
      })
      const document: unknown = JSON.parse(reply.body.toString('utf8'))
      return jsonReply(reply.status, document)
    } catch (cause) {
      const description = 'the authorization server gave no usable answer'
      return errorReply(502, 'temporarily_unavailable', description, cause)
    }
  }

  /** Where the metadata says that an endpoint is; a reply when it does not. */
  async function endpoint(
    name: 'registration_endpoint' | 'authorization_endpoint' | 'token_endpoint',
  ): Promise<string | Reply> {
    try {
      const url = (await metadata.current())[name]
      return url ?? errorReply(404, 'invalid_request', `the authorization server has no ${name}`)
    } catch (cause) {
      return metadataUnavailable(cause)
    }
  }

  return {
    async register({ body = Buffer.alloc(0) }) {
      if (body.length > MAX_REQUEST_BYTES) return tooLarge()
      const wanted = parsedRegistration(body)
      if (wanted === undefined)
        return errorReply(400, 'invalid_client_metadata', 'expected client metadata as JSON')
      if (clientId !== undefined)
        return jsonReply(201, {
          client_id: clientId,
          token_endpoint_auth_method: 'none',
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
          redirect_uris: wanted.redirect_uris ?? [],
        })
      const url = defaultRegistrationUrl(config) ?? (await endpoint('registration_endpoint'))
      if (typeof url !== 'string') return url
      return forward(url, { 'content-type': 'application/json' }, body)
    },

    async authorize({ query }) {
      const url = await endpoint('authorization_endpoint')
      if (typeof url !== 'string') return url
      const target = new URL(url)
      for (const [name, value] of new URLSearchParams(query))
        if (name !== 'resource') target.searchParams.append(name, value)
      return { status: 302, headers: { location: target.href, 'cache-control': 'no-store' }, body: '' }
    },

    async token({ headers, body = Buffer.alloc(0) }) {
      if (body.length > MAX_REQUEST_BYTES) return tooLarge()
      const url = await endpoint('token_endpoint')
      if (typeof url !== 'string') return url
      const form = new URLSearchParams(body.toString('utf8'))
      if (config.provider === 'entra') form.delete('resource')
      if (secret !== undefined && mayUseSecret(form, headers, clientId)) form.set('client_secret', secret)
      const { authorization } = headers
      return forward(
        url,
        {
          'content-type': 'application/x-www-form-urlencoded',
          ...(typeof authorization === 'string' && { authorization }),
        },
        form.toString(),
      )
    },
  }
}

const tooLarge = () => errorReply(413, 'invalid_request', 'the request is longer than 64 KiB')
