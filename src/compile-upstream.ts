/** What the compilation of every kind of backend shares: files, layers of policies, connections to upstreams. */
import { createSecureContext } from 'node:tls'
import type { BackendPolicies, Config, RoutePolicies } from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import { isHeaderValue, type Secret } from './core/schema.ts'
import type { UpstreamTarget, UpstreamTls } from './core/upstream.ts'
import type { Lasting } from './lasting.ts'
import type { McpAuthorizationConfig } from './mcp/authorization.ts'
import type { McpSource } from './mcp/source.ts'
import { type BackendAuth, backendAuth } from './policies/backend-auth.ts'
import type { Budget } from './policies/budget-book.ts'
import { type Timeouts, timeouts } from './policies/timeout.ts'
import type { Health } from './upstream/health.ts'
import type { BackendTls } from './upstream/schema.ts'

/** Where it is not said: enough for a burst, too few to make anybody wait for long. */
const MAX_PENDING = 1024

export type KeyPath = readonly (string | number)[]

/** Reads a file as text; throws when it cannot. */
export type ReadText = (path: string) => string

/** What the compilation of the parts gathers for the whole. */
export interface Context {
  readonly config: Config
  readonly readText: ReadText
  readonly targets: UpstreamTarget[]
  readonly mcp: McpSource[]
  readonly lasting: Lasting
  readonly watched: Health[]
  /** By which what is kept of routes is told apart. */
  readonly routeKeys: Set<string>
  readonly budgets: Budget[]
}

export function readAt(context: Pick<Context, 'readText'>, path: KeyPath, file: string): string {
  try {
    return context.readText(file)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigProblem(path, `cannot read ${file}: ${detail}`, { cause })
  }
}

export function splitEndpoint(endpoint: string): { readonly host: string; readonly port: number } {
  const colon = endpoint.lastIndexOf(':')
  return { host: endpoint.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(endpoint.slice(colon + 1)) }
}

export function upstreamTls(context: Context, config: BackendTls, path: KeyPath): UpstreamTls {
  const pem = (key: 'root' | 'cert' | 'key') => {
    const file = config[key]
    return file === undefined ? undefined : readAt(context, [...path, key], file)
  }
  const [ca, cert, key] = [pem('root'), pem('cert'), pem('key')]
  checkPem(path, { ca, cert, key })
  return {
    ca,
    cert,
    key,
    servername: config.hostname,
    insecure: config.insecure,
    insecureHost: config.insecureHost,
  }
}

/** What is no certificate, or does not fit its key, shows here and not with the first connection. */
export function checkPem(
  path: KeyPath,
  files: { readonly ca?: string; readonly cert?: string; readonly key?: string },
): void {
  try {
    createSecureContext(files)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.replace(/^error:[0-9A-F]+:/, '') : String(cause)
    throw new ConfigProblem(path, `the certificate and its key cannot be used: ${detail}`, { cause })
  }
}

/** Policies that stand on a backend, around it, or on its route; the innermost wins, `ai` field by field. */
export interface Layers {
  readonly policies: RoutePolicies & BackendPolicies
  readonly pathOf: (key: string) => KeyPath
  /** Of these every layer's counts: what one allows, another may still deny. */
  readonly authorization: readonly McpAuthorizationConfig[]
}

const setsOf = (policies: BackendPolicies | undefined) =>
  policies?.mcpAuthorization === undefined ? [] : [policies.mcpAuthorization]

export function outermost(policies: RoutePolicies | undefined, path: KeyPath): Layers {
  return {
    policies: { ...policies },
    pathOf: (key) => [...path, key],
    authorization: setsOf(policies),
  }
}

export function layer(outer: Layers, inner: BackendPolicies | undefined, path: KeyPath): Layers {
  if (inner === undefined) return outer
  const ai =
    outer.policies.ai === undefined && inner.ai === undefined
      ? undefined
      : { ...outer.policies.ai, ...inner.ai }
  return {
    policies: { ...outer.policies, ...inner, ai },
    pathOf: (key) => (key in inner ? [...path, key] : outer.pathOf(key)),
    authorization: [...outer.authorization, ...setsOf(inner)],
  }
}

/** `path` is the secret's own. */
export function secretAt(context: Context, path: KeyPath, secret: Secret): string {
  if (typeof secret === 'string') return secret
  const at = [...path, 'file']
  const text = readAt(context, at, secret.file).trim()
  if (!isHeaderValue(text)) throw new ConfigProblem(at, `${secret.file} does not hold a key on one line`)
  return text
}

export function credentialOf(context: Context, layers: Layers): BackendAuth | undefined {
  const config = layers.policies.backendAuth
  if (config === undefined) return undefined
  const isPlaced = typeof config.key === 'object' && 'value' in config.key
  const path = [...layers.pathOf('backendAuth'), 'key', ...(isPlaced ? ['value'] : [])]
  return backendAuth(config, (secret) => secretAt(context, path, secret))
}

export function backendTimeouts(layers: Layers): Timeouts {
  const base = timeouts(layers.policies.timeout)
  const own = layers.policies.http?.requestTimeout
  return own === undefined ? base : { ...base, firstByteMs: own }
}

export function target(
  context: Context,
  host: string,
  port: number,
  tls: UpstreamTls | undefined,
  layers: Layers,
): UpstreamTarget {
  const { tcp, http } = layers.policies
  const isLimited = tcp?.maxConnections !== undefined || http?.maxRequests !== undefined
  const made: UpstreamTarget = {
    host,
    port,
    tls,
    connectTimeoutMs: tcp?.connectTimeout,
    ...(isLimited && {
      limits: {
        maxConnections: tcp?.maxConnections,
        maxRequests: http?.maxRequests,
        maxPendingRequests: http?.maxPendingRequests ?? MAX_PENDING,
      },
    }),
  }
  context.targets.push(made)
  return made
}
