/** An MCP backend as the configuration has it, everything resolved: what a running one is made from. */
import type { McpAuthenticationConfig } from './authentication/schema.ts'
import type { McpAuthorizationConfig } from './authorization.ts'
import type { HttpEndpoint } from './http.ts'
import type { PrefixMode } from './names.ts'
import type { OpenApiCatalog } from './openapi/catalog.ts'

export interface McpSource {
  /** The same for the same configuration: a reload leaves what did not change as it is, sessions included. */
  readonly key: string
  readonly name: string
  readonly targets: readonly TargetSource[]
  readonly isStateful: boolean
  readonly prefixMode: PrefixMode
  readonly failureMode: 'failOpen' | 'failClosed'
  readonly dnsRebindingProtection: boolean | undefined
  readonly hostnames: readonly string[]
  readonly authorization: readonly McpAuthorizationConfig[]
  readonly authentication: McpAuthenticationConfig | undefined
  /** Where that stands in the file. */
  readonly authenticationPath: readonly (string | number)[]
}

export interface TargetSource {
  readonly name: string
  readonly way: TargetWay
  /** Milliseconds; 0 = no limit. */
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}

export type TargetWay =
  | {
      readonly kind: 'stdio'
      readonly command: string
      readonly args: readonly string[]
      readonly environment: Readonly<Record<string, string>>
      readonly inheritsEnvironment: boolean
    }
  | { readonly kind: 'streamable-http' | 'sse'; readonly endpoint: HttpEndpoint; readonly path: string }
  | {
      readonly kind: 'openapi'
      readonly endpoint: HttpEndpoint
      readonly pathPrefix: string
      readonly document: OpenApiCatalog | { readonly url: string }
    }
