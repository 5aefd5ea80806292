/**
 * The authorization server's metadata as MCP clients need it, for providers that fall short of the MCP
 * specification. https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 */
import type { ServerMetadata } from './identity-provider.ts'
import type { McpAuthenticationConfig } from './schema.ts'

/** Beneath the metadata's own path, so that one route catches all. */
export const REGISTRATION = '/client-registration'
export const AUTHORIZE = '/authorize'
export const TOKEN = '/token'

/** Entra refuses requests with the `resource` of RFC 8707, which MCP clients must send. */
export const relaysAuthorize = ({ provider }: McpAuthenticationConfig) => provider === 'entra'

/** The secret never leaves the gateway; it is added on the way. */
export const relaysToken = ({ provider, clientSecret }: McpAuthenticationConfig) =>
  provider === 'entra' || clientSecret !== undefined

/** Neither knows RFC 8707; both take the audience as a parameter of theirs. */
function withAudience(endpoint: string, audience: string | undefined): string {
  const url = new URL(endpoint)
  if (audience !== undefined) url.searchParams.set('audience', audience)
  return url.href
}

function registrationEndpoint(
  config: McpAuthenticationConfig,
  metadata: ServerMetadata,
  own: string,
): string | undefined {
  const { clientId, provider } = config
  if (clientId !== undefined || provider === 'keycloak') return own
  // No browser may ask them: https://github.com/keycloak/keycloak/issues/39629
  const needsRelay = provider === 'okta' || provider === 'descope'
  return needsRelay && metadata.registration_endpoint !== undefined ? own : metadata.registration_endpoint
}

const including = (list: unknown, value: string) => {
  const present: readonly unknown[] = Array.isArray(list) ? list : []
  return present.includes(value) ? present : [...present, value]
}

/**
 * @param issuer the gateway's own URL, which clients found this document by
 * @param endpoints what the gateway's own endpoints begin with
 */
export function adaptedMetadata(
  config: McpAuthenticationConfig,
  metadata: ServerMetadata,
  { issuer, endpoints }: { readonly issuer: string; readonly endpoints: string },
): Record<string, unknown> {
  const { provider, clientId } = config
  const adapted: Record<string, unknown> = { ...metadata }

  const registration = registrationEndpoint(config, metadata, endpoints + REGISTRATION)
  if (registration !== undefined) adapted.registration_endpoint = registration
  if (clientId !== undefined)
    adapted.token_endpoint_auth_methods_supported = including(
      metadata.token_endpoint_auth_methods_supported,
      'none',
    )

  if (relaysAuthorize(config)) adapted.authorization_endpoint = endpoints + AUTHORIZE
  else if ((provider === 'auth0' || provider === 'okta') && metadata.authorization_endpoint !== undefined)
    adapted.authorization_endpoint = withAudience(metadata.authorization_endpoint, config.audiences[0])
  if (relaysToken(config)) adapted.token_endpoint = endpoints + TOKEN

  // Entra knows PKCE but does not say so, and MCP clients must not go on without.
  if (provider === 'entra')
    adapted.code_challenge_methods_supported = including(metadata.code_challenge_methods_supported, 'S256')

  if (provider !== undefined) {
    adapted.issuer = issuer
    // The provider's redirect still carries its own name, which strict clients would compare with ours (RFC 9207).
    delete adapted.authorization_response_iss_parameter_supported
  }
  // It would overrule what was changed (RFC 8414 section 2.1).
  delete adapted.signed_metadata
  return adapted
}
