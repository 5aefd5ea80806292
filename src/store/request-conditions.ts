/** From filters to the conditions of a `WHERE`, those that an index serves apart. */
import { placeholders } from './database.ts'
import { COLUMNS, clipped } from './fields.ts'
import { type Filters, GROUP_FIELDS, type SummaryFilters } from './types.ts'

// Written out, not bound: else the partial indexes could not be used.
export const OF_TRACE = 'r.trace_id = ?'
const WITH_PAYLOAD = 'r.has_payload = 1'
const FAILED = 'r.failed = 1'

export interface Conditions {
  /** One at most. */
  readonly indexed: readonly string[]
  readonly indexedValues: readonly string[]
  /** Have to be judged row by row. */
  readonly judged: readonly string[]
  readonly judgedValues: readonly (string | number)[]
}

/** The one that leaves the least. */
function indexedCondition({ traceId, hasPayload, failed }: Filters): string | undefined {
  if (traceId !== undefined) return OF_TRACE
  if (hasPayload === true) return WITH_PAYLOAD
  return failed === true ? FAILED : undefined
}

/** Over a table `r`. Undefined when nothing can fit. */
export function conditionsOf(filters: Filters): Conditions | undefined {
  const fields = fieldConditions(filters, 'r')
  if (fields === undefined) return undefined
  const judged = [...fields.texts]
  const judgedValues = [...fields.values]

  const { traceId, hasPayload, failed, minDurationMs, maxDurationMs, text } = filters
  const indexed = indexedCondition(filters)
  // A plus sign keeps a database from choosing another index than the one along which rows are counted.
  if (hasPayload !== undefined && indexed !== WITH_PAYLOAD)
    judged.push(`+r.has_payload = ${hasPayload ? 1 : 0}`)
  if (failed !== undefined && indexed !== FAILED) judged.push(`+r.failed = ${failed ? 1 : 0}`)
  if (minDurationMs !== undefined) {
    judged.push('r.duration_ms >= ?')
    judgedValues.push(minDurationMs)
  }
  if (maxDurationMs !== undefined) {
    judged.push('r.duration_ms <= ?')
    judgedValues.push(maxDurationMs)
  }
  if (text !== undefined && text !== '') {
    const pattern = `%${text.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`
    judged.push("(r.search_text LIKE ? ESCAPE '\\' OR r.trace_id LIKE ? ESCAPE '\\')")
    judgedValues.push(pattern, pattern)
  }
  return {
    indexed: indexed === undefined ? [] : [indexed],
    indexedValues: indexed === OF_TRACE && traceId !== undefined ? [traceId] : [],
    judged,
    judgedValues,
  }
}

/** Of the fields that can be grouped by. Undefined when nothing can fit. */
export function fieldConditions(
  filters: SummaryFilters,
  table: string,
): { readonly texts: readonly string[]; readonly values: readonly (string | number)[] } | undefined {
  const texts: string[] = []
  const values: (string | number)[] = []
  for (const field of GROUP_FIELDS) {
    const wanted = filters[field]
    if (wanted === undefined) continue
    if (wanted.length === 0) return undefined
    texts.push(`${table}.${COLUMNS[field]} IN (${placeholders(wanted)})`)
    for (const value of wanted) values.push(typeof value === 'string' ? clipped(value) : value)
  }
  return { texts, values }
}
