/**
 * What the admin port says in JSON: the shapes between the API and the console. Times are RFC 3339 in UTC, durations
 * milliseconds, money USD, unless a name says otherwise. What is not known is left out.
 *
 * `logs/*` and `costs/models` have the Rust agentgateway's shapes, and more beside them.
 */

export interface Problem {
  readonly error: string
}

// ---- GET /api/session, POST /api/session {token}, DELETE /api/session

export interface SessionState {
  /** False: everything else but this call answers 401. */
  readonly signedIn: boolean
  /** False on loopback: nobody is asked. */
  readonly tokenRequired: boolean
}

// ---- GET /api/runtime

export interface Runtime {
  readonly version: string
  readonly node: string
  readonly startedAt: string
  readonly now: string
  readonly residentBytes: number
  readonly requestsInFlight: number
  readonly ports: {
    readonly binds: readonly { readonly port: number; readonly tls: boolean }[]
    readonly admin?: number
    readonly stats?: number
    readonly readiness?: number
  }
  readonly tracing?: { readonly endpoint: string; readonly protocol: string; readonly sampled: string }
  /** Left out where nothing is kept. */
  readonly store?: StoreState
  readonly isDemo: boolean
}

export interface StoreState {
  readonly kind: 'sqlite' | 'postgres'
  readonly url: string
  readonly requests: number
  readonly bytes: number
  readonly oldest?: string
  readonly dropped: number
  readonly problem?: string
  readonly retentionMs: number
}

// ---- POST /api/logs/search, /api/logs/get, /api/logs/tail

export interface ApiTimeRange {
  readonly from?: string
  readonly to?: string
}

/** Of a list one value must fit, of all fields each. */
export interface ApiFilters {
  readonly httpStatus?: readonly number[]
  readonly provider?: readonly string[]
  readonly requestModel?: readonly string[]
  readonly responseModel?: readonly string[]
  readonly traceId?: string
  readonly hasPayload?: boolean
  /** `agentgateway.user`, `agentgateway.group`, `agentgateway.key`, `user_agent.name`: of those alone. */
  readonly attributes?: Readonly<Record<string, string | readonly string[]>>
  readonly protocol?: readonly string[]
  readonly outcome?: readonly string[]
  readonly errorType?: readonly string[]
  readonly backend?: readonly string[]
  readonly route?: readonly string[]
  readonly target?: readonly string[]
  readonly operation?: readonly string[]
  readonly failed?: boolean
  readonly minDurationMs?: number
  readonly maxDurationMs?: number
  readonly text?: string
}

export interface LogsSearch {
  /** 1 to 500; 100. */
  readonly limit?: number
  /** `<rfc3339>|<id>` */
  readonly cursor?: string
  readonly timeRange?: ApiTimeRange
  readonly filters?: ApiFilters
  readonly includeAttributes?: boolean
}

export interface LogsFound {
  /** Newest first. */
  readonly logs: readonly LogEntry[]
  /** Null at the end. There may be fewer logs than `limit` before that: a search takes a bounded time. */
  readonly nextCursor: string | null
}

export interface LogEntry {
  readonly id: string
  readonly startedAt: string
  readonly completedAt: string
  readonly durationMs: number
  readonly traceId: string
  readonly spanId: string
  readonly httpStatus: number
  readonly error?: string
  readonly genAi?: {
    readonly operationName: string
    readonly providerName: string
    readonly requestModel?: string
    readonly responseModel?: string
  }
  readonly usage?: {
    readonly inputTokens: number
    readonly outputTokens: number
    readonly totalTokens: number
    readonly cacheReadTokens: number
    readonly cacheWriteTokens: number
    readonly reasoningTokens: number
  }
  /** Where the tokens come from: `provider`, `partial`, `estimated`, `none`. */
  readonly usageSource?: string
  readonly cost?: number
  readonly costParts?: { readonly input: number; readonly output: number }
  readonly costStatus?: string
  readonly hasPayload: boolean

  readonly protocol: 'http' | 'llm' | 'mcp' | 'tcp'
  /** The SERVER span's name. */
  readonly operation: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly bind: string
  readonly listener?: string
  readonly route?: string
  readonly backend?: string
  readonly clientAddress: string
  readonly userAgent?: string
  readonly user?: string
  readonly group?: string
  readonly key?: string
  readonly outcome: string
  readonly reason: string
  readonly errorType?: string
  readonly failed: boolean
  readonly streaming: boolean
  readonly firstTokenMs?: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly mcp?: {
    readonly method: string
    readonly target?: string
    readonly resourceType?: string
    readonly resource?: string
    readonly errorType?: string
    readonly errorCode?: number
    readonly errorMessage?: string
    readonly sessionId?: string
    readonly messages: number
  }
  readonly attempts: readonly {
    readonly endpoint: string
    readonly startMs: number
    readonly durationMs: number
    readonly status?: number
    readonly errorType?: string
    readonly errorMessage?: string
  }[]
  /** With `includeAttributes`: those of the access log's line, and what `accessLog.database.add` has kept. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  readonly payload?: { readonly requestPrompt?: string; readonly responseCompletion?: string }
}

export interface LogsGet {
  readonly id: string
  readonly includePayload?: boolean
}
export interface LogGot {
  readonly log: LogEntry | null
  /** In the order of their start; of this request alone. */
  readonly spans: readonly ApiSpan[]
}

/** Server-sent events of `POST /api/logs/tail` (a `LogsSearch` as its body): `log`, `heartbeat` (`{}`), `error` (`TailError`). */
export interface TailError {
  readonly message: string
}

export interface TailLog {
  readonly entry: LogEntry
  readonly cursor: string
}

// ---- POST /api/logs/analytics/summary

export type ApiGroupField =
  | 'provider'
  | 'requestModel'
  | 'responseModel'
  | 'httpStatus'
  | 'outcome'
  | 'errorType'
  | 'protocol'
  | 'backend'
  | 'route'
  | 'target'
  | 'operation'
  | 'attributes'

export interface AnalyticsQuery {
  /** The last 24 hours. */
  readonly timeRange?: ApiTimeRange
  readonly filters?: ApiFilters
  /** `key` with `attributes`: `agentgateway.user`, `agentgateway.group`, `agentgateway.key`, `user_agent.name`. */
  readonly groupBy?: readonly { readonly field: ApiGroupField; readonly key?: string }[]
  /** 1 to 500; 96. */
  readonly bucketCount?: number
  readonly bucketSeconds?: number
}

export interface ApiMeasures {
  readonly requests: number
  readonly failed: number
  readonly totalTokens: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly reasoningTokens: number
  readonly cost: number
  readonly durationMs?: ApiPercentiles
  readonly firstTokenMs?: ApiPercentiles
}

export interface ApiPercentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  readonly mean: number
}

export interface Analytics {
  readonly timeRange: { readonly from: string; readonly to: string }
  readonly bucketSeconds: number
  readonly total: ApiMeasures
  readonly buckets: readonly (ApiMeasures & {
    readonly start: string
    readonly group: Readonly<Record<string, string>>
  })[]
  readonly groups: readonly (ApiMeasures & { readonly group: Readonly<Record<string, string>> })[]
  /** Values that can be filtered by, at most 500 each, by field or attribute's name. */
  readonly filterOptions: Readonly<Record<string, readonly string[]>>
}

// ---- POST /api/traces/search, GET /api/v3/traces/{id} (OTLP JSON, as Jaeger's), GET /api/traces/{id}

export interface ApiSpan {
  readonly name: string
  readonly kind: 'server' | 'client'
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  /** Milliseconds since 1970, with fractions. */
  readonly start: number
  readonly durationMs: number
  readonly attributes: Readonly<
    Record<string, string | number | boolean | readonly (string | number | boolean)[]>
  >
  readonly events: readonly {
    readonly name: string
    readonly at: number
    readonly attributes?: ApiSpan['attributes']
  }[]
  /** Its status is Error. */
  readonly error?: { readonly message?: string }
}

export interface TracesFound {
  readonly traces: readonly {
    readonly traceId: string
    readonly startedAt: string
    readonly durationMs: number
    /** Of its first request. */
    readonly operation: string
    readonly model?: string
    readonly httpStatus: number
    readonly spans: number
    readonly failed: boolean
    readonly requests: number
  }[]
  readonly nextCursor: string | null
}

export interface TraceGot {
  readonly traceId: string
  readonly spans: readonly ApiSpan[]
  readonly requests: readonly LogEntry[]
}

// ---- GET /api/overview?range=15m|1h|6h|24h|7d|30d

export interface Overview {
  readonly from: string
  readonly to: string
  readonly stepMs: number
  /** False: no request was ever recorded. */
  readonly hasData: boolean
  readonly rows: readonly { readonly title: string; readonly panels: readonly OverviewPanel[] }[]
}

export type OverviewUnit =
  | 'count'
  | 'perSecond'
  | 'share'
  | 'seconds'
  | 'usd'
  | 'usdPerHour'
  | 'bytes'
  | 'bytesPerSecond'
  | 'tokensPerSecond'
  | 'text'

export interface OverviewPanel {
  /** As on the Grafana dashboard. */
  readonly title: string
  readonly description: string
  readonly unit: OverviewUnit
  readonly type: 'stat' | 'timeseries' | 'bargauge'
  /** Of a stat: one or a few. Of a bargauge: the largest first. */
  readonly values?: readonly {
    readonly label: string
    readonly value: number | string | null
    readonly tone?: 'good' | 'bad'
  }[]
  /** Of a timeseries: `points[i]` belongs to the step that begins at `from + i * stepMs`; null = nothing to tell. */
  readonly series?: readonly { readonly label: string; readonly points: readonly (number | null)[] }[]
}

// ---- GET /api/costs/models

export interface CostsModels {
  readonly loaded: boolean
  readonly providers: readonly {
    readonly provider: string
    readonly models: readonly {
      readonly model: string
      /** USD per million tokens, where that is one number. */
      readonly input?: number
      readonly output?: number
    }[]
  }[]
}

// ---- GET /api/config, /api/config/effective

export interface ConfigState {
  /** The file, `<command line>`, `<stdin>`, `<default>` or `<demo>`. */
  readonly source: string
  /** What runs, redacted. */
  readonly effective: unknown
  readonly routes: readonly ApiRoute[]
  /** The newest first. */
  readonly reloads: readonly {
    readonly at: string
    readonly result: 'success' | 'failure'
    /** Why it was refused; of one that was not, what of it takes effect at the next start only. */
    readonly problems: readonly {
      readonly place?: string
      readonly path?: string
      readonly message: string
    }[]
  }[]
  /** The file differs from what runs: the last reload failed. */
  readonly isStale: boolean
  readonly warnings: readonly string[]
}

export interface ApiRoute {
  readonly port: number
  readonly listener: string
  readonly hostnames: readonly string[]
  readonly route: string
  readonly matches: readonly string[]
  readonly backends: readonly { readonly name: string; readonly kind: string }[]
  readonly policies: readonly string[]
}

// ---- GET /api/mcp

export interface McpState {
  readonly backends: readonly {
    readonly backend: string
    /** Where clients find it, path included. */
    readonly port: number
    readonly path: string
    readonly sessions: number
    readonly targets: readonly {
      readonly target: string
      readonly kind: 'stdio' | 'streamable-http' | 'sse' | 'openapi'
      readonly endpoint: string
      /** Left out until it was tried. */
      readonly isUp?: boolean
      readonly lastError?: string
      /** Known by name; the runner lists them in full. */
      readonly tools: readonly string[]
    }[]
  }[]
}

// ---- ANY /api/gateway/{port}/{path}: the request as it is to the gateway's own port, for playground and tool runner.
// `x-gateway-authorization` is its `authorization`; the answer has `x-trace-id`.
