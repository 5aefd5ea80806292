/** The paths by which clients discover how to get a token. They need none, so they bypass authentication. */

import type { Kept } from '../../core/keep-fresh.ts'
import type { ServerMetadata } from './identity-provider.ts'
import { metadataUnavailable, type OAuthRelay, type RelayRequest } from './oauth-relay.ts'
import { type OwnAddress, ownOrigin, pathSuffix } from './own-url.ts'
import { answerTo, errorReply, jsonReply, type Reply } from './reply.ts'
import { resourceMetadata } from './resource-metadata.ts'
import type { McpAuthenticationConfig } from './schema.ts'
import {
  AUTHORIZE,
  adaptedMetadata,
  REGISTRATION,
  relaysAuthorize,
  relaysToken,
  TOKEN,
} from './server-metadata.ts'

export const PROTECTED_RESOURCE = '/.well-known/oauth-protected-resource'
const AUTHORIZATION_SERVER = '/.well-known/oauth-authorization-server'
const OPENID_CONFIGURATION = '/.well-known/openid-configuration'

export interface WellKnownRequest extends OwnAddress, RelayRequest {
  readonly method: string
  readonly path: string
}

/** The resource's path behind a well-known one (RFC 8414 section 3); undefined when the path is another. */
function behind(prefix: string, path: string): string | undefined {
  if (path === prefix) return ''
  return path.startsWith(`${prefix}/`) ? pathSuffix(path.slice(prefix.length)) : undefined
}

export function wellKnownPaths(
  config: McpAuthenticationConfig,
  metadata: Kept<ServerMetadata>,
  relay: OAuthRelay,
): (request: WellKnownRequest) => Promise<Reply> | undefined {
  // Without a configured resource, documents hold the host that one client asked for: no cache may give them to others.
  const cacheControl = config.resourceMetadata.resource === undefined ? 'no-store' : 'public, max-age=300'

  function withOrigin(request: WellKnownRequest, answer: (origin: string) => Promise<Reply> | Reply) {
    return answerTo(request, 'GET', () => {
      const origin = ownOrigin(config, request)
      return origin === undefined
        ? errorReply(400, 'invalid_request', 'the request names no usable host')
        : answer(origin)
    })
  }

  const describeResource = (request: WellKnownRequest, suffix: string) =>
    withOrigin(request, (origin) => jsonReply(200, resourceMetadata(config, origin + suffix), cacheControl))

  const describeServer = (request: WellKnownRequest, suffix: string) =>
    withOrigin(request, async (origin) => {
      const own = { issuer: origin + suffix, endpoints: origin + AUTHORIZATION_SERVER + suffix }
      try {
        return jsonReply(200, adaptedMetadata(config, await metadata.current(), own), cacheControl)
      } catch (cause) {
        return metadataUnavailable(cause)
      }
    })

  return (request) => {
    const { path } = request
    const resource = behind(PROTECTED_RESOURCE, path)
    if (resource !== undefined) return describeResource(request, resource)
    if (path.endsWith(REGISTRATION)) return answerTo(request, 'POST', () => relay.register(request))
    const server = behind(AUTHORIZATION_SERVER, path)
    if (server !== undefined) {
      if (relaysAuthorize(config) && server.endsWith(AUTHORIZE))
        return answerTo(request, 'GET', () => relay.authorize(request))
      if (relaysToken(config) && server.endsWith(TOKEN))
        return answerTo(request, 'POST', () => relay.token(request))
      return describeServer(request, server)
    }
    const openId = behind(OPENID_CONFIGURATION, path)
    return openId === undefined ? undefined : describeServer(request, openId)
  }
}
