/**
 * Filters of requests and traces: from the address, to the address, and to the API.
 */
import type { ApiFilters, LogsSearch } from '../../../src/admin/api-types.ts'
import { type RangeId, readSpan, toTimeRange } from '../navigation/ranges.ts'

/** Filters that are lists of values: the address's parameter, the API's field, and where the values come from. */
export const LIST_FILTERS = [
  { param: 'model', field: 'requestModel', label: 'Model' },
  { param: 'responseModel', field: 'responseModel', label: 'Response model' },
  { param: 'provider', field: 'provider', label: 'Provider' },
  { param: 'status', field: 'httpStatus', label: 'Status' },
  { param: 'outcome', field: 'outcome', label: 'Outcome' },
  { param: 'error', field: 'errorType', label: 'Error type' },
  { param: 'backend', field: 'backend', label: 'Backend' },
  { param: 'route', field: 'route', label: 'Route' },
  { param: 'target', field: 'target', label: 'MCP target' },
  { param: 'protocol', field: 'protocol', label: 'Protocol' },
  { param: 'operation', field: 'operation', label: 'Operation' },
] as const

/** The same for attributes of the request. */
export const ATTRIBUTE_FILTERS = [
  { param: 'user', key: 'agentgateway.user', label: 'User' },
  { param: 'group', key: 'agentgateway.group', label: 'Group' },
  { param: 'key', key: 'agentgateway.key', label: 'Key' },
  { param: 'agent', key: 'user_agent.name', label: 'User agent' },
] as const

export type FilterParam = (typeof LIST_FILTERS)[number]['param'] | (typeof ATTRIBUTE_FILTERS)[number]['param']

const OTHER_PARAMS = ['q', 'failed', 'min', 'max', 'trace'] as const

function positive(text: string | null): number | undefined {
  const value = text === null || text.trim() === '' ? Number.NaN : Number(text)
  return Number.isFinite(value) && value >= 0 ? value : undefined
}

function attributesOf(query: URLSearchParams): Record<string, readonly string[]> {
  const found: Record<string, readonly string[]> = {}
  for (const { param, key } of ATTRIBUTE_FILTERS) {
    const values = query.getAll(param)
    if (values.length > 0) found[key] = values
  }
  return found
}

export function readFilters(query: URLSearchParams): ApiFilters {
  const lists: Record<string, readonly string[] | readonly number[]> = {}
  for (const { param, field } of LIST_FILTERS) {
    const values = query.getAll(param)
    if (values.length === 0) continue
    lists[field] = field === 'httpStatus' ? values.map(Number).filter(Number.isInteger) : values
  }
  const attributes = attributesOf(query)
  const text = query.get('q')?.trim()
  const traceId = query.get('trace')?.trim()
  const minDurationMs = positive(query.get('min'))
  const maxDurationMs = positive(query.get('max'))
  return {
    ...lists,
    ...(Object.keys(attributes).length > 0 && { attributes }),
    ...(query.get('failed') === '1' && { failed: true }),
    ...(minDurationMs !== undefined && { minDurationMs }),
    ...(maxDurationMs !== undefined && { maxDurationMs }),
    ...(text && { text }),
    ...(traceId && { traceId }),
  }
}

export function readSearch(query: URLSearchParams, otherwise: RangeId, now: number): LogsSearch {
  return { timeRange: toTimeRange(readSpan(query, otherwise), now), filters: readFilters(query) }
}

export function hasFilters(query: URLSearchParams): boolean {
  return Object.keys(readFilters(query)).length > 0
}

/** The changes that take every filter out of the address; the time stays. */
export function withoutFilters(): Record<string, undefined> {
  const params = [...LIST_FILTERS, ...ATTRIBUTE_FILTERS].map(({ param }) => param)
  return Object.fromEntries([...params, ...OTHER_PARAMS].map((param) => [param, undefined]))
}

/** Tells one search from another: the address without what is merely shown. */
export function searchKey(query: URLSearchParams): string {
  const rest = new URLSearchParams(query)
  for (const param of ['open', 'live', 'span']) rest.delete(param)
  return rest.toString()
}
