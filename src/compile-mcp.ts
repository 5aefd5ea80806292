/** MCP backends of the configuration -> what a running one is made from. */
import {
  type Context,
  credentialOf,
  type KeyPath,
  type Layers,
  layer,
  readAt,
  splitEndpoint,
  target,
  upstreamTls,
} from './compile-upstream.ts'
import type { McpBackendConfig, McpTargetConfig, RouteConfig } from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { Headers } from './core/headers.ts'
import type { McpAuthenticationConfig } from './mcp/authentication/schema.ts'
import type { HttpEndpoint } from './mcp/http.ts'
import { type OpenApiCatalog, openApiCatalog } from './mcp/openapi/catalog.ts'
import type { HttpServerConfig, OpenApiServerConfig } from './mcp/schema.ts'
import type { McpSource, TargetSource, TargetWay } from './mcp/source.ts'
import { modifyHeaders } from './policies/header-modifier.ts'

/** What a server gets to be connected and to introduce itself: `npx` may have to fetch it first. */
const CONNECT_MS = 30_000
/** What a request gets. The SDKs wait for one minute; their users raise that for slow tools, and so is this. */
const REQUEST_MS = 300_000

/** Where an MCP backend stands. */
export interface McpPlace {
  readonly layers: Layers
  readonly path: KeyPath
  /** Wanted; the same name twice gets a number. */
  readonly name: string
  readonly hostnames: readonly string[]
}

export function mcpSource(context: Context, config: McpBackendConfig, place: McpPlace): McpSource {
  const { policies } = place.layers
  const targets = config.targets.map((one, index) =>
    oneTarget(context, one, place.layers, [...place.path, 'targets', index]),
  )
  const settings = {
    name: distinct(context, place.name),
    isStateful: config.statefulMode !== 'stateless',
    prefixMode: config.prefixMode ?? 'conditional',
    failureMode: config.failureMode ?? 'failOpen',
    dnsRebindingProtection: config.dnsRebindingProtection,
    hostnames: place.hostnames,
    authorization: place.layers.authorization,
    authentication: policies.mcpAuthentication,
  } as const
  const authenticationPath = place.layers.pathOf('mcpAuthentication')
  const files = authenticationFiles(context, policies.mcpAuthentication, authenticationPath)
  const key = JSON.stringify([settings, files, targets.map(({ key: own }) => own)])
  const source: McpSource = {
    ...settings,
    key,
    authenticationPath,
    targets: targets.map(({ source: own }) => own),
  }
  context.mcp.push(source)
  return source
}

/** What is in the files that authentication reads: other keys are another backend. */
function authenticationFiles(
  context: Context,
  config: McpAuthenticationConfig | undefined,
  path: KeyPath,
): string[] {
  const { jwks, clientSecret } = config ?? {}
  return [
    ...(jwks !== undefined && 'file' in jwks ? [readAt(context, [...path, 'jwks', 'file'], jwks.file)] : []),
    ...(typeof clientSecret === 'object'
      ? [readAt(context, [...path, 'clientSecret', 'file'], clientSecret.file)]
      : []),
  ]
}

function distinct({ mcp }: Context, name: string): string {
  const isTaken = (wanted: string) => mcp.some((one) => one.name === wanted)
  if (!isTaken(name)) return name
  let number = 2
  while (isTaken(`${name}-${number}`)) number++
  return `${name}-${number}`
}

interface Compiled {
  readonly source: TargetSource
  /** Differs whenever the target does. */
  readonly key: string
}

function oneTarget(context: Context, config: McpTargetConfig, outer: Layers, path: KeyPath): Compiled {
  // Headers of the route are the client's request's; those of a target are its own.
  const layers = layer(outer, config.policies, [...path, 'policies'])
  const { way, key } = wayOf(context, config, layers, path)
  const source: TargetSource = {
    name: config.name,
    way,
    connectTimeoutMs: config.connectTimeout ?? CONNECT_MS,
    requestTimeoutMs:
      config.requestTimeout ??
      layers.policies.http?.requestTimeout ??
      layers.policies.timeout?.backendRequestTimeout ??
      REQUEST_MS,
  }
  const { connectTimeoutMs, requestTimeoutMs } = source
  return { source, key: JSON.stringify([config, key, connectTimeoutMs, requestTimeoutMs]) }
}

function wayOf(
  context: Context,
  config: McpTargetConfig,
  layers: Layers,
  path: KeyPath,
): { readonly way: TargetWay; readonly key: string } {
  if (config.stdio !== undefined) {
    const { cmd, args = [], env = {}, clearEnv = false } = config.stdio
    const way = {
      kind: 'stdio',
      command: cmd,
      args,
      environment: env,
      inheritsEnvironment: !clearEnv,
    } as const
    return { way, key: '' }
  }
  const own = config.policies
  if (config.openapi !== undefined) {
    const { endpoint, path: pathPrefix } = place(context, config.openapi, layers, [...path, 'openapi'], own)
    const { document, key } = openApiDocument(context, config.openapi, [...path, 'openapi', 'schema'])
    const prefix = (pathPrefix ?? '').replace(/\/$/, '')
    return {
      way: { kind: 'openapi', endpoint, pathPrefix: prefix, document },
      key: JSON.stringify([keyOf(endpoint), key]),
    }
  }
  if (config.sse !== undefined) {
    const { endpoint, path: at = '/sse' } = place(context, config.sse, layers, [...path, 'sse'], own)
    return { way: { kind: 'sse', endpoint, path: at }, key: keyOf(endpoint) }
  }
  const server = config.mcp ?? {}
  const { endpoint, path: at = '/mcp' } = place(context, server, layers, [...path, 'mcp'], own)
  return { way: { kind: 'streamable-http', endpoint, path: at }, key: keyOf(endpoint) }
}

const keyOf = ({ upstream, authority, auth }: HttpEndpoint) => JSON.stringify([upstream, authority, auth])

function openApiDocument(
  context: Context,
  { schema }: OpenApiServerConfig,
  path: KeyPath,
): { readonly document: OpenApiCatalog | { readonly url: string }; readonly key: string } {
  if (typeof schema === 'object' && 'url' in schema) return { document: { url: schema.url }, key: schema.url }
  const text =
    typeof schema === 'string'
      ? schema
      : 'file' in schema
        ? readAt(context, [...path, 'file'], schema.file)
        : typeof schema.inline === 'string'
          ? schema.inline
          : JSON.stringify(schema.inline)
  try {
    return { document: openApiCatalog(text), key: text }
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigProblem(path, `the OpenAPI document cannot be used: ${detail}`, { cause })
  }
}

interface Place {
  readonly endpoint: HttpEndpoint
  readonly path: string | undefined
}

function place(
  context: Context,
  server: HttpServerConfig,
  layers: Layers,
  path: KeyPath,
  own: McpTargetConfig['policies'],
): Place {
  const found = whereIs(context, server, layers, path)
  const { host, port, isTls } = found
  const tlsConfig = found.layers.policies.backendTLS ?? (isTls ? {} : undefined)
  const tls =
    tlsConfig === undefined ? undefined : upstreamTls(context, tlsConfig, found.layers.pathOf('backendTLS'))
  const name = host.includes(':') ? `[${host}]` : host
  const usual = tls === undefined ? 80 : 443
  const auth = credentialOf(context, found.layers)
  const change =
    own?.requestHeaderModifier === undefined ? undefined : modifyHeaders(own.requestHeaderModifier)
  const endpoint: HttpEndpoint = {
    upstream: target(context, host, port, tls, found.layers),
    authority: port === usual ? name : `${name}:${port}`,
    address: `${name}:${port}`,
    auth: auth === undefined ? undefined : { header: auth.header, value: auth.value },
    modifyHeaders: change === undefined ? undefined : (headers: Headers) => change(headers),
    maxBytes: MAX_BYTES,
  }
  return { endpoint, path: found.path }
}

/** Of an answer, an event, a message. */
const MAX_BYTES = 32 * 1024 * 1024

interface Found {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  readonly path: string | undefined
  readonly layers: Layers
}

function whereIs(context: Context, server: HttpServerConfig, layers: Layers, path: KeyPath): Found {
  const { host, port, backend } = server
  if (backend !== undefined) {
    const wanted = backend.replace(/^\//, '')
    const index = (context.config.backends ?? []).findIndex(({ name }) => name === wanted)
    const named = context.config.backends?.[index]
    if (named?.host === undefined)
      throw new ConfigProblem(
        [...path, 'backend'],
        `there is no top-level backend with a host named ${wanted}`,
      )
    const inner = layer(layers, named.policies, ['backends', index, 'policies'])
    return { ...splitEndpoint(named.host), isTls: false, path: server.path, layers: inner }
  }
  if (host === undefined || !/^https?:\/\//.test(host))
    return {
      host: (host ?? '').replace(/^\[|\]$/g, ''),
      port: port ?? 80,
      isTls: false,
      path: server.path,
      layers,
    }
  const url = new URL(host)
  const isTls = url.protocol === 'https:'
  const given = url.pathname + url.search
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    isTls,
    path: given === '/' ? undefined : given,
    layers,
  }
}

const WELL_KNOWN = [
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-authorization-server',
  '/.well-known/openid-configuration',
]

/** A route that asks for tokens also takes the paths on which clients learn where to get one. */
export function mcpRouteMatches({ matches, policies }: RouteConfig): RouteConfig['matches'] {
  if (policies?.mcpAuthentication === undefined || matches === undefined) return matches
  const paths = new Set(
    matches.flatMap(({ path }) =>
      path === undefined
        ? []
        : 'exact' in path
          ? [path.exact]
          : 'pathPrefix' in path
            ? [path.pathPrefix]
            : [],
    ),
  )
  const added = [...paths].flatMap((path) =>
    WELL_KNOWN.map((known) => ({ path: { pathPrefix: path === '/' ? known : `${known}${path}` } })),
  )
  return [...matches, ...added]
}
