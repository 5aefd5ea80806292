/** An MCP backend as it runs: its targets, what is known of them, and how their names are told apart. */
import type { McpResourceType } from '../core/exchange.ts'
import type { McpAuthentication } from './authentication/authentication.ts'
import type { McpAuthorization } from './authorization.ts'
import type { TargetHealth } from './health.ts'
import type { Fetching, HttpRequest } from './http.ts'
import type { Naming, PrefixMode } from './names.ts'
import type { OpenTransport } from './transport.ts'

export interface McpSpec {
  /** As metrics and spans show it. */
  readonly name: string
  readonly isStateful: boolean
  readonly prefixMode: PrefixMode
  readonly failureMode: 'failOpen' | 'failClosed'
  /** Undefined = on where the client's connection is a loopback one. */
  readonly dnsRebindingProtection: boolean | undefined
  /** Hostnames that the configuration names for the route: nobody can rebind them. */
  readonly hostnames: readonly string[]
  readonly authorization: McpAuthorization | undefined
  readonly authentication: McpAuthentication | undefined
}

export interface Target {
  readonly name: string
  readonly endpoint: string
  readonly transport: 'tcp' | 'pipe'
  readonly health: TargetHealth
  readonly openTransport: OpenTransport
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly known: KnownNames
  /** Of a target over HTTP: asks it for what stands beside its MCP endpoint, without the gateway's credential. */
  readonly fetchDocument: ((request: HttpRequest) => Fetching) | undefined
}

export interface McpBackend {
  readonly spec: McpSpec
  readonly targets: readonly Target[]
  readonly naming: Naming
}

/** Names that a target is known to have: what clients merely ask for is no label. */
export interface KnownNames {
  readonly has: (type: McpResourceType, name: string) => boolean
  readonly add: (type: McpResourceType, name: string) => void
  readonly all: (type: McpResourceType) => readonly string[]
}

const MAX_NAMES = 5000

export function knownNames(): KnownNames {
  const names = new Set<string>()
  return {
    has: (type, name) => names.has(`${type} ${name}`),
    add(type, name) {
      if (names.size < MAX_NAMES && name.length <= 256) names.add(`${type} ${name}`)
    },
    all: (type) =>
      [...names].filter((one) => one.startsWith(`${type} `)).map((one) => one.slice(type.length + 1)),
  }
}
