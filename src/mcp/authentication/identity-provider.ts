/**
 * The authorization server that issues the tokens: where its documents are, and reading them.
 *
 * Its metadata counts only when it names the configured issuer, or anyone who can answer in its place could name
 * keys of their own (RFC 8414 section 3.3). Entra is exempt: its v1 issuer has no metadata of that name, and the
 * address is derived from the tenant.
 */
import { z } from 'zod'
import { type FetchDependencies, fetchJson, TIMEOUT_MS } from '../../core/fetch-json.ts'
import { type Kept, keepFresh } from '../../core/keep-fresh.ts'
import { httpUrl } from '../../core/schema.ts'
import { withoutSlash } from '../../core/verify-token.ts'
import type { McpAuthenticationConfig } from './schema.ts'

type Issuer = Pick<McpAuthenticationConfig, 'issuer' | 'provider'>

/** https://www.rfc-editor.org/rfc/rfc8414#section-2 */
const metadataSchema = z.looseObject({
  issuer: z.string(),
  jwks_uri: httpUrl.optional(),
  authorization_endpoint: httpUrl.optional(),
  token_endpoint: httpUrl.optional(),
  registration_endpoint: httpUrl.optional(),
})
export type ServerMetadata = z.output<typeof metadataSchema>

/** Both version 1 (https://sts.windows.net/<tenant>/) and version 2 (…/<tenant>/v2.0) of its issuers. */
function entraTenant(issuer: string): string {
  const url = new URL(issuer)
  const [, tenant = ''] = url.pathname.split('/')
  const origin = url.hostname === 'sts.windows.net' ? 'https://login.microsoftonline.com' : url.origin
  return `${origin}/${tenant}`
}

/** Undefined when only the metadata says where the keys are. */
export function defaultKeysUrl({ issuer, provider }: Issuer): string | undefined {
  const base = withoutSlash(issuer)
  switch (provider) {
    case 'keycloak':
      return `${base}/protocol/openid-connect/certs`
    case 'auth0':
      return `${base}/.well-known/jwks.json`
    case 'okta':
      // The organization's own authorization server has no path: https://developer.okta.com/docs/reference/api/oidc/
      return new URL(base).pathname === '/' ? `${base}/oauth2/v1/keys` : `${base}/v1/keys`
    case 'entra':
      return `${entraTenant(issuer)}/discovery/v2.0/keys`
    default:
      return undefined
  }
}

/** Where clients register, for providers whose metadata may not say so. */
export function defaultRegistrationUrl({ issuer, provider }: Issuer): string | undefined {
  const base = withoutSlash(issuer)
  const { origin, pathname } = new URL(base)
  if (provider === 'keycloak') return `${base}/clients-registrations/openid-connect`
  if (provider === 'okta') return `${origin}/oauth2/v1/clients`
  const agentic = /^\/v1\/apps\/agentic\/([^/]+)\/([^/]+)/.exec(pathname)
  if (provider === 'descope' && agentic !== null)
    return `${origin}/v1/mgmt/mcp/client/${agentic[1]}/${agentic[2]}/register`
  return undefined
}

/** The places where the metadata may be, likeliest first. */
function metadataUrls({ issuer, provider }: Issuer): readonly string[] {
  if (provider === 'entra') return [`${entraTenant(issuer)}/v2.0/.well-known/openid-configuration`]
  const base = withoutSlash(issuer)
  const { origin, pathname } = new URL(base)
  const inserted = `${origin}/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`
  const appended = `${base}/.well-known/openid-configuration`
  const appendsOnly =
    provider === 'keycloak' || provider === 'okta' || provider === 'descope' || provider === 'authentik'
  return appendsOnly ? [appended, inserted] : [inserted, appended]
}

export function serverMetadata(
  config: McpAuthenticationConfig,
  deps: FetchDependencies,
): Kept<ServerMetadata> {
  const urls = metadataUrls(config)
  const isTrusted = ({ issuer }: ServerMetadata) =>
    config.provider === 'entra' || withoutSlash(issuer) === withoutSlash(config.issuer)

  async function load(): Promise<ServerMetadata> {
    const deadline = deps.now() + TIMEOUT_MS
    const errors: unknown[] = []
    for (const url of urls) {
      try {
        const metadata = metadataSchema.parse(await fetchJson(deps, url, deadline))
        if (isTrusted(metadata)) return metadata
        errors.push(new Error(`${url} names the issuer ${metadata.issuer}`))
      } catch (error) {
        errors.push(error)
      }
    }
    throw new AggregateError(errors, `no metadata of ${config.issuer}`)
  }

  return keepFresh(load, deps.now)
}
