/** The document that tells clients who issues tokens for this server. https://www.rfc-editor.org/rfc/rfc9728#section-2 */
import type { McpAuthenticationConfig } from './schema.ts'

const snakeCase = (key: string) => key.replace(/([a-z\d])([A-Z])/g, '$1_$2').toLowerCase()

/** `resourceUrl` is this server's own, as the client sees it. */
export function resourceMetadata(
  config: McpAuthenticationConfig,
  resourceUrl: string,
): Record<string, unknown> {
  const configured = Object.entries(config.resourceMetadata).filter(([, value]) => value !== undefined)
  return {
    resource: resourceUrl,
    // With a provider, clients take the gateway for the authorization server: it mends the provider's metadata.
    authorization_servers: [config.provider === undefined ? config.issuer : resourceUrl],
    bearer_methods_supported: ['header'],
    mcp_protocol_version: '2025-11-25',
    resource_type: 'mcp-server',
    ...Object.fromEntries(configured.map(([key, value]) => [snakeCase(key), value])),
  }
}
