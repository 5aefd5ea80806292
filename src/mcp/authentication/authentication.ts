/**
 * The gateway as an OAuth 2.1 protected resource for MCP: it checks tokens and tells clients where to get one.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 *
 * A token that was accepted is dropped before the request goes on: the specification forbids passing it through.
 */
import { presentedToken } from '../../core/bearer-token.ts'
import { tokenVerifier } from '../../core/verify-token.ts'
import type { McpAuthenticationDependencies } from './dependencies.ts'
import { serverMetadata } from './identity-provider.ts'
import { signingKeys } from './keys.ts'
import { oauthRelay } from './oauth-relay.ts'
import { type OwnAddress, ownOrigin, pathSuffix } from './own-url.ts'
import { keysUnavailable, type Refusal, unauthorized } from './refusal.ts'
import type { Reply } from './reply.ts'
import type { McpAuthenticationConfig } from './schema.ts'
import { PROTECTED_RESOURCE, type WellKnownRequest, wellKnownPaths } from './well-known.ts'

export interface AuthenticationHead extends OwnAddress {
  /** Without query. */
  readonly path: string
}

export type AuthenticationOutcome =
  | { readonly kind: 'anonymous' }
  | {
      readonly kind: 'caller'
      readonly claims: Record<string, unknown>
      /** The header to drop before going upstream, in lower case. */
      readonly header: string
    }
  | Refusal

export interface McpAuthentication {
  /** Where tokens come, in lower case. */
  readonly header: string
  /** Judges the request's token. Never rejects. */
  readonly authenticate: (head: AuthenticationHead) => Promise<AuthenticationOutcome>
  /** Answers well-known and OAuth helper paths, or undefined when the path is none of them. Never rejects. */
  readonly wellKnown: (request: WellKnownRequest) => Promise<Reply> | undefined
}

const ANONYMOUS: AuthenticationOutcome = { kind: 'anonymous' }

/** Throws `ConfigProblem` when a file of the configuration is of no use. */
export function mcpAuthentication(
  config: McpAuthenticationConfig,
  deps: McpAuthenticationDependencies,
): McpAuthentication {
  const metadata = serverMetadata(config, deps)
  const verify = tokenVerifier(config, signingKeys(config, metadata, deps), deps.now)
  const { name, prefix } = config.authorizationLocation.header
  const header = name.toLowerCase()

  function refuse(head: AuthenticationHead, reason: string | undefined): AuthenticationOutcome {
    const mayPass = config.mode === 'permissive' || (config.mode === 'optional' && reason === undefined)
    if (mayPass) return ANONYMOUS
    const origin = ownOrigin(config, head)
    const url = origin === undefined ? undefined : origin + PROTECTED_RESOURCE + pathSuffix(head.path)
    return unauthorized(url, reason)
  }

  return {
    header,
    async authenticate(head) {
      const presented = presentedToken(head.headers, header, prefix)
      if (presented.kind === 'none') return refuse(head, undefined)
      if (presented.kind === 'malformed') return refuse(head, presented.reason)
      const verdict = await verify(presented.token)
      switch (verdict.kind) {
        case 'valid':
          return { kind: 'caller', claims: verdict.claims, header }
        case 'invalid':
          return refuse(head, verdict.reason)
        case 'unavailable':
          return config.mode === 'permissive' ? ANONYMOUS : keysUnavailable(verdict.cause)
      }
    },
    wellKnown: wellKnownPaths(config, metadata, oauthRelay(config, metadata, deps)),
  }
}
