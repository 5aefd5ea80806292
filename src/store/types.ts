/**
 * The request store: what became of every request, kept on disk, and the history of all metrics.
 *
 * Nothing on a request's way waits for it. What cannot be taken is dropped and counted.
 */
import type { Exchange } from '../core/exchange.ts'
import type { MetricLabels } from '../core/labels.ts'
import type { SpendingBook } from '../core/spending.ts'
import type { WrittenRecords } from './messages.ts'

export interface StoreOptions {
  /**
   * `sqlite::memory:`, `sqlite:<path>`, `sqlite://<path>` or a bare path; `postgres://…` or `postgresql://…` is a database
   * that several gateways may share.
   */
  readonly url: string
  /** PostgreSQL only. */
  readonly maxConnections: number
  readonly retention: Retention
  /** Requests (and their payloads) that could not be kept. */
  readonly onDropped: (count: number) => void
  readonly log: (
    level: 'info' | 'warn' | 'error',
    message: string,
    fields: Readonly<Record<string, string>>,
  ) => void
}

export interface Retention {
  /** Requests that are older go. Roll-ups stay for thirteen months. */
  readonly ageMs: number
  /** Of the whole file: when it grows beyond, the oldest requests go. SQLite only; 0 = no limit. */
  readonly bytes: number
}

/** Texts as they were sent and received, redacted and cut to size by whoever hands them over. */
export interface Payload {
  readonly request: string | undefined
  readonly response: string | undefined
}

export interface Finished {
  readonly exchange: Exchange
  /** The SERVER span's name. */
  readonly operation: string
  /** The SERVER span's status is Error. */
  readonly failed: boolean
  readonly payload: Payload | undefined
}

/** What budgets spend is not among what is dropped, and not bounded like questions: they ask twice a second at most. */
export interface Store extends SpendingBook {
  /** Never blocks and never throws. The exchange is finished: it is read before this returns, and not kept. */
  readonly record: (record: Finished) => void
  /** The same of requests that another process has served and written. */
  readonly take: (records: WrittenRecords) => void
  /** What metrics have grown by, or stand at, since the last sample. Never blocks and never throws. */
  readonly sample: (sample: MetricSample) => void

  // All that was recorded before a question can be found. Few are answered at a time, and few may wait: what is too
  // much rejects with `StoreBusyError`, and what is aborted with the signal's reason.

  /** Newest first. */
  readonly search: (search: Search, signal?: AbortSignal) => Promise<Found>
  /** In the order in which requests were recorded, whenever they completed. */
  readonly follow: (query: Follow, signal?: AbortSignal) => Promise<Followed>
  readonly get: (
    id: string,
    signal?: AbortSignal,
  ) => Promise<{ readonly request: StoredRequest; readonly payload: Payload | undefined } | undefined>
  /** All requests of a trace, the oldest first; at most 200. */
  readonly trace: (traceId: string, signal?: AbortSignal) => Promise<readonly StoredRequest[]>
  readonly summary: (query: SummaryQuery, signal?: AbortSignal) => Promise<Summary>
  /** Values that occur, at most 500 of each, by name. */
  readonly values: (range: TimeRange, signal?: AbortSignal) => Promise<FilterValues>
  readonly history: (query: HistoryQuery, signal?: AbortSignal) => Promise<readonly MetricHistory[]>
  readonly status: () => Promise<StoreStatus>
  /** Writes what is waiting; false when the deadline came first, or nothing could be written for four seconds. */
  readonly close: (timeoutMs: number) => Promise<boolean>
}

/** Milliseconds since 1970; `from` included, `to` excluded. */
export interface TimeRange {
  readonly from: number
  readonly to: number
}

/** Every condition that is there must hold; of the values in a list one. An empty list fits nothing. */
export interface Filters {
  readonly protocol?: readonly string[]
  readonly provider?: readonly string[]
  readonly requestModel?: readonly string[]
  readonly responseModel?: readonly string[]
  readonly httpStatus?: readonly number[]
  readonly outcome?: readonly string[]
  readonly errorType?: readonly string[]
  readonly backend?: readonly string[]
  readonly route?: readonly string[]
  /** MCP. */
  readonly target?: readonly string[]
  readonly user?: readonly string[]
  readonly key?: readonly string[]
  readonly group?: readonly string[]
  readonly userAgentName?: readonly string[]
  /** The SERVER span's name: `POST /v1/*`, `tools/call echo`. */
  readonly operation?: readonly string[]
  readonly traceId?: string
  readonly hasPayload?: boolean
  /** True: status 500 and above, a stream that broke, an MCP error; false: the rest. */
  readonly failed?: boolean
  readonly minDurationMs?: number
  readonly maxDurationMs?: number
  /** Somewhere in path, model, backend, tool, error message, trace id or user agent; case does not matter. */
  readonly text?: string
}

/** A place in the order of all requests: by completion, then by id. */
export interface Cursor {
  readonly completedAt: number
  readonly id: string
}

export interface Search {
  readonly limit: number
  readonly range?: Partial<TimeRange>
  readonly filters?: Filters
  /** Only what is older than this. */
  readonly before?: Cursor
}

export interface Follow {
  readonly limit: number
  readonly range?: Partial<TimeRange>
  readonly filters?: Filters
  /** Only what was recorded after this request, or after the place that the last answer named; undefined: from now on. */
  readonly after?: Cursor | number | undefined
}

export interface Followed {
  /** As many as there are, but `limit` at most. */
  readonly requests: readonly StoredRequest[]
  /** Where to go on. */
  readonly after: number
  /** There is more already. */
  readonly more: boolean
}

export interface Found {
  readonly requests: readonly StoredRequest[]
  /**
   * Where to go on. There may be less than `limit` requests although there is more to find: a search looks at a bounded
   * number of requests, and answers with a bounded number of characters.
   */
  readonly next: Cursor | undefined
}

export interface StoredRequest {
  readonly id: string
  readonly completedAt: number
  /** As it was recorded, without the query of its URL and with messages redacted. Its clock begins with it: `startedAt` is 0. */
  readonly exchange: Exchange
  readonly userAgentName: string | undefined
  readonly operation: string
  readonly failed: boolean
  readonly hasPayload: boolean
}

export const GROUP_FIELDS = [
  'provider',
  'requestModel',
  'responseModel',
  'httpStatus',
  'outcome',
  'errorType',
  'protocol',
  'backend',
  'route',
  'target',
  'operation',
  'user',
  'key',
  'group',
  'userAgentName',
] as const
export type GroupField = (typeof GROUP_FIELDS)[number]

/** Filters that a summary can heed: those over fields that can be grouped by, and `failed`. */
export type SummaryFilters = Pick<Filters, Exclude<GroupField, 'httpStatus'> | 'httpStatus' | 'failed'>

export interface SummaryQuery {
  readonly range: TimeRange
  /**
   * Rounded up to a multiple of the widest roll-up that is not wider: a minute in the last two days, a quarter of an hour
   * in eight, an hour, half a day.
   */
  readonly bucketMs: number
  readonly filters?: SummaryFilters
  readonly groupBy: readonly GroupField[]
}

export interface Measures {
  readonly requests: number
  readonly failed: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly reasoningTokens: number
  /** USD. */
  readonly cost: number
  /** Milliseconds, read from a histogram whose buckets grow by an eighth of a power of two; undefined without requests. */
  readonly durationMs: Percentiles | undefined
  /** Of streams. */
  readonly firstTokenMs: Percentiles | undefined
}

export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  readonly mean: number
}

export type Group = Readonly<Partial<Record<GroupField, string>>>

export interface Summary {
  readonly range: TimeRange
  readonly bucketMs: number
  readonly total: Measures
  /** Those that have requests; `start` in milliseconds. In the order of time. */
  readonly buckets: readonly (Measures & { readonly start: number; readonly group: Group })[]
  /**
   * The most requests first; at most 200, and fewer when there are many buckets, the rest together under `…` in each
   * field, here and in `buckets`.
   */
  readonly groups: readonly (Measures & { readonly group: Group })[]
}

export type FilterValues = Readonly<Record<GroupField, readonly string[]>>

/**
 * One look at all metrics. `increments` are what counters, and the buckets, sums and counts of histograms, have grown by
 * since the last look, zero left out; `levels` is where gauges stand.
 */
export interface MetricSample {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Tells gateways that share a database apart. */
  readonly instance: string
  readonly increments: readonly MetricValue[]
  readonly levels: readonly MetricValue[]
}

export interface MetricValue {
  /** As scraped, `_bucket`, `_sum` and `_count` included; a bucket holds what fell into it alone, not into those below. */
  readonly name: string
  /** As scraped: `model="gpt-4o",token_type="input"`, with `le` last for buckets. */
  readonly labels: string
  readonly value: number
}

export interface HistoryQuery {
  readonly range: TimeRange
  /** Rounded up to what is kept: 10 s in the last two hours, 1 min in two days, 15 min in eight, 2 h before. */
  readonly stepMs: number
  /** Series that differ in other labels are added up. */
  readonly metrics: MetricLabels
}

export interface MetricHistory {
  readonly name: string
  readonly labels: string
  readonly kind: 'increment' | 'level'
  /** Per step that has a value: when it begins, and the sum of the increments, or of levels the mean over time and the sum over instances. */
  readonly points: readonly (readonly [start: number, value: number])[]
}

export interface StoreStatus {
  readonly kind: 'sqlite' | 'postgres'
  /** Without a password. */
  readonly url: string
  readonly requests: number
  readonly bytes: number
  readonly oldest: number | undefined
  readonly dropped: number
  readonly schemaVersion: number
  /** Why it takes nothing at the moment: a full disk, a database that is away. */
  readonly problem: string | undefined
}
