/** The MCP step of the gateway: backends that run, their sessions, and who watches over their targets. */
import { ConfigProblem } from '../core/config-problem.ts'
import type { Fetch } from '../core/fetch-json.ts'
import type { Upstreams } from '../core/upstream.ts'
import { mcpAuthentication } from './authentication/authentication.ts'
import type { McpAuthenticationDependencies } from './authentication/dependencies.ts'
import { mcpAuthorization } from './authorization.ts'
import { knownNames, type McpBackend, type Target } from './backend.ts'
import { refuse, serveMcp } from './endpoint.ts'
import { targetHealth } from './health.ts'
import { fetchWhole, type HttpEndpoint } from './http.ts'
import { RPC_ERRORS } from './json-rpc.ts'
import { legacySse } from './legacy-sse.ts'
import { naming } from './names.ts'
import { type OpenApiCatalog, openApiCatalog } from './openapi/catalog.ts'
import { openApiTarget } from './openapi-target.ts'
import { type Probe, startProbe } from './probe.ts'
import { Refusal } from './refusal.ts'
import type { EndpointDependencies, McpRequest } from './request.ts'
import { createSessions } from './sessions.ts'
import { createSharedSessions } from './shared-sessions.ts'
import type { McpSource, TargetSource } from './source.ts'
import { stdio } from './stdio.ts'
import { streamableHttp } from './streamable-http.ts'
import { type OpenTransport, TargetError } from './transport.ts'
import { createWaitingCalls } from './waiting-calls.ts'

export interface McpOptions {
  readonly upstreams: Upstreams
  readonly version: string
  /** What processes inherit. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly readText: (path: string) => string
  /** Of an identity provider, of an API. */
  readonly fetch: Fetch
  readonly sessionTtlMs: number
  readonly maxSessions: number
  readonly maxBytes: number
  readonly now: () => number
  readonly random: () => number
  readonly events: McpEvents
}

export interface McpEvents {
  readonly sessions: (backend: string, change: 1 | -1) => void
  readonly target: (backend: string, target: string, isUp: boolean) => void
  readonly targetGone: (backend: string, target: string) => void
  readonly restarted: (backend: string, target: string) => void
  readonly log: (
    level: 'debug' | 'info' | 'warn',
    message: string,
    fields: Readonly<Record<string, string>>,
  ) => void
  readonly unexpected: (error: unknown) => void
}

export interface Mcp {
  /** Throws `ConfigProblem` on what only shows when it is put to use; then nothing has changed. */
  readonly prepare: (sources: readonly McpSource[]) => Prepared
  /** From here on these are the backends; those that are left out end, with their sessions. */
  readonly adopt: (prepared: Prepared) => void
  readonly serve: (source: McpSource, request: McpRequest) => Promise<void>
  readonly status: () => readonly BackendStatus[]
  /** Ends the streams on which nothing is under way: they would hold up a shutdown. */
  readonly drain: () => void
  readonly close: () => Promise<void>
}

export interface BackendStatus {
  readonly backend: string
  readonly sessions: number
  readonly targets: readonly {
    readonly target: string
    readonly kind: TargetSource['way']['kind']
    readonly endpoint: string
    readonly isUp: boolean | undefined
    readonly lastError: string | undefined
    readonly tools: readonly string[]
  }[]
}

type Prepared = ReadonlyMap<string, Running>

interface Running {
  readonly backend: McpBackend
  readonly targets: readonly { readonly source: TargetSource; readonly target: Target }[]
}

export function createMcp(options: McpOptions): Mcp {
  const { upstreams, events, version, now, random } = options
  let running: Prepared = new Map()
  const probes = new Map<Target, Probe>()

  const closing = new Set<Promise<void>>()
  /** Ends in its own time, and before the gateway does. */
  function whileClosing(ending: Promise<void>): void {
    const ended = ending.catch(events.unexpected).finally(() => closing.delete(ended))
    closing.add(ended)
  }

  const sessions = createSessions({
    ttlMs: options.sessionTtlMs,
    max: options.maxSessions,
    now,
    onCount: events.sessions,
    whileClosing,
  })
  const onRestart = (backend: McpBackend, target: Target) => events.restarted(backend.spec.name, target.name)
  const debug = (message: string, fields: Readonly<Record<string, string>>) =>
    events.log('debug', message, fields)
  const shared = createSharedSessions({
    version,
    ttlMs: options.sessionTtlMs,
    max: options.maxSessions,
    now,
    onRestart,
    log: debug,
    whileClosing,
  })
  const waiting = createWaitingCalls()
  const endpoint: EndpointDependencies = {
    version,
    sessions,
    shared,
    waiting,
    now,
    onRestart,
    log: events.log,
    unexpected: events.unexpected,
  }

  const authenticationDependencies: McpAuthenticationDependencies = {
    fetch: options.fetch,
    readText: options.readText,
    now: Date.now,
  }

  /** A document that is fetched is fetched when first needed, and kept. */
  function catalogOf(document: OpenApiCatalog | { readonly url: string }): () => Promise<OpenApiCatalog> {
    if ('tools' in document) return () => Promise.resolve(document)
    let fetched: Promise<OpenApiCatalog> | undefined
    const load = async () => {
      const { status, body } = await options.fetch(document.url, {
        headers: { accept: 'application/json, application/yaml, */*' },
        timeoutMs: 10_000,
        maxBytes: 10 * 1024 * 1024,
      })
      if (status !== 200)
        throw new TargetError('openapi_error', `${document.url}: status ${status}, no OpenAPI document`)
      try {
        return openApiCatalog(body.toString('utf8'))
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause)
        throw new TargetError('openapi_error', `${document.url}: ${detail}`, { cause })
      }
    }
    return () => {
      fetched ??= load().catch((error: unknown) => {
        fetched = undefined
        throw error
      })
      return fetched
    }
  }

  function transportOf({ name, way }: TargetSource): OpenTransport {
    switch (way.kind) {
      case 'stdio': {
        const { command, args } = way
        const environment = { ...(way.inheritsEnvironment && options.environment), ...way.environment }
        return (to) => stdio({ command, args, environment, maxBytes: options.maxBytes }, to)
      }
      case 'streamable-http':
        return (to) => streamableHttp({ upstreams, endpoint: way.endpoint, path: way.path }, to)
      case 'sse':
        return (to) => legacySse({ upstreams, endpoint: way.endpoint, path: way.path }, to)
      case 'openapi': {
        const catalog = catalogOf(way.document)
        const { endpoint: place, pathPrefix } = way
        return (to) => openApiTarget({ name, upstreams, endpoint: place, pathPrefix, catalog, version }, to)
      }
      default:
        return way satisfies never
    }
  }

  function documentsOf(way: TargetSource['way']): Target['fetchDocument'] {
    if (way.kind !== 'streamable-http' && way.kind !== 'sse') return undefined
    const place: HttpEndpoint = { ...way.endpoint, auth: undefined, modifyHeaders: undefined }
    return (request) => fetchWhole(upstreams, place, request)
  }

  function targetOf(backend: string, source: TargetSource): Target {
    const { name, way } = source
    let wasDown = false
    return {
      name,
      endpoint: way.kind === 'stdio' ? way.command : way.endpoint.address,
      transport: way.kind === 'stdio' ? 'pipe' : 'tcp',
      health: targetHealth({
        now,
        random,
        onChange(isUp, error) {
          events.target(backend, name, isUp)
          if (!isUp) events.log('warn', 'target is down', { backend, target: name, error: error ?? '' })
          else events.log(wasDown ? 'info' : 'debug', 'target is up', { backend, target: name })
          wasDown = !isUp
        },
      }),
      openTransport: transportOf(source),
      connectTimeoutMs: source.connectTimeoutMs,
      requestTimeoutMs: source.requestTimeoutMs,
      known: knownNames(),
      fetchDocument: documentsOf(way),
    }
  }

  function authenticationOf({ authentication, authenticationPath }: McpSource) {
    try {
      return authentication && mcpAuthentication(authentication, authenticationDependencies)
    } catch (error) {
      throw error instanceof ConfigProblem ? error.within(authenticationPath) : error
    }
  }

  function start(source: McpSource): Running {
    const { name, prefixMode } = source
    const targets = source.targets.map((one) => ({ source: one, target: targetOf(name, one) }))
    const backend: McpBackend = {
      spec: {
        name,
        isStateful: source.isStateful,
        prefixMode,
        failureMode: source.failureMode,
        dnsRebindingProtection: source.dnsRebindingProtection,
        hostnames: source.hostnames,
        authorization: mcpAuthorization(source.authorization),
        authentication: authenticationOf(source),
      },
      targets: targets.map(({ target }) => target),
      naming: naming(prefixMode, targets.length),
    }
    return { backend, targets }
  }

  function endBackend({ backend, targets }: Running): void {
    whileClosing(sessions.endAll((session) => session.backend === backend))
    for (const { target } of targets) {
      const probe = probes.get(target)
      if (probe !== undefined) whileClosing(probe.stop())
      probes.delete(target)
      events.targetGone(backend.spec.name, target.name)
    }
  }

  return {
    prepare: (sources) =>
      new Map(sources.map((source) => [source.key, running.get(source.key) ?? start(source)])),
    adopt(prepared) {
      const gone = [...running].filter(([key]) => !prepared.has(key))
      const added = [...prepared].filter(([key]) => !running.has(key))
      running = prepared
      for (const [, one] of gone) endBackend(one)
      shared.retain(new Set([...prepared.values()].map(({ backend }) => backend)))
      for (const [, { targets }] of added)
        for (const { target } of targets) probes.set(target, startProbe({ target, version, random }))
    },
    async serve(source, request) {
      const found = running.get(source.key)
      if (found !== undefined) await serveMcp(found.backend, request, endpoint)
      // It came before a reload that ended the backend, and was read after it.
      else
        refuse(request, new Refusal(503, RPC_ERRORS.internal, 'The backend is gone', { type: 'unavailable' }))
    },
    status: () =>
      [...running.values()].map(({ backend, targets }) => ({
        backend: backend.spec.name,
        sessions: [...sessions.all()].filter((session) => session.backend === backend).length,
        targets: targets.map(({ source, target }) => ({
          target: target.name,
          kind: source.way.kind,
          endpoint: target.endpoint,
          isUp: target.health.isUp(),
          lastError: target.health.isUp() === true ? undefined : target.health.lastError(),
          tools: target.known.all('tool'),
        })),
      })),
    drain() {
      for (const session of sessions.all()) session.standalone.end()
      shared.endStreams()
    },
    async close() {
      waiting.close()
      const probed = [...probes.values()].map((probe) => probe.stop())
      await Promise.all([...probed, sessions.close(), shared.close(), ...closing])
    },
  }
}
