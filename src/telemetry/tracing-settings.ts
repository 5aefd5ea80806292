/**
 * Where traces go and which, from the configuration's two forms and the environment.
 *
 * As in upstream, the environment wins over the file but only acts where the file has a `config.tracing` block:
 * an `OTEL_*` variable meant for another program switches nothing on. gRPC is the default even for `http://`.
 */
import { compileCel } from '../core/cel.ts'
import { ConfigProblem } from '../core/config-problem.ts'
import type { SamplingRatios, Share } from './sampling.ts'
import type { FrontendTracingConfig, TracingConfig } from './schema.ts'
import { SAMPLING_NAMES } from './variables.ts'

export interface TracingSettings {
  readonly protocol: 'grpc' | 'http'
  /** `http://` or `https://`, with the port; gRPC's has no path. */
  readonly url: string
  /** Names in lower case. Values are secrets. */
  readonly headers: Readonly<Record<string, string>>
  readonly sampling: SamplingRatios
  /** Added to each exchange's SERVER span: expressions by name. */
  readonly attributes: Readonly<Record<string, string>>
  /** Names of attributes that no span has by itself. */
  readonly remove: readonly string[]
  /** Of finished exchanges, those that are exported: an expression. */
  readonly filter: string | undefined
  /** `service.name` at least. */
  readonly resource: Readonly<Record<string, string>>
}

type Environment = Readonly<Record<string, string | undefined>>
type Path = readonly string[]

/** A value and who is to blame when it is wrong. */
interface Sourced {
  readonly text: string
  readonly path: Path
  /** The variable that it came from. */
  readonly variable: string | undefined
}

const BLOCK: Path = ['config', 'tracing']
const FRONTEND: Path = ['frontendPolicies', 'tracing']
const DEFAULT_PATH = '/v1/traces'

/** Undefined: tracing is off. Throws `ConfigProblem`. */
export function tracingSettings(
  tracing: TracingConfig | undefined,
  frontendTracing: FrontendTracingConfig | undefined,
  environment: Environment,
): TracingSettings | undefined {
  if (tracing !== undefined && frontendTracing !== undefined) {
    throw new ConfigProblem(
      FRONTEND,
      'config.tracing and frontendPolicies.tracing are two forms of one thing: keep one',
    )
  }
  if (tracing !== undefined) return fromBlock(tracing, environment)
  if (frontendTracing !== undefined) return fromFrontend(frontendTracing, environment)
  return undefined
}

function fromBlock(tracing: TracingConfig, environment: Environment): TracingSettings {
  const protocol = protocolOf(tracing, environment)
  const endpoint =
    firstSet(environment, [
      'OTLP_ENDPOINT',
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
      'OTEL_EXPORTER_OTLP_ENDPOINT',
    ]) ?? inFile(tracing.otlpEndpoint, 'otlpEndpoint')
  if (endpoint === undefined) {
    throw new ConfigProblem(
      BLOCK,
      'has no otlpEndpoint, and neither OTLP_ENDPOINT nor OTEL_EXPORTER_OTLP_ENDPOINT is set',
    )
  }
  return {
    protocol,
    url: endpointUrl(endpoint, protocol, tracing.path ?? DEFAULT_PATH),
    headers: {
      ...literalHeaders(tracing.headers, [...BLOCK, 'headers']),
      ...environmentHeaders(environment),
    },
    sampling: samplingOf(tracing),
    attributes: tracing.fields?.add ?? {},
    remove: tracing.fields?.remove ?? [],
    filter: undefined,
    resource: resourceOf({}, environment),
  }
}

function fromFrontend(tracing: FrontendTracingConfig, environment: Environment): TracingSettings {
  const protocol = tracing.protocol ?? 'grpc'
  const host: Sourced = { text: tracing.host, path: [...FRONTEND, 'host'], variable: undefined }
  return {
    protocol,
    url: endpointUrl(host, protocol, tracing.path ?? DEFAULT_PATH),
    headers: literalHeaders(tracing.headers, [...FRONTEND, 'headers']),
    sampling: samplingOf(tracing),
    attributes: tracing.attributes ?? {},
    remove: tracing.remove ?? [],
    filter: tracing.filter,
    resource: resourceOf(evaluated(tracing.resources ?? {}), environment),
  }
}

function samplingOf({ randomSampling = 0, clientSampling = 1 }: TracingConfig | FrontendTracingConfig) {
  const shareOf = (share: number | string): Share =>
    typeof share === 'number' ? share : compileCel(share, SAMPLING_NAMES)
  return { random: shareOf(randomSampling), client: shareOf(clientSampling) }
}

/** Once, of nothing: `"team-" + "a"`. */
function evaluated(resources: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(resources).map(([name, source]) => {
      const path = [...FRONTEND, 'resources', name]
      try {
        const value = compileCel(source, {}).evaluate({})
        if (typeof value === 'string') return [name, value]
      } catch (cause) {
        throw new ConfigProblem(path, cause instanceof Error ? cause.message : String(cause), { cause })
      }
      throw new ConfigProblem(
        path,
        'expected an expression that makes a text, such as `"team-a"` with its quotes',
      )
    }),
  )
}

function protocolOf(tracing: TracingConfig, environment: Environment): 'grpc' | 'http' {
  const set = firstSet(environment, [
    'OTLP_PROTOCOL',
    'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
    'OTEL_EXPORTER_OTLP_PROTOCOL',
  ])
  if (set === undefined) return tracing.otlpProtocol ?? 'grpc'
  if (set.text === 'grpc') return 'grpc'
  if (set.text === 'http' || set.text === 'http/protobuf') return 'http'
  throw problem(set, `expected grpc, http or http/protobuf, got ${JSON.stringify(set.text)}`)
}

const SCHEMES = new Map([
  ['http', { secure: false, port: 80 }],
  ['https', { secure: true, port: 443 }],
  ['grpc', { secure: false, port: 4317 }],
])

function endpointUrl(endpoint: Sourced, protocol: 'grpc' | 'http', defaultPath: string): string {
  const match =
    /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?(\/[^\s?#]*)?$/i.exec(
      endpoint.text,
    )
  const [, schemeName, host, portText, path = '/'] = match ?? []
  const scheme = schemeName === undefined ? undefined : SCHEMES.get(schemeName.toLowerCase())
  const port = Number(portText ?? scheme?.port)
  if (
    host === undefined ||
    (schemeName !== undefined && scheme === undefined) ||
    !(port >= 1 && port <= 65535)
  ) {
    // Not quoted: there may be a password in it.
    throw problem(
      endpoint,
      'expected http://host[:port], https://host[:port], grpc://host[:port] or host:port',
    )
  }
  const origin = `${scheme?.secure === true ? 'https' : 'http'}://${host}:${port}`
  if (protocol === 'grpc') {
    if (path === '/') return origin
    throw problem(endpoint, `the path ${path} needs the protocol http, and this is grpc, the default`)
  }
  if (schemeName?.toLowerCase() === 'grpc') throw problem(endpoint, 'grpc:// contradicts the protocol http')
  // This variable holds the base for all signals, by OpenTelemetry's definition; the others name the place itself.
  if (endpoint.variable === 'OTEL_EXPORTER_OTLP_ENDPOINT')
    return origin + path.replace(/\/$/, '') + defaultPath
  return origin + (path === '/' ? defaultPath : path)
}

function environmentHeaders(environment: Environment): Record<string, string> {
  const set = firstSet(environment, [
    'OTLP_HEADERS',
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
    'OTEL_EXPORTER_OTLP_HEADERS',
  ])
  if (set === undefined) return {}
  const entries = set.text.startsWith('{') ? jsonPairs(set) : pairs(set)
  return Object.fromEntries(entries.map(([name, value]) => validHeader(name, value, set)))
}

function literalHeaders(headers: Readonly<Record<string, string>> = {}, path: Path): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) =>
      validHeader(name, value, { text: '', path: [...path, name], variable: undefined }),
    ),
  )
}

/** gRPC is the stricter of the two transports; what it refuses would only show when the first batch fails. */
function validHeader(name: string, value: string, source: Sourced): [string, string] {
  const lower = name.toLowerCase()
  if (!/^[a-z0-9_.-]+$/.test(lower) || lower.endsWith('-bin')) {
    throw problem(source, `${JSON.stringify(name)} is no header name that OTLP can carry`)
  }
  if (!/^[ -~]*$/.test(value)) throw problem(source, `the value of ${lower} may only hold printable ASCII`)
  return [lower, value]
}

function jsonPairs(source: Sourced): [string, string][] {
  let parsed: unknown
  try {
    parsed = JSON.parse(source.text)
  } catch (cause) {
    // The parser's message quotes the text, and so a secret.
    throw problem(source, `is not valid JSON (${cause instanceof Error ? cause.name : 'error'})`)
  }
  const entries: [string, unknown][] = Object.entries(
    typeof parsed === 'object' && parsed !== null ? parsed : {},
  )
  return entries.map(([name, value]) => {
    if (typeof value !== 'string') throw problem(source, `the value of ${name} is no string`)
    return [name, value]
  })
}

/** `key=value,key=value`; values may be percent-encoded. */
function pairs(source: Sourced): [string, string][] {
  return source.text
    .split(',')
    .filter((pair) => pair.trim() !== '')
    .map((pair, index) => {
      const equals = pair.indexOf('=')
      const name = pair.slice(0, equals).trim()
      if (equals < 1 || name === '') throw problem(source, `expected key=value at entry ${index + 1}`)
      return [decoded(name), decoded(pair.slice(equals + 1).trim())]
    })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The file wins over `OTEL_SERVICE_NAME`, which wins over `OTEL_RESOURCE_ATTRIBUTES`. */
function resourceOf(
  configured: Readonly<Record<string, string>>,
  environment: Environment,
): Record<string, string> {
  const attributes = firstSet(environment, ['OTEL_RESOURCE_ATTRIBUTES'])
  const serviceName = firstSet(environment, ['OTEL_SERVICE_NAME'])
  return {
    'service.name': 'agentgateway',
    ...(attributes && Object.fromEntries(pairs(attributes))),
    ...(serviceName && { 'service.name': serviceName.text }),
    ...configured,
  }
}

/** An empty variable counts as unset. https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
function firstSet(environment: Environment, variables: readonly string[]): Sourced | undefined {
  for (const variable of variables) {
    const text = environment[variable]?.trim()
    if (text !== undefined && text !== '') return { text, path: BLOCK, variable }
  }
  return undefined
}

function inFile(text: string | undefined, key: string): Sourced | undefined {
  return text === undefined ? undefined : { text, path: [...BLOCK, key], variable: undefined }
}

function problem(source: Sourced, message: string): ConfigProblem {
  return new ConfigProblem(
    source.path,
    source.variable === undefined ? message : `${source.variable}: ${message}`,
  )
}
